import type { OpenBucket } from './bucket.ts';
import { eachOf } from './core/each-of.ts';
import { unusedRules } from './core/header-rules.ts';
import { pathsOfDeletions, pathsOfUploads } from './core/invalidation.ts';
import type { DeployId } from './core/manifest.ts';
import type { ObjectHeaders, Plan, RemoteObject } from './core/model.ts';
import { planDeploy, toAsk } from './core/plan.ts';
import { storeProblem } from './core/storable.ts';
import { count, plain } from './core/text.ts';
import { DeployError } from './errors.ts';
import type { Inputs } from './inputs.ts';
import type { ManifestFile } from './manifest-file.ts';
import { log } from './report/log.ts';
import type { Report } from './report/report.ts';
import type { Source } from './site/scan.ts';
import { survey } from './survey.ts';

/** Lists the bucket, reads the manifest, compares what may be the same, and plans. Changes nothing. */
export async function planChanges(
  inputs: Inputs,
  source: Source,
  bucket: OpenBucket,
  manifest: ManifestFile,
  by: DeployId,
  report: Report,
): Promise<Plan> {
  const { prefix } = inputs.destination;
  refuseUnstorable(source, bucket);
  const options = { ...inputs, prefix, bundled: source.bundled, now: Math.floor(Date.now() / 1000) };
  const known = await survey(inputs, source, bucket, manifest, by);
  const headers = await askHeaders(toAsk(source.files, known, prefix), bucket);

  const plan = planDeploy(source.files, { ...known, headers }, options);
  // A shard does not see all paths: the last run warns.
  const paths = source.files.map(({ path }) => path);
  if (inputs.shard === undefined) for (const warning of unusedRules(inputs.headerRules, paths)) log.warn(warning);
  report.planned(plan);
  if (inputs.dryRun && bucket.cdn !== undefined) foretell(plan, inputs, manifest, report);
  return plan;
}

/** Says what a deploy would invalidate. */
function foretell(plan: Plan, inputs: Inputs, { manifest }: ManifestFile, report: Report): void {
  const uploads = plan.phases.flatMap((phase) => phase.uploads.map(({ key }) => key));
  const deletions = plan.deletions.map(({ key }) => key);
  for (const paths of [
    pathsOfUploads(plan, uploads, manifest?.uninvalidated ?? false, inputs),
    pathsOfDeletions(plan, deletions, inputs),
  ])
    if (paths.length > 0) report.invalidated({ paths });
}

/** @throws DeployError SOURCE_INVALID for a file that this store cannot hold. */
function refuseUnstorable({ files, keys }: Source, { knowledge, sizes }: OpenBucket): void {
  for (const [place, { path, size }] of files.entries()) {
    const problem = storeProblem({ key: keys[place] as string, size }, knowledge.capabilities, sizes);
    if (problem === undefined) continue;
    throw new DeployError('SOURCE_INVALID', `${plain(path)} cannot be an object: ${problem}.`, {
      hint: 'Exclude it, or rename it; nothing was written.',
    });
  }
}

async function askHeaders(objects: readonly RemoteObject[], { store, concurrency }: OpenBucket) {
  const headers = new Map<string, ObjectHeaders | undefined>();
  if (objects.length > 0) log.line(`${count(objects.length, 'object')} adopted: their headers are asked for, once`);
  await eachOf(objects, concurrency, async ({ key }) => {
    headers.set(key, await store.head(key));
  });
  return headers;
}
