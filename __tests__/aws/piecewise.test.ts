import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { Agent, createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { HttpRequest } from '@smithy/core/protocols';
import { PiecewiseHandler } from '../../src/aws/piecewise.ts';

const MIB = 1024 ** 2;
const CONTENT = randomBytes(20 * MIB + 11);
const DIGEST = createHash('sha256').update(CONTENT).digest('hex');
const agent = new Agent({ keepAlive: true });
let server: Pick<Server, 'close' | 'address' | 'once'>;
/** Connections that were made, and those that are open. */
let made = 0;
let open = new Set<unknown>();
afterEach(() => {
  agent.destroy();
  server.close();
});

async function listen(started: Server): Promise<void> {
  made = 0;
  const ours = new Set<unknown>();
  open = ours;
  server = started.listen(0, '127.0.0.1');
  started.on('connection', (socket) => {
    made++;
    ours.add(socket);
    socket.on('close', () => ours.delete(socket)).on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.once('listening', resolve));
}

const serve = (listener: RequestListener) => listen(createServer(listener));

/** Answers the digest of what came. */
const DIGESTING: RequestListener = (asked, answer) => {
  const digest = createHash('sha256');
  asked.on('data', (chunk) => digest.update(chunk)).on('end', () => answer.end(digest.digest('hex')));
};

async function put(body: Buffer, abortSignal?: AbortSignal): Promise<{ status: number; text: string }> {
  const { port } = server.address() as AddressInfo;
  const handler = new PiecewiseHandler({ httpAgent: agent });
  const headers = { 'content-length': String(body.length) };
  const request = new HttpRequest({ protocol: 'http:', hostname: '127.0.0.1', port, method: 'PUT', headers, body });
  const { response } = await handler.handle(request, abortSignal && { abortSignal });
  expect(request.body).toBe(body);
  let text = '';
  for await (const chunk of response.body as IncomingMessage) text += chunk;
  return { status: response.statusCode, text };
}

test('a body arrives whole, and the next one over the same connection', async () => {
  await serve(DIGESTING);
  for (const _nth of [1, 2, 3]) expect(await put(CONTENT)).toEqual({ status: 200, text: DIGEST });
  expect(await put(Buffer.from('small'))).toMatchObject({ status: 200 });
  expect([made, open.size]).toEqual([1, 1]);
});

test('a body that nobody reads is handed on no further than the connection holds, and ends with its signal', async () => {
  await listen(createTcpServer((socket) => void socket.pause()) as Server);
  const cancel = new AbortController();
  const sending = put(CONTENT, cancel.signal);
  const failed = expect(sending).rejects.toMatchObject({ name: 'AbortError' });
  await wait(300);
  const [socket] = Object.values(agent.sockets).flatMap((sockets) => sockets ?? []);
  expect(socket?.writableLength).toBeGreaterThan(0);
  expect(socket?.writableLength).toBeLessThan(MIB);
  cancel.abort();
  await failed;
  expect(socket?.destroyed).toBe(true);
});

test('an answer before the last byte is read, and ends the request, which would wait for more', async () => {
  await serve((_asked, answer) => {
    answer.writeHead(403).end('denied');
  });
  expect(await put(CONTENT)).toEqual({ status: 403, text: 'denied' });
  await wait(50);
  expect(open.size).toBe(0);
});
