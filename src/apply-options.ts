import type { ApplyOptions } from './apply.ts';
import { memoryFor } from './core/parts.ts';
import { judge } from './failures.ts';
import type { Inputs } from './inputs.ts';
import type { Report } from './report/report.ts';
import { withBody } from './site/body.ts';

/** Bytes of files in memory at once. */
const MEMORY = 64 * 1024 ** 2;

/** How these inputs want a plan carried out: where files are read, how much goes on at once, and who hears of it. */
export function applyOptions(inputs: Inputs, report: Report, signal: AbortSignal): ApplyOptions {
  return {
    signal,
    concurrency: inputs.concurrency,
    memory: MEMORY,
    memoryFor: (size) => memoryFor(size, inputs.sizes),
    withBody: (file, use) => withBody(inputs.sourceDir ?? '.', file, use),
    condition: inputs.overwrite ? undefined : 'absent',
    judge: (error, key) => judge(error, key, inputs.destination, signal),
    onBytes: report.progress.addBytes,
    onUploaded: report.progress.addFile,
  };
}
