import { randomUUID } from 'node:crypto';
import type { Caller } from './aws/caller.ts';
import type { CloudFront } from './aws/cloudfront.ts';
import { ServiceError } from './aws/failure.ts';
import type { Session } from './aws/session.ts';
import { explain, kindOf } from './core/explain.ts';
import { count, duration } from './core/text.ts';
import { DeployError } from './errors.ts';
import type { Inputs } from './inputs.ts';
import { log } from './report/log.ts';
import type { Report } from './report/report.ts';
import { type Place, suggestedPolicy } from './suggested-policy.ts';

const FIRST_LOOK_MS = 1_000;
const LATER_LOOK_MS = 10_000;
/** An invalidation is done in a minute or two; one that is not by then is nothing to wait for in a job. */
const LONGEST_WAIT_MS = 20 * 60_000;

/** The CloudFront distribution in front of the bucket. */
export class Cdn {
  readonly cloudfront: CloudFront;
  readonly #caller: Caller;
  readonly #inputs: Inputs;
  readonly #place: Place;
  readonly #session: Session;
  readonly #report: Report;

  constructor(cloudfront: CloudFront, { inputs, place, session, caller, report }: CdnWorld) {
    this.cloudfront = cloudfront;
    this.#inputs = inputs;
    this.#place = place;
    this.#session = session;
    this.#caller = caller;
    this.#report = report;
  }

  /**
   * Makes the distribution forget what it has cached of these paths, and with `cloudfront-wait` waits until it has.
   * @throws DeployError PERMISSION_DENIED with the statement to paste, INPUT_INVALID, STORE_UNREACHABLE, STORE_MISBEHAVED.
   */
  async invalidate(paths: readonly string[]): Promise<void> {
    if (paths.length === 0) return;
    await this.#report.step('Invalidate', async () => {
      const batch = { reference: `s3-deploy-${randomUUID()}`, paths };
      const { id } = await this.#explained(() => this.cloudfront.invalidate(batch));
      this.#report.invalidated({ id, paths });
      log.line(`${count(paths.length, 'path')} of ${this.cloudfront.distribution} invalidated: ${id}`);
      if (this.#inputs.cloudfrontWait) await this.#waitFor(id);
    });
  }

  async #waitFor(id: string): Promise<void> {
    const started = performance.now();
    let waited = 0;
    for (let next = FIRST_LOOK_MS; waited < LONGEST_WAIT_MS; next = Math.min(LATER_LOOK_MS, next * 1.5)) {
      await this.#caller.pause(next);
      waited += next;
      const { isComplete } = await this.#explained(() => this.cloudfront.look(id));
      if (isComplete) return log.line(`${id} is complete after ${duration(performance.now() - started)}`);
    }
    throw new DeployError('STORE_UNREACHABLE', `The invalidation ${id} is not complete after ${duration(waited)}.`, {
      hint: 'CloudFront goes on with it. Nothing was deleted after that; run the job again, or leave out cloudfront-wait.',
    });
  }

  /** Says what a failure leaves behind, and of a denial what to add to whose policy. */
  async #explained<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      const { failure } = error;
      const { code, message, hint } = explain(failure, this.#inputs.destination);
      const lines = kindOf(failure) === 'denied' ? this.#grant(`cloudfront:${failure.operation}`) : [hint];
      throw new DeployError(code, `${message} CloudFront may go on serving what it has cached.`, {
        hint: [...lines, this.#inputs.overwrite ? AGAIN : BY_HAND].join('\n'),
        cause: error,
      });
    }
  }

  #grant(action: string): string[] {
    const policy = suggestedPolicy(this.#inputs, this.#place, [action]);
    return [`Add this to the permission policy of ${this.#session.holder}:`, JSON.stringify(policy.Statement, null, 2)];
  }
}

const AGAIN = 'It is remembered that an invalidation is due: run the job again, and it is made.';
/** There is no manifest then. */
const BY_HAND =
  'With overwrite: false nothing remembers that an invalidation is due: make it in the console of CloudFront.';

/** What a CDN needs to know to say what is missing. */
export interface CdnWorld {
  readonly inputs: Inputs;
  readonly place: Place;
  readonly session: Session;
  readonly caller: Caller;
  readonly report: Report;
}
