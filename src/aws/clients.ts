import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { S3Client } from '@aws-sdk/client-s3';
import { STSClient } from '@aws-sdk/client-sts';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { misbehaved, type ServiceFailure } from '../core/explain.ts';
import { ServiceError } from './failure.ts';
import { Patience } from './patience.ts';
import { type Pace, withRetry } from './retry.ts';
import type { Credentials, Session } from './session.ts';

/** Credentials as the SDK takes them: asked for with every call. */
export type CredentialSource = () => Promise<Credentials>;

/** Where a store is reached. */
export interface StoreAddress {
  readonly region: string;
  /** URL of an S3-compatible store; AWS without it. */
  readonly endpoint: string | undefined;
  readonly forcePathStyle: boolean;
  /** Account that must own the bucket; sent with every request, so that nothing is ever done in another's. */
  readonly expectedBucketOwner?: string | undefined;
}

const CONNECT_MS = 5_000;
/** A socket on which nothing moves for so long is dead: the call is made again on another. */
const SILENCE_MS = 15_000;
/** The slowest line that a whole call is waited for, in bytes per millisecond, above a fixed allowance. */
const SLOWEST_BYTES_PER_MS = 32;
const CALL_MS = 30_000;
/** Requests with a body up to this are answered soon, or not at all: see `Patience`. */
const SMALL_BYTES = 128 * 1024;
/** What a call that must be finished gets after the job was cancelled, before it is given up. */
const GRACE_MS = 2_000;

function handler(sockets: number): NodeHttpHandler {
  const agent = { keepAlive: true, maxSockets: sockets };
  return new NodeHttpHandler({
    connectionTimeout: CONNECT_MS,
    socketTimeout: SILENCE_MS,
    requestTimeout: CALL_MS,
    throwOnRequestTimeout: true,
    httpAgent: new HttpAgent(agent),
    httpsAgent: new HttpsAgent(agent),
  });
}

/**
 * A client for the store. Retries are ours (`retry.ts`), and so is the digest: every body carries its Content-MD5, which
 * all stores check, so the SDK adds checksums only where S3 demands one. It must never get a `logger`: that prints keys.
 */
export function createS3(
  address: StoreAddress,
  credentials: CredentialSource,
  sockets: number,
  clock?: StoreClock,
): S3Client {
  const s3 = new S3Client({
    region: address.region,
    credentials,
    forcePathStyle: address.forcePathStyle,
    ...(address.endpoint === undefined ? {} : { endpoint: address.endpoint }),
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: handler(sockets),
  });
  s3.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        const result = await next(args);
        refuseForeign(String(commandName), args.request as HttpRequest, result.response as HttpResponse);
        return result;
      },
    { step: 'deserialize', name: 'refuseForeign' },
  );
  if (clock !== undefined) {
    s3.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args);
        clock.read((result.response as { headers?: Record<string, string> }).headers?.date);
        return result;
      },
      { step: 'deserialize', name: 'readClock' },
    );
  }
  if (address.expectedBucketOwner !== undefined) expectOwner(s3, address.expectedBucketOwner);
  if (address.endpoint !== undefined) announceNoChecksum(s3);
  return s3;
}

/** Content-MD5 is known everywhere; the header with which the SDK announces it is one too many for some stores. */
function announceNoChecksum(s3: S3Client): void {
  s3.middlewareStack.add(
    (next) => (args) => {
      delete (args.request as { headers: Record<string, string> }).headers['x-amz-sdk-checksum-algorithm'];
      return next(args);
    },
    { step: 'build', name: 'announceNoChecksum', priority: 'low' },
  );
}

function expectOwner(s3: S3Client, account: string): void {
  s3.middlewareStack.add(
    (next) => (args) => {
      (args.request as { headers: Record<string, string> }).headers['x-amz-expected-bucket-owner'] = account;
      return next(args);
    },
    { step: 'build', name: 'expectBucketOwner' },
  );
}

/** A client for what anybody may ask: nothing is signed. */
export function createAnonymousS3(address: StoreAddress): S3Client {
  return new S3Client({
    region: address.region,
    forcePathStyle: address.forcePathStyle,
    ...(address.endpoint === undefined ? {} : { endpoint: address.endpoint }),
    credentials: { accessKeyId: '', secretAccessKey: '' },
    signer: { sign: async (request) => request },
    maxAttempts: 1,
    requestHandler: handler(2),
  });
}

interface HttpRequest {
  readonly method?: string;
}

interface HttpResponse {
  readonly statusCode?: number;
  readonly headers?: Record<string, string>;
  readonly body?: { resume?(): void };
}

/**
 * A proxy's answer with 200 must not pass for success: to the SDK one without members is one where nothing went wrong.
 * Web pages are none of S3's answers, but objects that are read may be some; a deletion is answered with 204.
 * @throws ServiceError
 */
function refuseForeign(
  command: string,
  { method }: HttpRequest,
  { statusCode = 0, headers = {}, body }: HttpResponse,
): void {
  if (statusCode >= 300 || method === 'GET' || method === 'HEAD') return;
  const isPage = /^text\/html\b/i.test(headers['content-type'] ?? '');
  if (!isPage && (method !== 'DELETE' || statusCode === 204)) return;
  body?.resume?.();
  const what = isPage ? 'a web page instead of an answer' : `${statusCode} in place of 204`;
  throw new ServiceError(misbehaved(command.replace(/Command$/, ''), what));
}

/** The clock of the store, as far as its answers tell: what two runners' clocks say cannot be compared. */
export class StoreClock {
  #ahead = 0;

  /** Learns from a Date header; the first one is as good as any. */
  read(date: string | undefined): void {
    const time = Date.parse(date ?? '');
    if (this.#ahead === 0 && !Number.isNaN(time)) this.#ahead = time - Date.now();
  }

  /** A time of this machine, in milliseconds since the epoch, as the store would tell it; within a second or so. */
  atStore(time: number): number {
    return time + (Math.abs(this.#ahead) < NOISE_MS ? 0 : this.#ahead);
  }
}

/** A Date header has whole seconds, and has been on the way. */
const NOISE_MS = 5_000;

/** A client for STS; without credentials only for calls that are not signed. */
export function createSts(region: string, endpoint: string | undefined, credentials?: CredentialSource): STSClient {
  return new STSClient({
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    // Calls that are not signed must not go looking for ambient credentials.
    credentials: credentials ?? (() => Promise.reject(new Error('this call is not signed'))),
    maxAttempts: 1,
    requestHandler: handler(4),
  });
}

/** How many calls were made, by operation, and how often one was made again. */
export class Tally {
  readonly calls = new Map<string, number>();
  retries = 0;
  /** Services that have answered: the store, or STS. */
  readonly answered = new Set<'s3' | 'sts'>();

  count(operation: string): void {
    this.calls.set(operation, (this.calls.get(operation) ?? 0) + 1);
  }
}

/** Options that every call hands to the SDK. */
export interface CallOptions {
  readonly abortSignal: AbortSignal;
  readonly requestTimeout: number;
}

/** Sends one request. An answer of more than 128 KiB is waited for longer once `expectBytes` says how long it is. */
export type Send<T> = (options: CallOptions, expectBytes: (bytes: number) => void) => Promise<T>;

/** How one call is made. */
export interface CallHow {
  /** Size of the body: a large one may take longer. */
  readonly bytes?: number;
  /** The store does much before it answers. */
  readonly slow?: boolean;
  /** Codes that are an answer here, not a fault. */
  readonly expect?: readonly string[];
  /** Made, and finished, even when the job is cancelled: it takes back what would stay behind, or leaves it. */
  readonly uncancelled?: boolean;
  /** Milliseconds for which retries are begun. */
  readonly budgetMs?: number;
  /** Milliseconds after which a refusal is tried again that otherwise would not be. */
  again?(failure: ServiceFailure, nth: number): number | undefined;
}

/** The service says that the session is over. */
const EXPIRED = new Set(['ExpiredToken', 'ExpiredTokenException', 'TokenRefreshRequired']);
const RENEWALS = 3;
/** The service does not know the credentials, or not yet. */
const UNKNOWN = new Set(['InvalidAccessKeyId', 'InvalidClientTokenId', 'InvalidToken', 'InvalidSecurity']);
const UNKNOWN_DELAY_MS = 500;

/** Makes calls: counted, retried by kind, ended when the run is, and as a session with credentials that are good. */
export class Caller {
  readonly tally: Tally;
  readonly clock: StoreClock;
  readonly #pace: Pace;
  readonly #signal: AbortSignal | undefined;
  readonly #session: Session | undefined;
  readonly #patience: Patience;

  constructor(
    pace: Pace,
    signal?: AbortSignal,
    session?: Session,
    tally = new Tally(),
    clock = new StoreClock(),
    patience = new Patience(),
  ) {
    this.#pace = pace;
    this.#signal = signal;
    this.#session = session;
    this.tally = tally;
    this.clock = clock;
    this.#patience = patience;
  }

  /** A caller for calls with the credentials of a session, which it renews when they have expired. */
  as(session: Session): Caller {
    return new Caller(this.#pace, this.#signal, session, this.tally, this.clock, this.#patience);
  }

  /**
   * Makes one call with retries.
   * @throws ServiceError the last failure.
   */
  call<T>(operation: string, send: Send<T>, how: CallHow = {}): Promise<T> {
    const service = /^(Assume|GetCaller|GetIdToken)/.test(operation) ? 'sts' : 's3';
    let begunAt = 0;
    const once = async (unanswered: number) => {
      begunAt = this.#pace.now();
      this.tally.count(operation);
      const answer = await this.#once(send, how, unanswered);
      this.tally.answered.add(service);
      return answer;
    };
    return withRetry(operation, once, this.#pace, {
      signal: how.uncancelled ? undefined : this.#signal,
      hasAnswered: () => this.tally.answered.has(service),
      hurry: how.uncancelled ? this.#signal : undefined,
      expect: how.expect,
      budgetMs: how.budgetMs,
      again: async (failure, nth) => how.again?.(failure, nth) ?? (await this.#mend(failure, nth, begunAt)),
      onRetry: () => {
        this.tally.retries++;
      },
    });
  }

  /** Sends one request, and gives it up when it takes too long, whether in silence or drop by drop. */
  async #once<T>(send: Send<T>, { bytes = 0, slow, uncancelled }: CallHow, unanswered: number) {
    const whole = CALL_MS + bytes / SLOWEST_BYTES_PER_MS;
    const small = !slow && bytes <= SMALL_BYTES;
    const requestTimeout = small ? Math.min(whole, this.#patience.waitFor(bytes, unanswered)) : whole;
    const begunAt = this.#pace.now();
    const ended = new AbortController();
    const timers = new Set<NodeJS.Timeout>();
    const endAfter = (ms: number) => timers.add(setTimeout(() => ended.abort(), ms));
    const cancel = () => (uncancelled ? endAfter(GRACE_MS) : ended.abort());
    const signal = this.#signal;
    const deadline = setTimeout(() => ended.abort(), whole);
    timers.add(deadline);
    if (signal?.aborted) cancel();
    else signal?.addEventListener('abort', cancel, { once: true });
    try {
      const answer = await send({ abortSignal: ended.signal, requestTimeout }, (size) => {
        clearTimeout(deadline);
        endAfter(CALL_MS + size / SLOWEST_BYTES_PER_MS);
      });
      if (small) this.#patience.heard(this.#pace.now() - begunAt);
      return answer;
    } catch (error) {
      // An aborted request looks like one that we did not want; this one did not come to its end.
      if (ended.signal.aborted)
        throw Object.assign(new Error('no answer in time'), { name: 'TimeoutError', cause: error });
      throw error;
    } finally {
      signal?.removeEventListener('abort', cancel);
      for (const timer of timers) clearTimeout(timer);
    }
  }

  async #mend({ code }: ServiceFailure, nth: number, begunAt: number): Promise<number | undefined> {
    const session = this.#session;
    if (session === undefined) return undefined;
    if (EXPIRED.has(code)) return nth <= RENEWALS && (await session.renew(begunAt)) ? 0 : undefined;
    return UNKNOWN.has(code) && session.isFresh() ? UNKNOWN_DELAY_MS : undefined;
  }
}
