import { Agent as HttpAgent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { NodeHttpHandler } from '@smithy/node-http-handler';

const CONNECT_MS = 5_000;
/** A socket on which nothing moves for so long is dead: the call is made again on another. */
const SILENCE_MS = 15_000;
/** A call that is given no time of its own. */
const ANSWER_MS = 30_000;

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

export interface WireResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/**
 * The connections of a run, kept alive. All clients share them: a session of TLS that one of them has negotiated is
 * resumed by the others, which saves half of what a handshake costs.
 */
export class Connections {
  readonly #http = new HttpAgent({ keepAlive: true });
  readonly #https = new HttpsAgent({ keepAlive: true });
  readonly #silenceMs: number;

  constructor(silenceMs = SILENCE_MS) {
    this.#silenceMs = silenceMs;
  }

  /** How the SDK's clients send. */
  handler(): NodeHttpHandler {
    return new NodeHttpHandler({
      connectionTimeout: CONNECT_MS,
      socketTimeout: this.#silenceMs,
      requestTimeout: ANSWER_MS,
      throwOnRequestTimeout: true,
      httpAgent: this.#http,
      httpsAgent: this.#https,
    });
  }

  /** Sends one small request, and reads the whole answer. */
  send(request: WireRequest, { requestTimeout, onEnd }: CallOptions): Promise<WireResponse> {
    const { tls, hostname, port, method, path, headers, body } = request;
    return new Promise((resolve, reject) => {
      let answered = false;
      // A URL has brackets around an address of IPv6; what looks up names knows none.
      const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
      const agent = tls ? this.#https : this.#http;
      const options = { host, port, method, path, headers, agent, timeout: this.#silenceMs };
      const sent = (tls ? httpsRequest : httpRequest)(options as never, (response) => {
        clearTimeout(timer);
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => {
          const status = response.statusCode ?? 0;
          const done = () => {
            answered = true;
            resolve({ status, headers: response.headers, text });
          };
          // The body may lie in a buffer that is used again after this: nothing of it must be left to send.
          if (sent.writableFinished) return done();
          if (status < 300) return sent.once('finish', done);
          // Refused before it was sent: whoever answers so may never read the rest.
          done();
          sent.destroy();
        });
        response.on('error', fail);
      });
      const fail = (error: Error) => {
        clearTimeout(timer);
        reject(error);
      };
      const giveUp = () => sent.destroy(Object.assign(new Error('no answer in time'), { name: 'TimeoutError' }));
      const timer = setTimeout(giveUp, requestTimeout);
      sent.on('timeout', giveUp);
      onEnd(() => sent.destroy(Object.assign(new Error('aborted'), { name: 'AbortError' })));
      sent.on('error', fail);
      sent.on('close', () => {
        if (!answered) fail(Object.assign(new Error('closed before the end'), { code: 'ECONNRESET' }));
      });
      sent.end(body);
    });
  }
}

/** Options that every call hands on. */
export interface CallOptions {
  readonly abortSignal: AbortSignal;
  /** Milliseconds. */
  readonly requestTimeout: number;
  /** Calls when the request is to be given up: the same as the signal, for one listener. */
  onEnd(hear: () => void): void;
}
