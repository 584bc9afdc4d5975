import { connect as connectTcp, isIP, type Socket, type TcpNetConnectOpts } from 'node:net';
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls';
import { type HttpAnswer, readAnswer } from './http-answer.ts';

/** A request as it goes over the wire. */
export interface WireRequest {
  readonly tls: boolean;
  readonly hostname: string;
  readonly port: number | undefined;
  readonly method: string;
  readonly path: string;
  /** Names and values in turn. */
  readonly headers: readonly string[];
  readonly body: Buffer;
}

export type WireResponse = Pick<HttpAnswer, 'status' | 'headers' | 'text'>;

/** How long, and until when, an answer is waited for. */
export interface Waiting {
  /** Milliseconds. */
  readonly requestTimeout: number;
  /** Calls when the request is to be given up; has one listener. */
  onEnd(hear: () => void): void;
}

/** Sessions of TLS by `host:port`: to resume one saves half of what a handshake costs. */
export type Sessions = Map<string, Buffer>;

/** What neither a header nor a path may have, as in Node's own client: it would end there, and another begin. */
const NO_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
const NO_PATH = /[^\x21-\x7e]/;

/**
 * Sends small requests over connections of its own, kept alive: Node's client makes a dozen objects for each request, and
 * takes twice the time. What it does not understand of an answer it does not guess: the call fails.
 */
export class Wire {
  readonly #silenceMs: number;
  readonly #sessions: Sessions;
  /** One for all connections: each would make its own, of 60 KB and 0.3 ms. */
  #secureContext: SecureContext | undefined;
  /** Those that wait for a request, by where they lead. */
  readonly #idle = new Map<string, Line[]>();

  /** @param silenceMs milliseconds after which a connection on which nothing moves is dead. */
  constructor(silenceMs: number, sessions: Sessions) {
    this.#silenceMs = silenceMs;
    this.#sessions = sessions;
  }

  /**
   * Sends a request, and reads its whole answer; after that nobody reads the body any more. While the answer is waited for,
   * nothing holds the request but its body: what lives so long is cleaned up late, and there is much of it.
   * @throws Error with the name or code that Node's client gives it; `NOT_UNDERSTOOD` for an answer that is none.
   */
  send(request: WireRequest, waiting: Waiting): Promise<WireResponse> {
    try {
      const head = headOf(request);
      return this.#lineFor(request).exchange(head, request.body, waiting);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #lineFor(request: WireRequest): Line {
    const to = `${request.tls} ${request.hostname} ${request.port}`;
    const idle = this.#idle.get(to) ?? [];
    this.#idle.set(to, idle);
    let line = idle.pop();
    while (line?.isGood() === false) line = idle.pop();
    return line ?? new Line(this.#connect(request), this.#silenceMs, (free) => idle.push(free));
  }

  #connect({ tls, hostname, port = tls ? 443 : 80 }: WireRequest): Socket {
    // A URL has brackets around an address of IPv6; what looks up names knows none.
    const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
    const to: TcpNetConnectOpts = { host, port, noDelay: true, keepAlive: true };
    if (!tls) return connectTcp(to);
    const name = `${host}:${port}`;
    const session = this.#sessions.get(name);
    this.#secureContext ??= createSecureContext();
    const named = { servername: isIP(host) ? '' : host, ALPNProtocols: ['http/1.1'] };
    const socket = connectTls({ ...to, ...named, secureContext: this.#secureContext, ...(session && { session }) });
    return socket.on('session', (next) => this.#sessions.set(name, next));
  }
}

function headOf({ method, path, headers }: WireRequest): string {
  if (NO_PATH.test(path)) throw invalid('the path');
  let head = `${method} ${path} HTTP/1.1\r\nconnection: keep-alive\r\n`;
  for (let i = 0; i < headers.length; i += 2) {
    const value = headers[i + 1] as string;
    if (NO_VALUE.test(value)) throw invalid(`header content ["${headers[i]}"]`);
    head += `${headers[i]}: ${value}\r\n`;
  }
  return `${head}\r\n`;
}

function invalid(where: string): Error {
  return Object.assign(new Error(`Invalid character in ${where}`), { code: 'ERR_INVALID_CHAR' });
}

/** The call that a connection is used for. */
interface Call {
  resolve(answer: HttpAnswer): void;
  reject(error: Error): void;
  readonly timer: NodeJS.Timeout;
  answer: HttpAnswer | undefined;
  isSent: boolean;
}

/** A connection, for one call after another. */
class Line {
  readonly #socket: Socket;
  readonly #onFree: (line: Line) => void;
  #call: Call | undefined;
  #heard: Buffer | undefined;
  /** Until when the other side keeps it; by `performance.now()`. */
  #keptUntil = Number.POSITIVE_INFINITY;

  /** @param onFree hears when another call can be made. */
  constructor(socket: Socket, silenceMs: number, onFree: (line: Line) => void) {
    this.#socket = socket;
    this.#onFree = onFree;
    socket.setTimeout(silenceMs, () => this.#end(timedOut()));
    socket.on('data', (chunk: Buffer) => this.#hear(chunk));
    socket.on('end', () => this.#readAnswer(true));
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(closed()));
  }

  /** Whether another call can be made. */
  isGood(): boolean {
    if (performance.now() > this.#keptUntil) this.#socket.destroy();
    return !this.#socket.destroyed;
  }

  exchange(head: string, body: Buffer, waiting: Waiting): Promise<HttpAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
    const timer = setTimeout(this.#onTimeout, waiting.requestTimeout);
    const call: Call = { resolve, reject, timer, answer: undefined, isSent: false };
    this.#call = call;
    waiting.onEnd(() => {
      if (this.#call === call) this.#end(aborted());
    });
    const socket = this.#socket;
    if (!socket.destroyed) {
      socket.cork();
      socket.write(head, 'latin1');
      socket.write(body, this.#onSent);
      socket.uncork();
    }
    return promise;
  }

  readonly #onTimeout = (): void => this.#end(timedOut());

  readonly #onSent = (error?: Error | null): void => {
    if (error || this.#call === undefined) return;
    this.#call.isSent = true;
    this.#settle();
  };

  #hear(chunk: Buffer): void {
    if (this.#call === undefined || this.#call.answer !== undefined) {
      // Nobody asked.
      this.#end(closed());
      return;
    }
    this.#heard = this.#heard === undefined ? chunk : Buffer.concat([this.#heard, chunk]);
    this.#readAnswer(false);
  }

  #readAnswer(isOver: boolean): void {
    const call = this.#call;
    if (call === undefined || call.answer !== undefined) return;
    try {
      call.answer = readAnswer(this.#heard ?? Buffer.alloc(0), isOver);
    } catch (error) {
      this.#end(error as Error);
      return;
    }
    if (call.answer !== undefined) this.#settle();
    else if (isOver) this.#end(closed());
  }

  /**
   * Ends a call whose answer has come. The body may lie in a buffer that is used again after this, so nothing of it must be
   * left to send; but who refuses a request before it is sent may never read the rest.
   */
  #settle(): void {
    const call = this.#call;
    if (call?.answer === undefined || (!call.isSent && call.answer.status < 300)) return;
    if (!call.isSent || call.answer.keptMs === 0) this.#socket.destroy();
    this.#keptUntil = performance.now() + call.answer.keptMs;
    this.#call = undefined;
    this.#heard = undefined;
    clearTimeout(call.timer);
    if (this.isGood()) this.#onFree(this);
    call.resolve(call.answer);
  }

  #end(error: Error): void {
    const call = this.#call;
    this.#call = undefined;
    this.#heard = undefined;
    this.#socket.destroy();
    if (call === undefined) return;
    clearTimeout(call.timer);
    call.reject(error);
  }
}

function timedOut(): Error {
  return Object.assign(new Error('no answer in time'), { name: 'TimeoutError' });
}

function aborted(): Error {
  return Object.assign(new Error('aborted'), { name: 'AbortError' });
}

function closed(): Error {
  return Object.assign(new Error('closed before the end'), { code: 'ECONNRESET' });
}
