import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { StoredObject } from '../../__tests__/support/test-cloud.ts';

/** What a browser gets of an object's headers. */
const SERVED = ['content-type', 'cache-control', 'etag'];

/** Serves objects as a bucket's website endpoint does, on this machine alone, until Ctrl-C. */
export async function serve(objects: ReadonlyMap<string, StoredObject>): Promise<void> {
  const server = createServer((request, response) => {
    const object = objects.get(keyOf(request.url ?? '/'));
    if (object === undefined) {
      response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' }).end('Not found\n');
      return;
    }
    const headers = Object.entries(object.headers).filter(([name]) => SERVED.includes(name));
    response.writeHead(200, Object.fromEntries(headers)).end(request.method === 'HEAD' ? undefined : object.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  console.log(`The deployed site is at http://localhost:${(server.address() as AddressInfo).port}/ until Ctrl-C.`);
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  server.close();
  server.closeAllConnections();
}

/** The key that a request's path stands for: `index.html` in a folder. */
function keyOf(url: string): string {
  const path = url.slice(1).replace(/[?#].*$/, '');
  const key = path.replace(/(%[0-9a-f]{2})+/gi, (escaped) =>
    Buffer.from(escaped.replaceAll('%', ''), 'hex').toString(),
  );
  return key === '' || key.endsWith('/') ? `${key}index.html` : key;
}
