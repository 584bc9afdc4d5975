import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { GitHub } from '../github.ts';

export interface IssuerProxy {
  /** For `https_proxy`. */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * An HTTP proxy on 127.0.0.1 at whose end, whatever host was asked for, stands GitHub's issuer.
 * So a server that fetches https://token.actions.githubusercontent.com by way of it gets the test's keys, without a
 * changed hosts file or port 443. It ends TLS with the issuer's own, self-signed certificate.
 */
export async function startIssuerProxy(github: GitHub): Promise<IssuerProxy> {
  const sockets = new Set<Socket>();
  const issuer = createTlsServer({ cert: github.certificate, key: github.privateKey }, (request, response) =>
    github.handle(request, response),
  );
  const proxy = createServer((request, response) => github.handle(request, response));
  proxy.on('connect', (_request, socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    issuer.emit('connection', socket);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    async close() {
      const closed = new Promise<void>((resolve) => proxy.close(() => resolve()));
      proxy.closeAllConnections();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
