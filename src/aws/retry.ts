import { kindOf, type ServiceFailure } from '../core/explain.ts';
import { ServiceError, toServiceError } from './failure.ts';

/** What retrying needs of the world; handed in, so that a test can turn its clock. */
export interface Pace {
  /** Milliseconds, monotonic. */
  now(): number;
  /** Waits; rejects when the signal is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** From 0 to 1. */
  random(): number;
}

/** From the first failure of a call, its retries may begin for this long. A deploy outlives a blip of a minute. */
const BUDGET_MS = 90_000;
/** Answers that are wrong rather than absent are asked for again only so often: a broken proxy stays broken. */
const MISBEHAVED_ATTEMPTS = 8;
/** The SDK corrects its clock after the first; later ones are another server's clock, or a clock that nothing mends. */
const SKEW_ATTEMPTS = 6;
const HOST_ATTEMPTS = 4;
/** About ten seconds for a store that has never answered: a wrong port never will. One that has may be restarting. */
const REFUSED_ATTEMPTS = 7;
/** After the cancellation of a job: the runner sends SIGTERM after 7.5 s, and kills after ten. */
const HURRY_MS = 2_000;
const FIRST_DELAY_MS = { throttled: 500, transient: 100, unreachable: 200, misbehaved: 100 };
const LONGEST_DELAY_MS = { throttled: 15_000, transient: 15_000, unreachable: 15_000, misbehaved: 1000 };
const LONGEST_ASKED_MS = 15_000;

export interface RetryOptions {
  readonly signal?: AbortSignal | undefined;
  /** Ends waiting, not the call: once it is aborted, retries begin for a few seconds more. */
  readonly hurry?: AbortSignal | undefined;
  /** Codes that are an answer here, not a fault. */
  readonly expect?: readonly string[] | undefined;
  /** Whether the store has answered in this run before. */
  hasAnswered?(): boolean;
  /** From the first failure, retries may begin for so many milliseconds. */
  readonly budgetMs?: number | undefined;
  /** Milliseconds after which a failure is tried again that by its kind would not be; the nth with its code. */
  again?(failure: ServiceFailure, nth: number): Promise<number | undefined>;
  /** Asked before each retry; false leaves it at the failure. */
  readonly mayRetry?: (() => Promise<boolean>) | undefined;
  onRetry?(failure: ServiceFailure, delayMs: number): void;
}

/**
 * Calls until it succeeds, by kind of failure: throttling, 5xx, network, timeouts and conflicts with exponential backoff
 * and full jitter; denials, wrong keys and bad requests never. Each kind is counted by itself: who meets a little of
 * everything is not met by more and more of one thing. The SDK's own retries are off: its quota gives up under load, and
 * a stream body gets one attempt.
 * @param call is told how many calls before it were not answered.
 * @param optionsOf asked when the first call has failed: nearly all do not.
 * @throws ServiceError the last failure.
 */
export async function withRetry<T>(
  operation: string,
  call: (unanswered: number) => Promise<T>,
  pace: Pace,
  optionsOf: () => RetryOptions = () => ({}),
): Promise<T> {
  let options: RetryOptions | undefined;
  let deadline: number | undefined;
  let hurriedAt: number | undefined;
  let seen: Map<string, number> | undefined;
  for (;;) {
    try {
      return await call(seen?.get('unreachable') ?? 0);
    } catch (error) {
      options ??= optionsOf();
      options.signal?.throwIfAborted();
      if (isOurs(error)) throw error;
      const { failure } = toServiceError(operation, error);
      deadline ??= pace.now() + (options.budgetMs ?? BUDGET_MS);
      if (options.hurry?.aborted) {
        hurriedAt ??= pace.now();
        deadline = Math.min(deadline, hurriedAt + HURRY_MS);
      }
      seen ??= new Map();
      const [nth, nthOfCode] = [count(seen, kindOf(failure)), count(seen, `code ${failure.code}`)];
      const delay = options.expect?.includes(failure.code)
        ? undefined
        : (delayBefore(failure, { nth, nthOfCode, hasAnswered: options.hasAnswered?.() ?? false }, pace.random()) ??
          (await options.again?.(failure, nthOfCode)));
      if (delay === undefined || pace.now() + delay > deadline) throw new ServiceError(failure);
      options.onRetry?.(failure, delay);
      await wait(delay, pace, options);
      if (options.mayRetry !== undefined && !(await options.mayRetry())) throw new ServiceError(failure);
    }
  }
}

function count(seen: Map<string, number>, what: string): number {
  const nth = (seen.get(what) ?? 0) + 1;
  seen.set(what, nth);
  return nth;
}

/** Waits; a job that is cancelled meanwhile ends the wait, and with `hurry` nothing more. */
async function wait(ms: number, pace: Pace, { signal, hurry }: RetryOptions): Promise<void> {
  if (hurry === undefined || hurry.aborted) return pace.sleep(ms, signal);
  await pace.sleep(ms, hurry).catch(() => undefined);
}

/** Which failure it is: the nth of its kind, and of its code. */
interface Count {
  readonly nth: number;
  readonly nthOfCode: number;
  readonly hasAnswered: boolean;
}

/** Milliseconds to wait after a failure, or undefined when another try cannot help. */
function delayBefore(failure: ServiceFailure, count: Count, random: number): number | undefined {
  const { nth, nthOfCode, hasAnswered } = count;
  const kind = kindOf(failure);
  switch (kind) {
    case 'misbehaved':
      if (nth >= MISBEHAVED_ATTEMPTS) return undefined;
      break;
    case 'transient':
      if (failure.code === 'RequestTimeTooSkewed' && nthOfCode >= SKEW_ATTEMPTS) return undefined;
      break;
    case 'unreachable':
      if (failure.code === 'CertificateRefused' || failure.code === 'NoTls') return undefined;
      if (failure.code === 'HostNotFound' && nthOfCode >= HOST_ATTEMPTS) return undefined;
      if (failure.code === 'ConnectionRefused' && nthOfCode >= REFUSED_ATTEMPTS && !hasAnswered) return undefined;
      break;
    case 'throttled':
      break;
    default:
      return undefined;
  }
  const ceiling = Math.min(LONGEST_DELAY_MS[kind], FIRST_DELAY_MS[kind] * 2 ** (nth - 1));
  const asked = Math.min(LONGEST_ASKED_MS, (failure.retryAfter ?? 0) * 1000);
  return Math.max(asked, ceiling * random);
}

/** Errors of our own (a file that changed) pass through untouched. */
function isOurs(error: unknown): boolean {
  return error instanceof Error && error.name === 'DeployError';
}
