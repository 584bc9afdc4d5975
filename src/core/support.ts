import type { DeployError } from '../errors.ts';
import { describe, type ServiceFailure } from './explain.ts';
import type { Destination } from './key.ts';
import { plain } from './text.ts';

/** What the support of a store asks for first. */
export interface SupportCase {
  readonly destination: Destination;
  readonly endpoint: string;
  readonly region: string | undefined;
  readonly error: DeployError;
  /** Name and version of this action, and of what it runs on. */
  readonly tool: string;
  /** Repository and run. */
  readonly project: string;
  readonly time: Date;
}

/** Lines to forward to whoever runs the store: what was done, where, when and by what, and nothing secret. */
export function supportBlock({ destination, endpoint, region, error, tool, project, time }: SupportCase): string[] {
  const failure = failureIn(error.cause);
  return [
    `project:  ${plain(project, 300)}`,
    `bucket:   ${plain(`${destination.bucket}/${destination.prefix}`, 1200)}`,
    `endpoint: ${plain(endpoint, 300)}${region === undefined ? '' : ` (region ${plain(region, 100)})`}`,
    `tool:     ${plain(tool, 300)}`,
    `time:     ${time.toISOString()}`,
    `error:    ${error.code}: ${failure === undefined ? plain(error.message) : describe(failure)}`,
  ];
}

/** The failed call behind an error, if it was one. */
function failureIn(cause: unknown): ServiceFailure | undefined {
  if (typeof cause !== 'object' || cause === null) return undefined;
  if ('failure' in cause) return cause.failure as ServiceFailure;
  return 'operation' in cause && 'code' in cause ? (cause as ServiceFailure) : undefined;
}
