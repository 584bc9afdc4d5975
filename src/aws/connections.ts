import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { NodeHttpHandler } from '@smithy/node-http-handler';
import { PiecewiseHandler } from './piecewise.ts';
import { type Sessions, type Waiting, Wire, type WireRequest, type WireResponse } from './wire.ts';

const CONNECT_MS = 5_000;
/** A socket on which nothing moves for so long is dead: the call is made again on another. */
const SILENCE_MS = 15_000;
/** A call that is given no time of its own. */
const ANSWER_MS = 30_000;

/**
 * The connections of a run, kept alive. All clients share them: a session of TLS that one of them has negotiated is
 * resumed by the others, which saves half of what a handshake costs.
 */
export class Connections {
  readonly #http = new HttpAgent({ keepAlive: true });
  readonly #sessions: Sessions = new Map();
  readonly #https = new ResumingAgent(this.#sessions);
  readonly #silenceMs: number;
  readonly #wire: Wire;

  constructor(silenceMs = SILENCE_MS) {
    this.#silenceMs = silenceMs;
    this.#wire = new Wire(silenceMs, this.#sessions);
  }

  /** How the SDK's clients send. */
  handler(): NodeHttpHandler {
    return new PiecewiseHandler({
      connectionTimeout: CONNECT_MS,
      socketTimeout: this.#silenceMs,
      requestTimeout: ANSWER_MS,
      throwOnRequestTimeout: true,
      httpAgent: this.#http,
      httpsAgent: this.#https,
    });
  }

  /** Sends one small request, and reads the whole answer. See `Wire`. */
  send(request: WireRequest, options: CallOptions): Promise<WireResponse> {
    return this.#wire.send(request, options);
  }
}

/** The SDK's connections, of which the others learn how to resume a session. */
class ResumingAgent extends HttpsAgent {
  readonly #sessions: Sessions;

  constructor(sessions: Sessions) {
    super({ keepAlive: true });
    this.#sessions = sessions;
  }

  override createConnection(...given: Parameters<HttpsAgent['createConnection']>) {
    const [{ host, port }] = given;
    const socket = super.createConnection(...given);
    return socket?.on('session', (session: Buffer) => this.#sessions.set(`${host}:${port}`, session));
  }
}

/** Options that every call hands on. The signal says the same as `onEnd`, to any number of listeners. */
export interface CallOptions extends Waiting {
  readonly abortSignal: AbortSignal;
}
