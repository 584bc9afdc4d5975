import { deleteStale, errorOf, uploadAll } from './apply.ts';
import { applyOptions } from './apply-options.ts';
import { Caller } from './aws/clients.ts';
import type { Pace } from './aws/retry.ts';
import { openBucket } from './bucket.ts';
import { planChanges } from './changes.ts';
import { toDeployError } from './failures.ts';
import { readInputs } from './inputs.ts';
import { showPolicies } from './policies.ts';
import { Report } from './report/report.ts';
import { signIn } from './session.ts';
import { NO_SOURCE } from './site/scan.ts';
import { readSource } from './source.ts';

/** What a run needs of the world; handed in by the entry. */
export interface World {
  readonly env: NodeJS.ProcessEnv;
  readonly pace: Pace;
  /** Aborted when the job is cancelled. */
  readonly signal: AbortSignal;
}

/** One run, from its inputs to its report. Answers whether it succeeded; never throws. */
export async function main(world: World): Promise<boolean> {
  const caller = new Caller(world.pace, world.signal);
  const report = new Report(world.env, caller.tally);
  const error = await run(world, caller, report).then(
    () => undefined,
    (thrown: unknown) => toDeployError(thrown, report.record.destination, world.signal),
  );
  await report.close(error);
  return error === undefined;
}

async function run(world: World, caller: Caller, report: Report): Promise<void> {
  const inputs = readInputs(world.env);
  report.began(inputs);
  const source = inputs.mode === 'probe' ? NO_SOURCE : await report.step('Source', () => readSource(inputs, report));
  if (inputs.showPolicies) await report.step('Policies', () => showPolicies(inputs, world.env));
  if (inputs.showPolicies && !inputs.givesCredentials) return;

  const session = await report.step('Credentials', () => signIn(inputs, world, caller, report));
  const { store } = await report.step('Probe', () => openBucket(inputs, session, caller.as(session), report));
  if (inputs.mode === 'probe') return;

  const plan = await report.step('Plan', () => planChanges(inputs, source, store, report));
  if (inputs.mode === 'plan') return;

  const options = applyOptions(inputs, report, world.signal);
  const uploaded = await report.upload(plan, () => uploadAll(plan, store, options));
  const outcome = await report.delete(plan, () => deleteStale(plan, uploaded, store, options));
  const error = errorOf(outcome, plan);
  if (error !== undefined) throw error;
}
