import type { ApplyOptions } from './apply.ts';
import type { Plan } from './core/model.ts';
import { memoryFor } from './core/parts.ts';
import { judge } from './failures.ts';
import type { Inputs } from './inputs.ts';
import { log } from './report/log.ts';
import { Progress } from './report/progress.ts';
import type { Report } from './report/report.ts';
import { withBody } from './site/body.ts';

/** Bytes of files in memory at once. */
const MEMORY = 64 * 1024 ** 2;

/** How a plan is carried out: where files are read, how much goes on at once, and who hears of it. */
export function uploadOptions(
  inputs: Inputs,
  plan: Plan,
  report: Report,
  signal: AbortSignal,
): ApplyOptions & { progress: Progress } {
  const uploads = plan.phases.flatMap((phase) => phase.uploads);
  const total = { files: uploads.length, bytes: uploads.reduce((sum, { file }) => sum + file.size, 0) };
  const progress = new Progress(total, log.line);
  return {
    progress,
    signal,
    concurrency: inputs.concurrency,
    memory: MEMORY,
    memoryFor: (size) => memoryFor(size, inputs.sizes),
    withBody: (file, use) => withBody(inputs.sourceDir ?? '.', file, use),
    judge: (error, key) => judge(error, key, inputs.destination),
    onBytes: progress.addBytes,
    onUploaded: (upload) => {
      progress.addFile();
      report.uploaded(upload);
    },
  };
}
