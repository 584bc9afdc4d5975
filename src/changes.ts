import { cannotAppend } from './append-only.ts';
import type { OpenBucket } from './bucket.ts';
import { bundledFolders } from './core/content-hash.ts';
import { eachOf } from './core/each-of.ts';
import { unusedRules } from './core/header-rules.ts';
import { type Prefix, toKey } from './core/key.ts';
import type { DeployId } from './core/manifest.ts';
import type { LocalFile, ObjectHeaders, ObjectStore, Plan, RemoteObject } from './core/model.ts';
import { type Digest, indexObjects, type ObjectIndex, planDeploy, toAsk, toDigest } from './core/plan.ts';
import { storeProblem } from './core/storable.ts';
import { count, plain } from './core/text.ts';
import { DeployError } from './errors.ts';
import type { Inputs } from './inputs.ts';
import type { ManifestFile } from './manifest-file.ts';
import { log } from './report/log.ts';
import type { Report } from './report/report.ts';
import { digestOf } from './site/digest.ts';
import type { Source } from './site/scan.ts';

/** Files read at once for their digests: the disk is the limit, not the number. */
const READS_AT_ONCE = 4;

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
  refuseUnstorable(source.files, prefix, bucket);
  let { objects, own } = await listObjects(inputs, bucket);
  // A deploy that ends between the listing and the manifest would have its changes taken for unchanged.
  while (inputs.overwrite && !(await manifest.read(own, by))) ({ objects, own } = await listObjects(inputs, bucket));
  const known = { objects, manifest: manifest.manifest };
  const bundled = bundledFolders(source.files.map(({ path }) => path));
  const options = { ...inputs, prefix, bundled, now: Math.floor(Date.now() / 1000) };

  const digests = new Map<string, Digest>();
  await eachOf(toDigest(source.files, known, options), READS_AT_ONCE, async ({ file, like }) => {
    digests.set(file.path, await digestOf(inputs.sourceDir ?? '.', file, like, bucket.sizes));
  });
  const headers = await askHeaders(
    toAsk(source.files, { ...known, digests }, prefix),
    bucket.store,
    inputs.concurrency,
  );

  const plan = planDeploy(source.files, { ...known, digests, headers }, options);
  for (const warning of unusedRules(
    inputs.headerRules,
    source.files.map(({ path }) => path),
  ))
    log.warn(warning);
  report.planned(plan);
  return plan;
}

/** @throws DeployError SOURCE_INVALID for a file that this store cannot hold. */
function refuseUnstorable(files: readonly LocalFile[], prefix: Prefix, { knowledge, sizes }: OpenBucket): void {
  for (const { path, size } of files) {
    const problem = storeProblem({ key: toKey(prefix, path), size }, knowledge.capabilities, sizes);
    if (problem === undefined) continue;
    throw new DeployError('SOURCE_INVALID', `${plain(path)} cannot be an object: ${problem}.`, {
      hint: 'Exclude it, or rename it; nothing was written.',
    });
  }
}

async function listObjects({ destination }: Inputs, { store, mayList, knowledge }: OpenBucket): Promise<ObjectIndex> {
  const { bucket, prefix } = destination;
  const place = `s3://${plain(`${bucket}/${prefix}`)}`;
  if (!mayList) {
    if (knowledge.lacks('conditionalWrites')) throw cannotAppend({ bucket, prefix });
    log.line(`What is below ${place} may not be listed: every file is put, unless something is there already`);
    return { objects: new Map(), own: [] };
  }
  const index = await indexObjects(store.list(prefix), prefix);
  log.line(`${count(index.objects.size, 'object')} below ${place}`);
  return index;
}

async function askHeaders(objects: readonly RemoteObject[], store: ObjectStore, atOnce: number) {
  const headers = new Map<string, ObjectHeaders | undefined>();
  if (objects.length > 0) log.line(`${count(objects.length, 'object')} adopted: their headers are asked for, once`);
  await eachOf(objects, atOnce, async ({ key }) => {
    headers.set(key, await store.head(key));
  });
  return headers;
}
