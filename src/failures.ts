import type { Verdict } from './apply.ts';
import { ServiceError } from './aws/failure.ts';
import { describe, explain, kindOf } from './core/explain.ts';
import type { Destination } from './core/key.ts';
import { plain } from './core/text.ts';
import { DeployError } from './errors.ts';

/** Whatever was thrown, as the error that the report shows. An SDK error never gets through as it is. */
export function toDeployError(
  thrown: unknown,
  destination: Destination | undefined,
  signal?: AbortSignal,
): DeployError {
  if (signal?.aborted) {
    return new DeployError('UPLOAD_FAILED', 'The job was cancelled before the run was complete.', {
      hint: 'Nothing was deleted after that. Run the job again: what is up already is not sent again.',
      cause: thrown,
    });
  }
  if (thrown instanceof DeployError) return thrown;
  if (thrown instanceof ServiceError) return explain(thrown.failure, destination ?? { bucket: '', prefix: '' });
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return new DeployError('INTERNAL', `A defect of s3-deploy: ${plain(`${error.name}: ${error.message}`, 300)}`, {
    hint: ['Please report it with these lines:', ...frames.slice(0, 8)].join('\n'),
    cause: thrown,
  });
}

/** Kinds of failure that are the same for every key that is left. */
const STOPPING = new Set(['credentials', 'missing bucket', 'wrong region', 'unreachable']);

/** What an error thrown for one key means: a failure of that key, and perhaps the end of the run. */
export function judge(thrown: unknown, key: string, destination: Destination, signal: AbortSignal): Verdict {
  if (signal.aborted) return { stops: toDeployError(thrown, destination, signal) };
  if (thrown instanceof ServiceError) {
    const { failure } = thrown;
    const stops = STOPPING.has(kindOf(failure)) ? explain(failure, destination) : undefined;
    return { failure: { key, operation: failure.operation, code: failure.code, message: describe(failure) }, stops };
  }
  const error = toDeployError(thrown, destination);
  const failure = { key, operation: 'read', code: error.code, message: error.message };
  return { failure, stops: error.code === 'INTERNAL' ? error : undefined };
}
