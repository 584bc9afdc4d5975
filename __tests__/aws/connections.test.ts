import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import * as tls from 'node:tls';
import { afterEach, describe, expect, test } from '@jest/globals';
import { HttpRequest } from '@smithy/core/protocols';
import { generate } from 'selfsigned';
import { Connections } from '../../src/aws/connections.ts';

/** More than the buffers of both ends of a connection hold. */
const LARGE = 32 * 1024 ** 2;
const SILENCE_MS = 300;

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function listen(server: Server, host = '127.0.0.1'): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  closing.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;

const serve = (answer: Answer) => listen(createServer((request, response) => void answer(request, response)));

/** A server of bare bytes, which reads nothing until it is told to. */
async function serveRaw(onConnection: (socket: Socket) => unknown) {
  return listen(createTcpServer({ pauseOnConnect: true }, (socket) => void onConnection(socket)));
}

const connections = () => new Connections(SILENCE_MS);

/** Sends a body; `giveUp` ends the call from outside. */
function send(
  port: number,
  body: Buffer,
  more: { by?: Connections; requestTimeout?: number; tls?: boolean; host?: string } = {},
) {
  let giveUp = () => undefined as unknown;
  const { by = connections(), requestTimeout = 60_000, host = '127.0.0.1' } = more;
  const answer = by.send(
    {
      tls: more.tls ?? false,
      hostname: host,
      port,
      method: 'PUT',
      path: '/key',
      headers: ['host', host, 'content-length', String(body.length)],
      body,
    },
    {
      requestTimeout,
      abortSignal: new AbortController().signal,
      onEnd: (hear) => {
        giveUp = hear;
      },
    },
  );
  answer.catch(() => undefined);
  return { answer, giveUp: () => giveUp() };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** What comes over a connection from now on. */
interface Heard {
  bytes: number;
  readonly letters: Set<string>;
}

function hear(socket: Socket): Heard {
  const heard: Heard = { bytes: 0, letters: new Set() };
  socket.on('data', (chunk: Buffer) => {
    heard.bytes += chunk.length;
    for (const byte of new Set(chunk)) heard.letters.add(String.fromCharCode(byte));
  });
  socket.resume();
  return heard;
}

describe('a request', () => {
  test('arrives with its body, and its answer comes back whole', async () => {
    const port = await serve(async (request, response) => {
      const body = await bodyOf(request);
      response.writeHead(200, { etag: '"1"' }).write(`${request.method} ${request.url} `);
      response.end(`${body.length} caf\u00e9`);
    });
    const { status, headers, text } = await send(port, Buffer.alloc(100_000, 'a')).answer;
    expect([status, headers.etag, text]).toEqual([200, '"1"', 'PUT /key 100000 caf\u00e9']);
  });

  test('uses the connection of the one before it', async () => {
    const ports = new Set<number | undefined>();
    const port = await serve(async (request, response) => {
      ports.add(request.socket.remotePort);
      await bodyOf(request);
      response.end();
    });
    const by = connections();
    for (let i = 0; i < 5; i++) await send(port, Buffer.from('a'), { by }).answer;
    expect(ports.size).toBe(1);
  });

  const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
  (hasIpv6 ? test : test.skip)('reaches an address of IPv6, which a URL has in brackets', async () => {
    const server = createServer((request, response) => request.resume().on('end', () => response.end('six')));
    const port = await listen(server, '::1');
    expect((await send(port, Buffer.from('a'), { host: '[::1]' }).answer).text).toBe('six');
  });

  test('with a header that cannot be sent throws, and sends nothing', async () => {
    const request = { tls: false, hostname: '127.0.0.1', port: 1, method: 'PUT', path: '/', body: Buffer.alloc(0) };
    const options = { requestTimeout: 1000, abortSignal: new AbortController().signal, onEnd: () => undefined };
    await expect(connections().send({ ...request, headers: ['host', 'a\nb'] }, options)).rejects.toMatchObject({
      code: 'ERR_INVALID_CHAR',
    });
  });
});

describe('a request fails', () => {
  test.each<[string, (socket: Socket) => unknown, object]>([
    ['when its connection is reset', (socket) => socket.resetAndDestroy(), { code: 'ECONNRESET' }],
    ['when its connection is closed', (socket) => socket.end(), { code: 'ECONNRESET' }],
    [
      'when the answer breaks off in its head',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-'),
      { code: 'ECONNRESET' },
    ],
    [
      'when the answer breaks off in its body',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'),
      { code: 'ECONNRESET' },
    ],
    [
      'when the answer breaks off between chunks',
      (socket) => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'),
      { code: 'ECONNRESET' },
    ],
    ['when the answer is none', (socket) => socket.end('hello\r\n\r\n'), { code: 'ERR_HTTP_ANSWER' }],
    ['when nothing is said', () => undefined, { name: 'TimeoutError' }],
    [
      'when nothing more is said',
      (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'),
      { name: 'TimeoutError' },
    ],
  ])('%s', async (_what, answer, error) => {
    const port = await serveRaw(async (socket) => {
      socket.resume();
      await wait(20);
      answer(socket);
    });
    await expect(send(port, Buffer.alloc(1000)).answer).rejects.toMatchObject(error);
  });

  test('when its answer takes too long, though something moves', async () => {
    const port = await serveRaw(async (socket) => {
      for (socket.resume(); !socket.destroyed; await wait(50)) socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    });
    await expect(send(port, Buffer.alloc(10), { requestTimeout: 500 }).answer).rejects.toMatchObject({
      name: 'TimeoutError',
    });
  });

  test('but not while an answer is on its way, however slowly', async () => {
    const port = await serveRaw(async (socket) => {
      socket.resume();
      for (const piece of 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc'.match(/.{1,6}/gs) ?? []) {
        socket.write(piece);
        await wait(100);
      }
    });
    expect((await send(port, Buffer.alloc(10)).answer).text).toBe('abc');
  });

  test('when it is given up, before it was sent or after', async () => {
    const port = await serve(() => undefined);
    const soon = send(port, Buffer.alloc(10));
    soon.giveUp();
    await expect(soon.answer).rejects.toMatchObject({ name: 'AbortError' });
    const late = send(port, Buffer.alloc(10));
    await wait(100);
    late.giveUp();
    await expect(late.answer).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('when it was given up before it could begin', async () => {
    const port = await serve((request, response) => request.resume().on('end', () => response.end()));
    const answer = connections().send(
      {
        tls: false,
        hostname: '127.0.0.1',
        port,
        method: 'PUT',
        path: '/',
        headers: ['host', 'a', 'content-length', '1'],
        body: Buffer.from('a'),
      },
      { requestTimeout: 1000, abortSignal: AbortSignal.abort(), onEnd: (hear) => hear() },
    );
    await expect(answer).rejects.toMatchObject({ name: 'AbortError' });
  });
});

// Node 24 can be told whom to trust after it has begun.
const telling = tls as unknown as { setDefaultCACertificates?(certificates: string[]): void };
const overTls = telling.setDefaultCACertificates === undefined ? test.skip : test;

/** A certificate of this machine that is trusted from now on. */
async function certificate() {
  const pem = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 7 as const, ip: '127.0.0.1' }] }],
  });
  telling.setDefaultCACertificates?.([pem.cert]);
  return pem;
}

overTls("a session of TLS is resumed, that of the SDK's client too", async () => {
  const pem = await certificate();
  const resumed: boolean[] = [];
  const server = createTlsServer({ key: pem.private, cert: pem.cert }, (request, response) => {
    resumed.push((request.socket as tls.TLSSocket).isSessionReused());
    request.resume().on('end', () => response.setHeader('connection', 'close').end('.'));
  });
  const port = await listen(server);
  const by = connections();
  const request = new HttpRequest({ protocol: 'https:', hostname: '127.0.0.1', port, method: 'GET', path: '/' });
  const { response } = await by.handler().handle(request);
  for await (const _ of response.body);
  for (let i = 0; i < 2; i++) await send(port, Buffer.from('a'), { by, tls: true }).answer;
  expect(resumed).toEqual([false, true, true]);
});

/** Waits for something that a busy machine may take a while for; what was waited for is held against after it. */
async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; !isSo() && tries < 200; tries++) await wait(50);
}

describe('the buffer of a body', () => {
  const SUCCESS = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
  const REFUSAL = 'HTTP/1.1 412 Precondition Failed\r\nContent-Length: 2\r\n\r\nno';

  /** Answers at once, and reads after a while. */
  async function answerFirst(answer: string, heard: Heard[], afterMs = 200) {
    return serveRaw(async (socket) => {
      socket.write(answer);
      await wait(afterMs);
      heard.push(hear(socket));
    });
  }

  test('is all sent when a success is told, though the store answered before it had read it', async () => {
    const heard: Heard[] = [];
    const body = Buffer.alloc(LARGE, '~');
    await send(await answerFirst(SUCCESS, heard), body).answer;
    body.fill('^');
    await wait(300);
    expect(heard[0]?.bytes).toBeGreaterThan(LARGE);
    expect(heard[0]?.letters).not.toContain('^');
  });

  test('is not waited for by a refusal that comes before it is read, and nothing more of it is sent', async () => {
    const heard: Heard[] = [];
    const port = await answerFirst(REFUSAL, heard, 2000);
    const body = Buffer.alloc(LARGE, '~');
    expect(await send(port, body).answer).toMatchObject({ status: 412, text: 'no' });
    body.fill('^');
    expect(heard).toEqual([]);
    await until(() => heard[0] !== undefined);
    await wait(300);
    expect(heard[0]?.bytes).toBeLessThan(LARGE);
    expect(heard[0]?.letters).not.toContain('^');
  });

  /** Ends a request in the middle of its body, uses the buffer for something else, and reads what still comes. */
  async function reuse(
    listening: (onConnection: (socket: Socket) => unknown) => Promise<number>,
    tls: boolean,
    end: string,
  ) {
    const heard: Heard[] = [];
    const connected = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    const port = await listening(async (socket) => {
      connected.resolve();
      await ended.promise;
      heard.push(hear(socket));
    });
    const body = Buffer.alloc(LARGE, '~');
    const call = send(port, body, { tls, requestTimeout: end === 'too late' ? 2000 : 60_000 });
    await connected.promise;
    await wait(200);
    if (end === 'given up') call.giveUp();
    await expect(call.answer).rejects.toThrow();
    body.fill('^');
    ended.resolve();
    await until(() => heard[0]?.letters.has('~') ?? false);
    await wait(300);
    expect(heard[0]?.letters).toContain('~');
    expect(heard[0]?.bytes).toBeLessThan(LARGE);
    expect(heard[0]?.letters).not.toContain('^');
  }

  test.each(['given up', 'too late'])('is let go of by a request that is %s while it is sent', async (end) => {
    await reuse(serveRaw, false, end);
  });

  overTls.each(['given up', 'too late'])(
    'is let go of over TLS by a request that is %s while it is sent',
    async (end) => {
      const pem = await certificate();
      const listening = (onConnection: (socket: Socket) => unknown) =>
        listen(
          tls.createServer(
            { key: pem.private, cert: pem.cert, pauseOnConnect: true },
            (socket) => void onConnection(socket),
          ),
        );
      await reuse(listening, true, end);
    },
  );
});
