import { proveAppendOnly } from './append-only.ts';
import { uploadAll } from './apply.ts';
import { applyOptions } from './apply-options.ts';
import type { Plan } from './core/model.ts';
import { noteAfter } from './core/plan.ts';
import { type Deployment, throwIfFailed } from './deploy.ts';
import type { Report } from './report/report.ts';

/**
 * Uploads the share of a shard, and leaves a note of it for the last run, which finishes the deploy: that one finds the
 * assets without asking for each, also where their ETags say nothing. Without the note, or with one that is not right any
 * more, it compares as it does with any object, and puts what is missing.
 * @throws DeployError UPLOAD_FAILED, SUPERSEDED, and what stops a run.
 */
export async function uploadShare(
  plan: Plan,
  { inputs, bucket, manifest, by, signal }: Deployment,
  report: Report,
): Promise<void> {
  const options = applyOptions(inputs, bucket, report, signal);
  await proveAppendOnly(inputs, bucket);
  const outcome = await report.upload(plan, () => uploadAll(plan, bucket.store, options));
  // Who only appends compares nothing. What is up beside a file that failed need not go up again.
  const remembers = inputs.overwrite && outcome.stopped === undefined;
  const note = remembers ? noteAfter(plan, outcome.uploaded, manifest, by, inputs) : undefined;
  if (note !== undefined) await manifest.note(note);
  throwIfFailed(outcome, plan);
  if (inputs.overwrite && !(await manifest.isCurrent())) await manifest.yieldTo(by);
}
