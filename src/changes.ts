import { eachOf } from './core/each-of.ts';
import type { ObjectStore, Plan } from './core/model.ts';
import { indexObjects, planDeploy, undecided } from './core/plan.ts';
import { bytes, count, plain } from './core/text.ts';
import { DeployError } from './errors.ts';
import type { Inputs } from './inputs.ts';
import { log } from './report/log.ts';
import type { Report } from './report/report.ts';
import { etagOf } from './site/digest.ts';
import { type Source, scanSource, sourceExists } from './site/scan.ts';

/** Files read at once for their digests: the disk is the limit, not the number. */
const READS_AT_ONCE = 4;

/** Scans the source, lists the bucket, compares what may be the same, and plans. Changes nothing. */
export async function planChanges(inputs: Inputs, store: ObjectStore, report: Report): Promise<Plan> {
  const { destination, sizes } = inputs;
  const folder = inputs.sourceDir ?? '.';
  const source = readSource(inputs, folder);
  report.scanned(source.files);
  log.line(describeSource(source, folder));

  const objects = await indexObjects(store.list(destination.prefix), destination.prefix);
  log.line(`${count(objects.size, 'object')} below s3://${destination.bucket}/${destination.prefix}`);

  const etags = new Map<string, string>();
  await eachOf(undecided(source.files, objects, destination.prefix), READS_AT_ONCE, async ({ file, etag }) => {
    const own = await etagOf(folder, file, etag, sizes);
    if (own !== undefined) etags.set(file.path, own);
  });
  const plan = planDeploy(source.files, objects, etags, { ...inputs, prefix: destination.prefix });
  report.planned(plan);
  return plan;
}

function readSource(inputs: Inputs, folder: string): Source {
  const missing = !sourceExists(folder);
  const mayBeEmpty = inputs.delete || inputs.allowEmptySource;
  const source =
    missing && mayBeEmpty
      ? { files: [], links: 0, excluded: 0, leftOut: 0 }
      : scanSource(folder, inputs.filter, inputs.destination.prefix);
  if (source.files.length > 0 || inputs.allowEmptySource) return source;
  const state = missing ? 'does not exist' : 'holds no file to deploy';
  throw new DeployError(inputs.delete ? 'EMPTY_SOURCE' : 'SOURCE_INVALID', `source-dir: ${plain(folder)} ${state}.`, {
    hint: inputs.delete
      ? 'With delete this would remove the whole site. If that is meant, set allow-empty-source: true; otherwise check source-dir and the build.'
      : 'Check source-dir, include and exclude, and that the build ran before this step.',
  });
}

function describeSource({ files, links, excluded, leftOut }: Source, folder: string): string {
  const size = files.reduce((sum, file) => sum + file.size, 0);
  const aside = [
    excluded > 0 ? `${excluded} excluded` : '',
    leftOut > 0 ? `${leftOut} left out (secrets, version control)` : '',
    links > 0 ? `${count(links, 'symbolic link')} not followed` : '',
  ].filter(Boolean);
  return `${count(files.length, 'file')} (${bytes(size)}) in ${folder}${aside.length === 0 ? '' : `; ${aside.join(', ')}`}`;
}
