import type { ApplyOptions } from './apply.ts';
import type { OpenBucket } from './bucket.ts';
import { phaseOf } from './core/headers.ts';
import type { Condition, PhaseName, Upload } from './core/model.ts';
import { memoryFor } from './core/parts.ts';
import { judge } from './failures.ts';
import type { Inputs } from './inputs.ts';
import type { Report } from './report/report.ts';
import { withBody } from './site/body.ts';

/** Bytes of files in memory at once. */
const MEMORY = 40 * 1024 ** 2;

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
    memoryFor: (size) => memoryFor(size, sizes),
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
 * Pages are put over what the plan saw, and over nothing else: a deploy that was overtaken must not bring old pages back.
 * AWS compares ETags on a PUT; of other stores some do it wrongly.
 */
function conditionOf({ overwrite, endpoint }: Inputs, { object }: Upload, phase: PhaseName): Condition | undefined {
  if (!overwrite) return 'absent';
  if (phase === 'assets' || endpoint !== undefined) return undefined;
  return object === undefined ? 'absent or same' : { etag: object.etag };
}
