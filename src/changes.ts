import { eachOf } from './core/each-of.ts';
import type { ObjectStore, Plan } from './core/model.ts';
import { indexObjects, planDeploy, undecided } from './core/plan.ts';
import { count } from './core/text.ts';
import type { Inputs } from './inputs.ts';
import { log } from './report/log.ts';
import type { Report } from './report/report.ts';
import { etagOf } from './site/digest.ts';
import type { Source } from './site/scan.ts';

/** Files read at once for their digests: the disk is the limit, not the number. */
const READS_AT_ONCE = 4;

/** Lists the bucket, compares what may be the same, and plans. Changes nothing. */
export async function planChanges(inputs: Inputs, source: Source, store: ObjectStore, report: Report): Promise<Plan> {
  const { bucket, prefix } = inputs.destination;
  const objects = await indexObjects(store.list(prefix), prefix);
  log.line(`${count(objects.size, 'object')} below s3://${bucket}/${prefix}`);

  const etags = new Map<string, string>();
  await eachOf(undecided(source.files, objects, prefix), READS_AT_ONCE, async ({ file, etag }) => {
    const own = await etagOf(inputs.sourceDir ?? '.', file, etag, inputs.sizes);
    if (own !== undefined) etags.set(file.path, own);
  });
  const plan = planDeploy(source.files, objects, etags, { ...inputs, prefix });
  report.planned(plan);
  return plan;
}
