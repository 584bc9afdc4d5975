import { S3Client } from '@aws-sdk/client-s3';
import { STSClient } from '@aws-sdk/client-sts';
import { Concurrency } from '../core/concurrency.ts';
import { isOfCloudFront, kindOf, misbehaved, type ServiceFailure } from '../core/explain.ts';
import { type CallOptions, Connections } from './connections.ts';
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

/** The slowest line that a whole call is waited for, in bytes per millisecond, above a fixed allowance. */
const SLOWEST_BYTES_PER_MS = 32;
const CALL_MS = 30_000;
/** Requests with a body up to this are answered soon, or not at all: see `Patience`. */
const SMALL_BYTES = 128 * 1024;
/** What a call that must be finished gets after the job was cancelled, before it is given up. */
const GRACE_MS = 2_000;

/**
 * A client for the store. Retries are ours (`retry.ts`), and so are the checksums (`checksum.ts`): the SDK adds one only
 * where S3 demands it. It must never get a `logger`: that prints keys.
 */
export function createS3(
  address: StoreAddress,
  credentials: CredentialSource,
  connections: Connections,
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
    requestHandler: connections.handler(),
  });
  s3.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        const result = await next(args);
        const { method } = args.request as { method: string };
        inspectAnswer(String(commandName).replace(/Command$/, ''), method, result.response as HttpResponse, clock);
        return result;
      },
    { step: 'deserialize', name: 'inspectAnswer' },
  );
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
export function createAnonymousS3(address: StoreAddress, connections: Connections): S3Client {
  return new S3Client({
    region: address.region,
    forcePathStyle: address.forcePathStyle,
    ...(address.endpoint === undefined ? {} : { endpoint: address.endpoint }),
    credentials: { accessKeyId: '', secretAccessKey: '' },
    signer: { sign: async (request) => request },
    maxAttempts: 1,
    requestHandler: connections.handler(),
  });
}

/** An answer before anything of its body is read. */
export interface HttpResponse {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body?: { resume?(): void };
}

/**
 * Learns from an answer what the store's clock says, and refuses a proxy's page: it must not pass for success, and to the
 * SDK an answer without members is one where nothing went wrong. Web pages are none of S3's answers, but objects that are
 * read may be some; a deletion is answered with 204.
 * @throws ServiceError
 */
export function inspectAnswer(
  operation: string,
  method: string,
  { statusCode, headers, body }: HttpResponse,
  clock: StoreClock | undefined,
): void {
  const isPage = /^text\/html\b/i.test(headers['content-type'] ?? '');
  const reads = method === 'GET' || method === 'HEAD';
  if (statusCode < 300 && !reads && (isPage || (method === 'DELETE' && statusCode !== 204))) {
    body?.resume?.();
    const what = isPage ? 'a web page instead of an answer' : `${statusCode} in place of 204`;
    throw new ServiceError(misbehaved(operation, what));
  }
  clock?.read(headers.date);
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
export function createSts(
  region: string,
  endpoint: string | undefined,
  connections: Connections,
  credentials?: CredentialSource,
): STSClient {
  return new STSClient({
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    // Calls that are not signed must not go looking for ambient credentials.
    credentials: credentials ?? (() => Promise.reject(new Error('this call is not signed'))),
    maxAttempts: 1,
    requestHandler: connections.handler(),
  });
}

/** How many calls were made, by operation, and how often one was made again. */
export class Tally {
  readonly calls = new Map<string, number>();
  retries = 0;
  /** Services that have answered: the store, STS, or CloudFront. */
  readonly answered = new Set<'s3' | 'sts' | 'cloudfront'>();

  count(operation: string): void {
    this.calls.set(operation, (this.calls.get(operation) ?? 0) + 1);
  }
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

/** The end of a call that comes from outside: its time is over, or the job is cancelled. */
class Ending {
  hasEnded = false;
  #controller: AbortController | undefined;
  #hear: (() => void) | undefined;

  readonly end = (): void => {
    this.hasEnded = true;
    this.#controller?.abort();
    this.#hear?.();
  };

  options(requestTimeout: number): CallOptions {
    const controllerOf = () => {
      this.#controller ??= new AbortController();
      if (this.hasEnded) this.#controller.abort();
      return this.#controller;
    };
    return {
      requestTimeout,
      // Only made for the SDK: it is a fifth of the memory that a call takes.
      get abortSignal() {
        return controllerOf().signal;
      },
      onEnd: (hear) => {
        this.#hear = hear;
        if (this.hasEnded) hear();
      },
    };
  }
}

/** What all calls of a run have in common, whoever makes them. */
interface Shared {
  readonly tally: Tally;
  readonly clock: StoreClock;
  readonly connections: Connections;
  readonly concurrency: Concurrency;
  readonly patience: Patience;
  /** Cancels the calls that are under way: one listener for all, since a signal with many takes long to add another. */
  readonly underWay: Set<() => void>;
}

function newShared(signal: AbortSignal | undefined): Shared {
  const underWay = new Set<() => void>();
  signal?.addEventListener('abort', () => {
    for (const cancel of underWay) cancel();
  });
  return {
    tally: new Tally(),
    clock: new StoreClock(),
    connections: new Connections(),
    concurrency: new Concurrency(),
    patience: new Patience(),
    underWay,
  };
}

function serviceOf(operation: string): 's3' | 'sts' | 'cloudfront' {
  if (isOfCloudFront(operation)) return 'cloudfront';
  return /^(Assume|GetCaller|GetIdToken)/.test(operation) ? 'sts' : 's3';
}

/** Makes calls: counted, retried by kind, ended when the run is, and as a session with credentials that are good. */
export class Caller {
  readonly tally: Tally;
  readonly clock: StoreClock;
  readonly connections: Connections;
  /** How many puts the store is seen to take at once. */
  readonly concurrency: Concurrency;
  readonly #shared: Shared;
  readonly #pace: Pace;
  readonly #signal: AbortSignal | undefined;
  readonly #session: Session | undefined;

  constructor(pace: Pace, signal?: AbortSignal, session?: Session, shared = newShared(signal)) {
    this.#pace = pace;
    this.#signal = signal;
    this.#session = session;
    this.#shared = shared;
    this.tally = shared.tally;
    this.clock = shared.clock;
    this.connections = shared.connections;
    this.concurrency = shared.concurrency;
  }

  /** A caller for calls with the credentials of a session, which it renews when they have expired. */
  as(session: Session): Caller {
    return new Caller(this.#pace, this.#signal, session, this.#shared);
  }

  /** Waits, unless the run ends meanwhile. */
  pause(ms: number): Promise<void> {
    return this.#pace.sleep(ms, this.#signal);
  }

  /**
   * Makes one call with retries.
   * @throws ServiceError the last failure.
   */
  call<T>(operation: string, send: Send<T>, how: CallHow = {}): Promise<T> {
    const service = serviceOf(operation);
    let begunAt = 0;
    const once = async (unanswered: number) => {
      begunAt = this.#pace.now();
      this.tally.count(operation);
      const answer = await this.#once(send, how, unanswered);
      this.tally.answered.add(service);
      if (operation === 'PutObject' && (how.bytes ?? 0) <= SMALL_BYTES)
        this.concurrency.heard(this.#pace.now() - begunAt);
      return answer;
    };
    return withRetry(operation, once, this.#pace, {
      signal: how.uncancelled ? undefined : this.#signal,
      hasAnswered: () => this.tally.answered.has(service),
      hurry: how.uncancelled ? this.#signal : undefined,
      expect: how.expect,
      budgetMs: how.budgetMs,
      again: async (failure, nth) => how.again?.(failure, nth) ?? (await this.#mend(failure, nth, begunAt)),
      onRetry: (failure) => {
        this.tally.retries++;
        if (service === 's3' && kindOf(failure) === 'throttled') this.concurrency.throttled();
      },
    });
  }

  /** Sends one request, and gives it up when it takes too long, whether in silence or drop by drop. */
  async #once<T>(send: Send<T>, { bytes = 0, slow, uncancelled }: CallHow, unanswered: number): Promise<T> {
    const { patience, underWay } = this.#shared;
    const whole = CALL_MS + bytes / SLOWEST_BYTES_PER_MS;
    const small = !slow && bytes <= SMALL_BYTES;
    const requestTimeout = small ? Math.min(whole, patience.waitFor(bytes, unanswered)) : whole;
    const begunAt = this.#pace.now();
    const ending = new Ending();
    let deadline = setTimeout(ending.end, whole);
    let grace: NodeJS.Timeout | undefined;
    const cancel = () => {
      if (!uncancelled) ending.end();
      else grace ??= setTimeout(ending.end, GRACE_MS);
    };
    if (this.#signal?.aborted) cancel();
    underWay.add(cancel);
    try {
      const answer = await send(ending.options(requestTimeout), (size) => {
        clearTimeout(deadline);
        deadline = setTimeout(ending.end, CALL_MS + size / SLOWEST_BYTES_PER_MS);
      });
      if (small) patience.heard(this.#pace.now() - begunAt);
      return answer;
    } catch (error) {
      // An aborted request looks like one that we did not want; this one did not come to its end.
      if (ending.hasEnded) throw Object.assign(new Error('no answer in time'), { name: 'TimeoutError', cause: error });
      throw error;
    } finally {
      underWay.delete(cancel);
      clearTimeout(deadline);
      clearTimeout(grace);
    }
  }

  async #mend({ code }: ServiceFailure, nth: number, begunAt: number): Promise<number | undefined> {
    const session = this.#session;
    if (session === undefined) return undefined;
    if (EXPIRED.has(code)) return nth <= RENEWALS && (await session.renew(begunAt)) ? 0 : undefined;
    return UNKNOWN.has(code) && session.isFresh() ? UNKNOWN_DELAY_MS : undefined;
  }
}
