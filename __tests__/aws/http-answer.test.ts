import { createServer as createHttpServer, request } from 'node:http';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { text as textOf } from 'node:stream/consumers';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { NOT_UNDERSTOOD, readAnswer } from '../../src/aws/http-answer.ts';

const read = (text: string, isOver = false) => readAnswer(Buffer.from(text, 'latin1'), isOver);
const OK = 'HTTP/1.1 200 OK\r\n';

describe('an answer is read', () => {
  test.each<[string, string, object]>([
    ['with a length', `${OK}ETag: "1"\r\nContent-Length: 3\r\n\r\nabc`, { status: 200, text: 'abc' }],
    ['without a body', 'HTTP/1.1 204 No Content\r\n\r\n', { status: 204, text: '' }],
    ['without a reason', 'HTTP/1.1 503\r\ncontent-length:0\r\n\r\n', { status: 503, text: '' }],
    [
      'in chunks',
      `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n`,
      { text: 'abc0123456789' },
    ],
    [
      'in chunks with trailers',
      `${OK}transfer-encoding: Chunked\r\n\r\n1\r\na\r\n0\r\nx: y\r\nz: 1\r\n\r\n`,
      { text: 'a' },
    ],
    [
      'after others that are not the last',
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n${OK}content-length: 0\r\n\r\n`,
      { status: 200 },
    ],
    [
      'with headers of one name',
      `${OK}A: 1\r\na:  2\t\r\ncontent-length: 0\r\n\r\n`,
      { headers: { a: '1, 2', 'content-length': '0' } },
    ],
    ['with UTF-8', `${OK}content-length: 2\r\n\r\n\xc3\xa9`, { text: 'é' }],
  ])('%s', (_what, text, answer) => {
    const whole = read(text);
    expect({ ...whole, headers: { ...whole?.headers } }).toMatchObject(answer);
    expect(whole?.keptMs).toBeGreaterThan(0);
    for (let end = 0; end < text.length; end++) expect(read(text.slice(0, end))).toBeUndefined();
  });

  test('to the end of the connection, where it does not tell its own', () => {
    expect(read(`${OK}\r\nabc`)).toBeUndefined();
    expect(read(`${OK}\r\nabc`, true)).toMatchObject({ text: 'abc', keptMs: 0 });
  });

  test.each([
    ['the other side closes', `${OK}Connection: x, Close\r\ncontent-length: 0\r\n\r\n`],
    ['it is of HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n'],
    ['something follows that nobody asked for', `${OK}content-length: 0\r\n\r\n${OK}content-length: 0\r\n\r\n`],
    ['the other side would close within a second', `${OK}keep-alive: timeout=1\r\ncontent-length: 0\r\n\r\n`],
  ])('and its connection is not used again when %s', (_why, text) => {
    expect(read(text)).toMatchObject({ status: 200, keptMs: 0 });
  });

  test('with how long its connection is kept', () => {
    expect(read(`${OK}Keep-Alive: max=9, timeout=5\r\ncontent-length: 0\r\n\r\n`)?.keptMs).toBe(4000);
  });
});

describe('what could be read in two ways is not', () => {
  test.each([
    ['another protocol', 'SSH-2.0-x'],
    ['another version', 'HTTP/2 200\r\n\r\n'],
    ['a status that is none', 'HTTP/1.1 20 OK\r\n\r\n'],
    ['another protocol from here', 'HTTP/1.1 101 Switching\r\n\r\n'],
    ['two lengths', `${OK}content-length: 1\r\ncontent-length: 2\r\n\r\nab`],
    ['a length and chunks', `${OK}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['a length that is no number', `${OK}content-length: +1\r\n\r\na`],
    ['another encoding', `${OK}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ['a header on two lines', `${OK}a: 1\r\n b: 2\r\n\r\n`],
    ['a line feed alone', `${OK}a: 1\nb: 2\r\n\r\n`],
    ['a name with a space', `${OK}a : 1\r\n\r\n`],
    ['a line without a name', `${OK}abc\r\n\r\n`],
    ['a chunk without a size', `${OK}transfer-encoding: chunked\r\n\r\nxyz\r\n`],
    ['a chunk that is longer than it says', `${OK}transfer-encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n`],
    ['a head without end', `${OK}${'a: 1\r\n'.repeat(20_000)}`],
    ['a length beyond what is small', `${OK}content-length: 2000000\r\n\r\n`],
  ])('%s', (_what, text) => {
    expect(() => read(text)).toThrow(expect.objectContaining({ code: NOT_UNDERSTOOD }));
  });

  test('and nothing else is thrown for whatever comes', () => {
    const pieces = fc.constantFrom(
      'HTTP/1.1 200 OK',
      '\r\n',
      '\n',
      'content-length: 3',
      'transfer-encoding: chunked',
      '3',
      '0',
      'abc',
      ': ',
      '\r\n\r\n',
    );
    const anything = fc.oneof(
      fc.array(pieces, { maxLength: 20 }).map((all) => all.join('')),
      fc.string(),
    );
    fc.assert(
      fc.property(anything, fc.boolean(), (text, isOver) => {
        try {
          read(text, isOver);
        } catch (error) {
          expect(error).toMatchObject({ code: NOT_UNDERSTOOD });
        }
      }),
      { numRuns: 2000 },
    );
  });
});

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** What a server of bare bytes is understood to say by Node's own client. */
async function byNode(bytes: Buffer): Promise<object | undefined> {
  const server = createServer((socket) => socket.on('error', () => {}).once('data', () => socket.end(bytes)));
  const port = await listen(server);
  try {
    return await new Promise<object | undefined>((resolve) => {
      const sent = request({ port, host: '127.0.0.1', method: 'PUT' }, (response) => {
        const { statusCode: status, headers } = response;
        textOf(response).then(
          (text) => resolve({ status, etag: headers.etag, text }),
          () => resolve(undefined),
        );
      });
      sent.on('error', () => resolve(undefined)).end('a');
    });
  } finally {
    server.close();
  }
}

test("what Node's server answers is read as Node's client reads it, wherever it is cut", async () => {
  let answer: { status: number; etag: string; body: string; chunks: number };
  const server = createHttpServer((_request, response) => {
    const { status, etag, body, chunks } = answer;
    response.statusCode = status;
    response.setHeader('etag', etag);
    if (chunks === 0) return response.end(body);
    for (let i = 0; i < chunks; i++) response.write(`${body}.`);
    return response.end();
  });
  const port = await listen(server);
  const answers = fc.record({
    status: fc.constantFrom(200, 204, 301, 403, 404, 412, 503),
    etag: fc.stringMatching(/^"[0-9a-f]{0,32}"$/),
    body: fc.string({ unit: 'binary', maxLength: 300 }),
    chunks: fc.nat({ max: 3 }),
  });
  try {
    await fc.assert(
      fc.asyncProperty(answers, fc.double({ min: 0, max: 0.99, noNaN: true }), async (given, cut) => {
        answer = given;
        const socket = connect(port, '127.0.0.1');
        socket.write('PUT / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
        const chunks: Buffer[] = [];
        for await (const chunk of socket) chunks.push(chunk as Buffer);
        const bytes = Buffer.concat(chunks);
        const { status, headers, text } = readAnswer(bytes, false) ?? {};
        expect({ status, etag: headers?.etag, text }).toEqual(await byNode(bytes));
        expect(readAnswer(bytes.subarray(0, Math.floor(bytes.length * cut)), false)).toBeUndefined();
      }),
      { numRuns: 100 },
    );
  } finally {
    server.close();
  }
}, 60_000);
