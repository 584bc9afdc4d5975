import { Caller } from './aws/caller.ts';
import type { Pace } from './aws/retry.ts';
import { openBucket } from './bucket.ts';
import { planChanges } from './changes.ts';
import type { DeployId } from './core/manifest.ts';
import { deploy } from './deploy.ts';
import { toDeployError } from './failures.ts';
import { refuseUntrusted } from './github/event.ts';
import { readInputs } from './inputs.ts';
import { ManifestFile } from './manifest-file.ts';
import { showPolicies } from './policies.ts';
import { removeAll } from './remove.ts';
import { Report } from './report/report.ts';
import { signIn } from './session.ts';
import { uploadShare } from './shard.ts';
import { NO_SOURCE } from './site/scan.ts';
import { readSource } from './source.ts';

/** What a run needs of the world; handed in by the entry. */
export interface World {
  readonly env: NodeJS.ProcessEnv;
  readonly pace: Pace;
  /** Aborted when the job is cancelled. */
  readonly signal: AbortSignal;
  /** What this run is called in the manifest that it writes. */
  readonly deploy: DeployId;
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
  const { mode } = inputs;
  if (mode === 'deploy' && !inputs.allowUntrusted) refuseUntrusted(world.env);
  const source =
    inputs.sourceDir === undefined ? NO_SOURCE : await report.step('Source', () => readSource(inputs, report));
  if (inputs.showPolicies) await report.step('Policies', () => showPolicies(inputs, world.env));
  if (inputs.showPolicies && !inputs.givesCredentials) return;

  const session = await report.step('Credentials', () => signIn(inputs, world, caller, report));
  const bucket = await report.step('Probe', () => openBucket(inputs, source, session, caller.as(session), report));
  if (mode === 'probe') return;
  if (mode === 'remove') return removeAll(inputs, bucket, report, world.signal);

  const by = { ...world.deploy, startedAt: caller.clock.atStore(world.deploy.startedAt) };
  const manifest = new ManifestFile(bucket.store, inputs.destination.prefix, inputs.shard);
  const plan = await report.step('Plan', () => planChanges(inputs, source, bucket, manifest, by, report));
  if (mode === 'plan') return;

  const carryOut = inputs.shard === undefined ? deploy : uploadShare;
  await carryOut(plan, { inputs, source, bucket, manifest, by, signal: world.signal }, report);
}
