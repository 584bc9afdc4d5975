import { Concurrency } from '../core/concurrency.ts';
import { isOfCloudFront, kindOf, type ServiceFailure } from '../core/explain.ts';
import { type CallOptions, Connections } from './connections.ts';
import { Patience } from './patience.ts';
import { type Pace, withRetry } from './retry.ts';
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
      mayRetry: how.mayRetry,
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
