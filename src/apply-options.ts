import type { ApplyOptions } from './apply.ts';
import type { OpenBucket } from './bucket.ts';
import { phaseOf } from './core/headers.ts';
import type { Condition, PhaseName, Upload } from './core/model.ts';
import { judge } from './failures.ts';
import type { Inputs } from './inputs.ts';
import type { Report } from './report/report.ts';
import { withBody } from './site/body.ts';

/** Bytes of files in memory at once: four parts of 8 MiB. */
const MEMORY = 32 * 1024 ** 2;

/** How these inputs want a plan carried out: where files are read, how much goes on at once, and who hears of it. */
export function applyOptions(
  inputs: Inputs,
  { sizes, concurrency }: Pick<OpenBucket, 'sizes' | 'concurrency'>,
  report: Report,
  signal: AbortSignal,
): ApplyOptions {
  return {
    signal,
    concurrency,
    memory: MEMORY,
    threshold: sizes.threshold,
    isPage: (key) => phaseOf(key.slice(inputs.destination.prefix.length)) !== 'assets',
    withBody: (file, use) => withBody(inputs.sourceDir ?? '.', file, use),
    overwrite: inputs.overwrite,
    condition: (upload, phase) => conditionOf(inputs, upload, phase),
    mayGoOn: async () => true,
    judge: (error, key) => judge(error, key, inputs.destination, signal),
    onBytes: report.progress.addBytes,
    onUploaded: report.progress.addFile,
  };
}

/**
 * An object is put over what the plan saw, and over nothing else: a deploy that was overtaken must not bring old pages
 * back, nor the stylesheet that they go with. AWS compares ETags on a PUT; of other stores some do it wrongly.
 */
function conditionOf(
  { overwrite, endpoint, shard }: Inputs,
  { object }: Upload,
  phase: PhaseName,
): Condition | undefined {
  if (!overwrite) return 'absent';
  // A shard has no plan of the whole that it could make again.
  if (endpoint !== undefined || shard !== undefined) return undefined;
  if (object !== undefined) return { etag: object.etag };
  return phase === 'assets' ? undefined : 'absent or same';
}
