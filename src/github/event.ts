import { readFileSync } from 'node:fs';
import { DeployError } from '../errors.ts';

/** The part of an event's payload that tells whose code a job has. */
interface Payload {
  readonly repository?: { readonly id?: number; readonly full_name?: string };
  readonly pull_request?: { readonly head?: { readonly repo?: { readonly fork?: boolean } } };
  readonly workflow_run?: {
    readonly head_repository?: { readonly id?: number; readonly full_name?: string } | null;
  };
}

/** Whether the job runs for a pull request from a fork. */
export function isForkPullRequest(env: NodeJS.ProcessEnv): boolean {
  return payloadOf(env)?.pull_request?.head?.repo?.fork === true;
}

/**
 * Refuses a run that would publish what an outsider has written: `pull_request_target` and `workflow_run` have the rights
 * of the repository whatever they build. A `workflow_run` passes whose code is known to be of this repository.
 * See https://securitylab.github.com/resources/github-actions-preventing-pwn-requests/.
 * @throws DeployError UNTRUSTED_EVENT.
 */
export function refuseUntrusted(env: NodeJS.ProcessEnv): void {
  const event = env.GITHUB_EVENT_NAME;
  const isForeign = event === 'workflow_run' && !isOfThisRepository(payloadOf(env));
  if (event !== 'pull_request_target' && !isForeign) return;
  const message =
    event === 'pull_request_target'
      ? 'A job of pull_request_target would deploy: what it has built may be of anybody who opens a pull request.'
      : 'A job of workflow_run would deploy what a fork has built, or does not say whose it is.';
  throw new DeployError('UNTRUSTED_EVENT', message, {
    hint:
      'Deploy on push, or previews on pull_request, which gives forks no secrets. If every such build is looked at before ' +
      'it gets here, set allow-untrusted: true.',
  });
}

function isOfThisRepository(payload: Payload | undefined): boolean {
  const { repository: here, workflow_run: run } = payload ?? {};
  const { id, full_name: name } = run?.head_repository ?? {};
  return id !== undefined && name !== undefined && id === here?.id && name === here?.full_name;
}

/** What the runner wrote of the event; undefined where it cannot be read. */
function payloadOf({ GITHUB_EVENT_PATH: file }: NodeJS.ProcessEnv): Payload | undefined {
  try {
    const payload: unknown = JSON.parse(readFileSync(file ?? '', 'utf8'));
    return typeof payload === 'object' && payload !== null ? payload : undefined;
  } catch {
    return undefined;
  }
}
