import type { S3Client } from '@aws-sdk/client-s3';
import { type Denial, denialOf, explain, kindOf, type ServiceFailure } from '../../core/explain.ts';
import { type Destination, probeFolder } from '../../core/key.ts';
import type { Check } from '../../core/model.ts';
import type { Caller } from '../caller.ts';
import type { CallOptions } from '../connections.ts';
import { ServiceError } from '../failure.ts';

/** What a call showed, before it is put into a Check. */
export type Verdict = Pick<Check, 'result' | 'evidence' | 'why' | 'deniedBy' | 'status' | 'requestId'>;

/** A call and how it ended: with an answer, with a denial, or with another refusal. */
export interface Trial<T> {
  readonly verdict: Verdict;
  readonly answer?: T;
  readonly failure?: ServiceFailure;
  /** What a denial says of itself. */
  readonly denial?: Denial;
}

interface Answer {
  readonly $metadata: { httpStatusCode?: number | undefined; requestId?: string | undefined };
}

/** How a trial is made. */
export interface TrialHow {
  /** Error codes which tell that the action itself is allowed. */
  readonly allowing?: readonly string[];
  /** Finishes although the job is cancelled: what it may leave behind is taken back by the next call. */
  readonly uncancelled?: boolean;
}

/** Makes the calls of one probe below one prefix, and keeps what could not be taken back. */
export class Prober {
  readonly s3: S3Client;
  readonly destination: Destination;
  /** What stays behind: `the object docs/.s3-deploy-probe/… (DeleteObject 403 AccessDenied)`. */
  readonly leftovers: string[] = [];
  readonly #caller: Caller;
  readonly #runId: string;
  readonly #onLeftover: (what: string) => void;

  /** @param onLeftover hears of a leftover at once: the run may be over before the probe is. */
  constructor(
    s3: S3Client,
    caller: Caller,
    { destination, runId }: { destination: Destination; runId: string },
    onLeftover: (what: string) => void,
  ) {
    this.s3 = s3;
    this.destination = destination;
    this.#caller = caller;
    this.#runId = runId;
    this.#onLeftover = onLeftover;
  }

  get bucket(): { Bucket: string } {
    return { Bucket: this.destination.bucket };
  }

  /** A key that no other run touches. */
  ownKey(name: string): string {
    return `${probeFolder(this.destination.prefix)}${this.#runId}-${name}`;
  }

  /**
   * Makes one call and judges its answer.
   * @throws DeployError when it tells of more than a permission: no bucket, wrong keys, a silent store.
   */
  async try<T extends Answer>(
    operation: string,
    send: (options: CallOptions) => Promise<T>,
    { allowing = [], uncancelled = false }: TrialHow = {},
  ): Promise<Trial<T>> {
    const call = () => this.#caller.call(operation, send, { expect: allowing, uncancelled });
    return this.judge(operation, call, allowing);
  }

  /** Judges the answer to a call that is made with retries of its own. */
  async judge<T extends Answer>(
    operation: string,
    call: () => Promise<T>,
    allowing: readonly string[] = [],
  ): Promise<Trial<T>> {
    try {
      const answer = await call();
      const { httpStatusCode: status, requestId } = answer.$metadata;
      const evidence = `${operation} ${status}`;
      return { verdict: { result: 'allowed', evidence, ...told(status, requestId) }, answer };
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      return this.#judge(error.failure, allowing);
    }
  }

  /** Takes back what a check had to leave, also when the run is being cancelled; what stays is remembered. */
  async takeBack<T extends Answer>(
    operation: string,
    leftover: string,
    send: (options: CallOptions) => Promise<T>,
  ): Promise<Trial<T>> {
    try {
      const gone = ['NoSuchKey', 'NoSuchUpload', 'NotFound'];
      const trial = await this.try(operation, send, { uncancelled: true, allowing: gone });
      if (trial.verdict.result !== 'allowed') this.#leaves(`${leftover} (${trial.verdict.evidence})`);
      return trial;
    } catch (error) {
      // A store that is gone keeps what it has; the run ends for a better reason.
      const { message } = error as Error;
      this.#leaves(`${leftover} (${message})`);
      return { verdict: { result: 'unknown', evidence: operation, why: message } };
    }
  }

  #leaves(what: string): void {
    this.leftovers.push(what);
    this.#onLeftover(what);
  }

  #judge<T>(failure: ServiceFailure, allowing: readonly string[]): Trial<T> {
    const evidence = `${failure.operation} ${failure.status ?? ''} ${failure.code}`;
    const found = { evidence, ...told(failure.status, failure.requestId) };
    if (allowing.includes(failure.code)) return { verdict: { result: 'allowed', ...found }, failure };
    const kind = kindOf(failure);
    if (kind === 'denied') {
      const denial = denialOf(failure.message);
      return { verdict: { result: 'denied', ...found, ...whose(denial) }, failure, denial };
    }
    if (kind !== 'refused') throw explain(failure, this.destination);
    const why = failure.message || 'the store does not know this call';
    return { verdict: { result: 'unknown', ...found, why }, failure };
  }
}

/** Who denied, as far as the denial says. */
export function whose({ by, policy, explicit }: Denial): Pick<Verdict, 'why' | 'deniedBy'> {
  return { ...(by !== undefined && { why: by }), ...(policy !== undefined && { deniedBy: { policy, explicit } }) };
}

function told(status: number | undefined, requestId: string | undefined): Pick<Verdict, 'status' | 'requestId'> {
  return { ...(status !== undefined && { status }), ...(requestId !== undefined && { requestId }) };
}

/** What is to be said of an action that a call never came to. */
export function notReached(first: string): Verdict {
  return { result: 'unknown', evidence: 'not tried', why: `${first} was denied before it` };
}
