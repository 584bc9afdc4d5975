import type { Socket } from 'node:net';
import { Chunks } from './chunks.ts';

/** What a request begins with. */
export interface Head {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** By names in lower case. */
  readonly headers: Record<string, string>;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Record<string, string | number>;
  readonly body?: string | Buffer;
}

/** Takes a request's body, and answers once it is there. */
export interface Taking {
  push(chunk: Buffer): void;
  end(respond: (answer: Answer) => void): void;
}

const STATUS: Record<number, string> = { 200: 'OK', 204: 'No Content', 404: 'Not Found', 503: 'Slow Down' };
const NOTHING = new URLSearchParams();

/**
 * Speaks HTTP/1.1 on one connection, one request after another. Node's own server costs as much as all else that the store
 * does, and what a client costs shows only while its server waits for it.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #begin: (head: Head) => Taking;
  #unread: Buffer | undefined;
  #taking: Taking | undefined;
  #left = 0;
  #chunks: Chunks | undefined;
  #answering = false;

  constructor(socket: Socket, begin: (head: Head) => Taking) {
    this.#socket = socket;
    this.#begin = begin;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', () => socket.destroy());
  }

  #read(chunk: Buffer): void {
    if (this.#answering || (this.#taking === undefined && this.#unread !== undefined)) {
      this.#unread = this.#unread === undefined ? chunk : Buffer.concat([this.#unread, chunk]);
      if (this.#answering) return;
    }
    if (this.#taking !== undefined) this.#readBody(chunk);
    else this.#readHead(this.#unread ?? chunk);
  }

  #readHead(data: Buffer): void {
    const end = data.indexOf('\r\n\r\n');
    if (end < 0) {
      this.#unread = data;
      return;
    }
    this.#unread = undefined;
    const head = parseHead(data.toString('latin1', 0, end));
    const { headers } = head;
    this.#taking = this.#begin(head);
    this.#chunks = headers['transfer-encoding'] === 'chunked' ? new Chunks() : undefined;
    this.#left = Number(headers['content-length'] ?? 0);
    if (headers.expect !== undefined) this.#socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    this.#readBody(data.subarray(end + 4));
  }

  #readBody(chunk: Buffer): void {
    const taking = this.#taking;
    if (taking === undefined) return;
    let rest: Buffer | undefined;
    if (this.#chunks !== undefined) {
      rest = this.#chunks.push(chunk, (data) => taking.push(data));
      if (!this.#chunks.done) return;
    } else {
      if (chunk.length > 0 && this.#left > 0)
        taking.push(chunk.length > this.#left ? chunk.subarray(0, this.#left) : chunk);
      rest = chunk.length > this.#left ? chunk.subarray(this.#left) : undefined;
      this.#left -= Math.min(this.#left, chunk.length);
      if (this.#left > 0) return;
    }
    this.#unread = rest;
    this.#taking = undefined;
    this.#answering = true;
    taking.end((answer) => this.#respond(answer));
  }

  #respond({ status, headers, body = '' }: Answer): void {
    let head = `HTTP/1.1 ${status} ${STATUS[status] ?? 'Other'}\r\nx-amz-request-id: BENCH\r\nDate: ${date()}\r\n`;
    for (const name in headers) head += `${name}: ${headers[name]}\r\n`;
    // The length of what a HEAD would get is among its headers.
    if (headers?.['Content-Length'] === undefined) head += `Content-Length: ${Buffer.byteLength(body)}\r\n`;
    if (body === '') this.#socket.write(`${head}\r\n`, 'latin1');
    else if (typeof body === 'string') this.#socket.write(`${head}\r\n${body}`);
    else {
      this.#socket.cork();
      this.#socket.write(`${head}\r\n`);
      this.#socket.write(body);
      this.#socket.uncork();
    }
    this.#answering = false;
    if (this.#unread !== undefined) this.#readHead(this.#unread);
  }
}

function parseHead(text: string): Head {
  const [first = '', ...lines] = text.split('\r\n');
  const [method = '', target = ''] = first.split(' ', 2);
  const mark = target.indexOf('?');
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return {
    method,
    path: mark < 0 ? target : target.slice(0, mark),
    query: mark < 0 ? NOTHING : new URLSearchParams(target.slice(mark + 1)),
    headers,
  };
}

let second = 0;
let now = '';

/** The Date header, which has whole seconds. */
function date(): string {
  const time = Math.floor(Date.now() / 1000);
  if (time !== second) {
    second = time;
    now = new Date(time * 1000).toUTCString();
  }
  return now;
}
