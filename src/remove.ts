import { deleteStale, errorOf } from './apply.ts';
import { applyOptions } from './apply-options.ts';
import type { OpenBucket } from './bucket.ts';
import { everythingBelow } from './core/invalidation.ts';
import type { Outcome } from './core/model.ts';
import { indexObjects } from './core/object-index.ts';
import { planRemoval } from './core/plan.ts';
import { count, plain } from './core/text.ts';
import { DeployError } from './errors.ts';
import type { Inputs } from './inputs.ts';
import { log } from './report/log.ts';
import type { Report } from './report/report.ts';

const NOTHING_YET: Outcome = {
  uploaded: [],
  existing: [],
  deleted: [],
  failures: [],
  bytesUploaded: 0,
  interrupted: false,
  stopped: undefined,
};

/**
 * Deletes everything below the prefix, tells the CDN, and deletes what the action itself keeps there last of all.
 * @throws DeployError TOO_MANY_DELETIONS, DELETE_FAILED, and what stops a run.
 */
export async function removeAll(
  inputs: Inputs,
  opened: OpenBucket,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const { store, cdn } = opened;
  const { bucket, prefix } = inputs.destination;
  const paths = inputs.invalidationPaths ?? [everythingBelow(prefix)];
  const { plan, own } = await report.step('Plan', async () => {
    const index = await indexObjects(store.list(prefix), prefix);
    log.line(`${count(index.objects.size, 'object')} below s3://${bucket}/${prefix}`);
    const removal = planRemoval(index.objects, { ...inputs, prefix });
    report.planned(removal);
    if (inputs.dryRun && cdn !== undefined && removal.deletions.length + index.own.length > 0)
      report.invalidated({ paths });
    return { plan: removal, own: index.own };
  });
  if (inputs.dryRun) return;
  const options = applyOptions(inputs, opened, report, signal);
  const outcome = await report.delete(plan, () => deleteStale(plan, NOTHING_YET, store, options));
  const error = errorOf(outcome, plan);
  if (error !== undefined) throw error;
  // The manifest is there until it is done: a removal that is cut off is made up for.
  if (plan.deletions.length + own.length > 0) await cdn?.invalidate(paths);
  if (plan.kept.length > 0 || own.length === 0) return;
  const [left] = await store.deleteMany(own.map(({ key }) => key));
  if (left !== undefined)
    throw new DeployError('DELETE_FAILED', `${plain(left.key)} stays: ${left.message}.`, { hint: 'Run it again.' });
}
