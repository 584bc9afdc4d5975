import { proveAppendOnly } from './append-only.ts';
import { deleteStale, errorOf, uploadAll } from './apply.ts';
import { applyOptions } from './apply-options.ts';
import { ServiceError } from './aws/failure.ts';
import type { OpenBucket } from './bucket.ts';
import { planChanges } from './changes.ts';
import { describe } from './core/explain.ts';
import { pathsOfDeletions, pathsOfUploads } from './core/invalidation.ts';
import type { DeployId, Manifest } from './core/manifest.ts';
import type { Outcome, Plan } from './core/model.ts';
import { indexObjects } from './core/object-index.ts';
import { manifestAfter } from './core/plan.ts';
import { DeployError } from './errors.ts';
import type { Inputs } from './inputs.ts';
import type { ManifestFile } from './manifest-file.ts';
import { log } from './report/log.ts';
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
 * Carries a plan out: uploads in phases, then the manifest, then the invalidation, then deletions, and the invalidation of
 * what they took. The manifest is written on the condition that
 * it is the one the plan was made with. If it is not, somebody else has deployed: this deploy plans again if it is the one
 * that began later, else it stops, having deleted nothing.
 * @throws DeployError UPLOAD_FAILED, DELETE_FAILED, SUPERSEDED, and what stops a run.
 */
export async function deploy(first: Plan, deployment: Deployment, report: Report): Promise<void> {
  const { inputs, source, bucket, manifest, by, signal } = deployment;
  const { store, cdn } = bucket;
  const options = applyOptions(inputs, bucket, report, signal);
  await proveAppendOnly(inputs, bucket);
  let plan = first;
  let done: Outcome | undefined;
  for (let round = 1; round <= ROUNDS; round++) {
    // An older deploy must not put its pages over those of a newer one that has finished.
    const mayGoOn = async () => !inputs.overwrite || (await manifest.isCurrent());
    const outcome = join(done, await report.upload(plan, () => uploadAll(plan, store, { ...options, mayGoOn })));
    throwIfFailed(outcome, plan);
    const due = invalidationAfter(plan, outcome, deployment);
    const next = { ...manifestOf(plan, outcome, deployment), uninvalidated: due.isDue };
    if (!outcome.interrupted && (await remember(next, plan, deployment)) && (await hasRevived(plan, deployment))) {
      await cdn?.invalidate(due.paths);
      const end = await report.delete(plan, () => deleteStale(plan, outcome, store, { ...options, mayGoOn }));
      throwIfFailed(end, plan);
      await cdn?.invalidate(pathsOfDeletions(plan, end.deleted, inputs));
      if (cdn !== undefined && due.isDue) await settle(next, deployment);
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

/** What a CDN is to hear of before the deletions, and whether it is to hear of anything at all. */
function invalidationAfter(plan: Plan, outcome: Outcome, { inputs, bucket, manifest }: Deployment) {
  const missed = manifest.manifest?.uninvalidated ?? false;
  // A deploy that knows of no CDN leaves it to one that does.
  if (bucket.cdn === undefined) return { paths: [], isDue: missed };
  const keys = outcome.uploaded.map(({ key }) => key);
  const paths = pathsOfUploads(plan, keys, missed, inputs);
  return { paths, isDue: paths.length > 0 || plan.deletions.length > 0 };
}

/** The manifest after a plan. Where nothing is put, looked at or left behind it has the entries that it had. */
function manifestOf(plan: Plan, { uploaded }: Outcome, { inputs, manifest, by }: Deployment): Manifest {
  const isQuiet = !plan.verified && plan.stale.length + plan.revived.length + uploaded.length === 0;
  const { manifest: before, notes } = manifest;
  if (isQuiet && before !== undefined && notes.length === 0) return { by, entries: before.entries };
  return manifestAfter(plan, uploaded, manifest, by, inputs);
}

/** Writes the manifest; false when it is not the one that was read any more. */
async function remember(next: Manifest, plan: Plan, { inputs, manifest }: Deployment): Promise<boolean> {
  if (!inputs.overwrite) return true; // The manifest would be overwritten.
  return manifest.write(next, plan.verified);
}

/** Takes back that an invalidation is due. If it cannot be, one too many is made next time: no reason to fail. */
async function settle(next: Manifest, { inputs, manifest }: Deployment): Promise<void> {
  if (!inputs.overwrite) return;
  try {
    await manifest.write({ ...next, uninvalidated: false }, true);
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    log.warn(`The next deploy will invalidate everything once more: ${describe(error.failure)}.`);
  }
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

/** Ends a run whose outcome has failures. @throws DeployError the first of them, with how many there are. */
export function throwIfFailed(outcome: Outcome, plan: Plan): void {
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
