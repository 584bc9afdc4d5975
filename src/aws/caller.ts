import { Concurrency } from '../core/concurrency.ts';
import { isOfCloudFront, kindOf, type ServiceFailure } from '../core/explain.ts';
import { type CallOptions, Connections } from './connections.ts';
import { Patience } from './patience.ts';
import { type Pace, type RetryOptions, withRetry } from './retry.ts';
import type { Session } from './session.ts';
import { StoreClock } from './store-clock.ts';

/** The slowest line that a whole call is waited for, in bytes per millisecond, above a fixed allowance. */
const SLOWEST_BYTES_PER_MS = 32;
const CALL_MS = 30_000;
/** Requests with a body up to this are answered soon, or not at all: see `Patience`. */
const SMALL_BYTES = 128 * 1024;
/** What a call that must be finished gets after the job was cancelled, before it is given up. */
const GRACE_MS = 2_000;

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

/** Sends one request. */
export type Send<T> = (options: TryOptions) => Promise<T>;

export interface TryOptions extends CallOptions {
  /** An answer of more than 128 KiB is waited for longer once it is told how long it is. */
  expectBytes(bytes: number): void;
}

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
  /** Asked before a retry; false leaves it at the failure. */
  mayRetry?(): Promise<boolean>;
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

/**
 * One try of a call, which may be ended from outside: its time is over, or the job is cancelled. As small as it can be: there
 * are a hundred of them at once, and what lives as long as a request is cleaned up late.
 */
class Try implements TryOptions {
  readonly requestTimeout: number;
  hasEnded = false;
  readonly #uncancelled: boolean;
  #deadline: NodeJS.Timeout;
  #grace: NodeJS.Timeout | undefined;
  #controller: AbortController | undefined;
  #hear: (() => void) | undefined;

  /**
   * @param requestTimeout milliseconds for which an answer is waited for.
   * @param whole milliseconds until all of it has come.
   */
  constructor(requestTimeout: number, whole: number, uncancelled = false) {
    this.requestTimeout = requestTimeout;
    this.#uncancelled = uncancelled;
    this.#deadline = setTimeout(endOf, whole, this);
  }

  // Only made for the SDK: it is a fifth of the memory that a call takes.
  get abortSignal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.hasEnded) this.#controller.abort();
    return this.#controller.signal;
  }

  onEnd(hear: () => void): void {
    this.#hear = hear;
    if (this.hasEnded) hear();
  }

  expectBytes(bytes: number): void {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(endOf, wholeFor(bytes), this);
  }

  end(): void {
    this.hasEnded = true;
    this.#controller?.abort();
    this.#hear?.();
  }

  /** The job is. */
  cancel(): void {
    if (!this.#uncancelled) this.end();
    else this.#grace ??= setTimeout(endOf, GRACE_MS, this);
  }

  /** Nothing is left to end. */
  close(): void {
    clearTimeout(this.#deadline);
    clearTimeout(this.#grace);
  }
}

function endOf(one: Try): void {
  one.end();
}

/** Milliseconds for a call with a body of so many bytes; in whole seconds, as timers of one length cost less. */
function wholeFor(bytes: number): number {
  return CALL_MS + Math.ceil(bytes / SLOWEST_BYTES_PER_MS / 1000) * 1000;
}

/** What all calls of a run have in common, whoever makes them. */
interface Shared {
  readonly tally: Tally;
  readonly clock: StoreClock;
  readonly connections: Connections;
  readonly concurrency: Concurrency;
  readonly patience: Patience;
  /** Cancels the calls that are under way: one listener for all, since a signal with many takes long to add another. */
  readonly underWay: Set<Try>;
}

function newShared(signal: AbortSignal | undefined): Shared {
  const underWay = new Set<Try>();
  signal?.addEventListener('abort', () => {
    for (const one of underWay) one.cancel();
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
    let begunAt = 0;
    const once = (unanswered: number) => {
      begunAt = this.#pace.now();
      return this.#once(operation, send, how, unanswered);
    };
    return withRetry(operation, once, this.#pace, () => this.#retries(operation, how, () => begunAt));
  }

  #retries(operation: string, how: CallHow, begunAt: () => number): RetryOptions {
    const service = serviceOf(operation);
    return {
      signal: how.uncancelled ? undefined : this.#signal,
      hasAnswered: () => this.tally.answered.has(service),
      hurry: how.uncancelled ? this.#signal : undefined,
      expect: how.expect,
      budgetMs: how.budgetMs,
      mayRetry: how.mayRetry,
      again: async (failure, nth) => how.again?.(failure, nth) ?? (await this.#mend(failure, nth, begunAt())),
      onRetry: (failure) => {
        this.tally.retries++;
        if (service === 's3' && kindOf(failure) === 'throttled') this.concurrency.throttled();
      },
    };
  }

  /** Sends one request, and gives it up when it takes too long, whether in silence or drop by drop. */
  async #once<T>(
    operation: string,
    send: Send<T>,
    { bytes = 0, slow, uncancelled }: CallHow,
    unanswered: number,
  ): Promise<T> {
    const { patience, underWay } = this.#shared;
    const whole = wholeFor(bytes);
    const small = !slow && bytes <= SMALL_BYTES;
    const one = new Try(small ? Math.min(whole, patience.waitFor(bytes, unanswered)) : whole, whole, uncancelled);
    const begunAt = this.#pace.now();
    if (this.#signal?.aborted) one.cancel();
    underWay.add(one);
    this.tally.count(operation);
    try {
      const answer = await send(one);
      const took = this.#pace.now() - begunAt;
      if (small) patience.heard(took);
      if (operation === 'PutObject' && bytes <= SMALL_BYTES) this.concurrency.heard(took);
      this.tally.answered.add(serviceOf(operation));
      return answer;
    } catch (error) {
      // An aborted request looks like one that we did not want; this one did not come to its end.
      if (one.hasEnded) throw Object.assign(new Error('no answer in time'), { name: 'TimeoutError', cause: error });
      throw error;
    } finally {
      underWay.delete(one);
      one.close();
    }
  }

  async #mend({ code }: ServiceFailure, nth: number, begunAt: number): Promise<number | undefined> {
    const session = this.#session;
    if (session === undefined) return undefined;
    if (EXPIRED.has(code)) return nth <= RENEWALS && (await session.renew(begunAt)) ? 0 : undefined;
    return UNKNOWN.has(code) && session.isFresh() ? UNKNOWN_DELAY_MS : undefined;
  }
}
