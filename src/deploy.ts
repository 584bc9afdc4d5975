import { proveAppendOnly } from './append-only.ts';
import { deleteStale, errorOf, uploadAll } from './apply.ts';
import { applyOptions } from './apply-options.ts';
import type { OpenBucket } from './bucket.ts';
import { planChanges } from './changes.ts';
import type { DeployId } from './core/manifest.ts';
import type { Outcome, Plan } from './core/model.ts';
import { indexObjects, manifestAfter } from './core/plan.ts';
import { DeployError } from './errors.ts';
import type { Inputs } from './inputs.ts';
import type { ManifestFile } from './manifest-file.ts';
import type { Report } from './report/report.ts';
import type { Source } from './site/scan.ts';

/** So often a deploy that others overtake plans again before it gives up. */
const ROUNDS = 5;

/** What a deploy is carried out with. */
export interface Deployment {
  readonly inputs: Inputs;
  readonly source: Source;
  readonly bucket: OpenBucket;
  readonly manifest: ManifestFile;
  readonly by: DeployId;
  readonly signal: AbortSignal;
}

/**
 * Carries a plan out: uploads in phases, then the manifest, then deletions. The manifest is written on the condition that
 * it is the one the plan was made with. If it is not, somebody else has deployed: this deploy plans again if it is the one
 * that began later, else it stops, having deleted nothing.
 * @throws DeployError UPLOAD_FAILED, DELETE_FAILED, SUPERSEDED, and what stops a run.
 */
export async function deploy(first: Plan, deployment: Deployment, report: Report): Promise<void> {
  const { inputs, source, bucket, manifest, by, signal } = deployment;
  const { store } = bucket;
  const options = applyOptions(inputs, bucket, report, signal);
  await proveAppendOnly(inputs, bucket);
  let plan = first;
  let done: Outcome | undefined;
  for (let round = 1; round <= ROUNDS; round++) {
    // An older deploy must not put its pages over those of a newer one that has finished.
    const mayGoOn = async () => !inputs.overwrite || (await manifest.isCurrent());
    const outcome = join(done, await report.upload(plan, () => uploadAll(plan, store, { ...options, mayGoOn })));
    throwIfFailed(outcome, plan);
    if (!outcome.interrupted && (await remember(plan, outcome, deployment)) && (await hasRevived(plan, deployment))) {
      const end = await report.delete(plan, () => deleteStale(plan, outcome, store, { ...options, mayGoOn }));
      throwIfFailed(end, plan);
      return;
    }
    await manifest.yieldTo(by);
    plan = await report.step('Plan', () => planChanges(inputs, source, bucket, manifest, by, report));
    done = { ...outcome, interrupted: false };
  }
  throw new DeployError('SUPERSEDED', 'Other deploys of the same prefix finished again and again meanwhile.', {
    hint: 'Nothing was deleted. Let deploys wait for each other, in the workflow file:\n    concurrency: deploy-site',
  });
}

/** Writes the manifest; false when it is not the one that was read any more. */
async function remember(plan: Plan, outcome: Outcome, { inputs, manifest, by }: Deployment): Promise<boolean> {
  if (!inputs.overwrite) return true; // The manifest would be overwritten.
  return manifest.write(manifestAfter(plan, outcome.uploaded, manifest.manifest, by, inputs), plan.verified);
}

/**
 * Whether what an earlier deploy held for stale, and this one needs again, is still there: that deploy may have been deleting
 * it while this one planned. It looks before it deletes, so after our manifest nothing of it goes.
 */
async function hasRevived({ revived }: Plan, { inputs, bucket }: Deployment): Promise<boolean> {
  if (revived.length === 0) return true;
  const { prefix } = inputs.destination;
  const { objects } = await indexObjects(bucket.store.list(prefix), prefix);
  return revived.every((key) => objects.has(key));
}

function throwIfFailed(outcome: Outcome, plan: Plan): void {
  const error = errorOf(outcome, plan);
  if (error !== undefined) throw error;
}

function join(before: Outcome | undefined, outcome: Outcome): Outcome {
  if (before === undefined) return outcome;
  return {
    ...outcome,
    uploaded: [...before.uploaded, ...outcome.uploaded],
    existing: [...before.existing, ...outcome.existing],
    bytesUploaded: before.bytesUploaded + outcome.bytesUploaded,
  };
}
