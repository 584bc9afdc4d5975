import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { runAction } from '../../__tests__/support/runner.ts';
import { onCores } from '../machine.ts';
import { type Cost, childrenCpu, KEYS } from '../programs.ts';
import type { Job, Tool } from './tool.ts';

/** How the built action is run. */
export interface ActionHow {
  /** The `index.js` of a build; this repository's if absent. */
  readonly dist?: string;
  /** Above those that every run has. */
  readonly inputs?: Record<string, string>;
  /** Signs in as a job does: a token of its token service, a role of STS, and the bucket by AWS's own names. Needs TLS. */
  readonly wholeStep?: boolean;
  /** Where the profile of each run goes. */
  readonly profiles?: string | undefined;
}

const REPOSITORY = join(import.meta.dirname, '..', '..');
const AWS_HOSTS = join(REPOSITORY, '__tests__', 'support', 'cloud', 'aws-hosts.mjs');

/** The built action as the runner runs it. */
export function action(name: string, how: ActionHow = {}): Tool {
  const dist = resolve(how.dist ?? join(REPOSITORY, 'dist', 'index.js'));
  return {
    name,
    version: existsSync(dist) ? `Node ${process.version}` : undefined,
    from: 'npm run build',
    run: (job) => runStep(name, dist, how, job),
    prepare: (job) => runStep(name, dist, { ...how, profiles: undefined }, job),
  };
}

async function runStep(name: string, dist: string, how: ActionHow, job: Job): Promise<Cost> {
  const { workspace, store, bucket, cores } = job;
  const before = childrenCpu();
  const run = await runAction({
    workspace,
    dist,
    measure: true,
    timeoutMs: 900_000,
    launcher: onCores(cores, []),
    nodeOptions: how.profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${how.profiles}`],
    env: {
      ...(store.authority && { NODE_EXTRA_CA_CERTS: store.authority }),
      ...(how.wholeStep && {
        NODE_OPTIONS: `--import=${AWS_HOSTS}`,
        AWS_HOSTS_PORT: String(store.port),
        ACTIONS_ID_TOKEN_REQUEST_URL: `${store.endpoint}/idtoken/bench?api-version=2.0`,
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'bench-request-token-bench-request-token',
      }),
    },
    inputs: {
      bucket,
      'source-dir': 'public',
      ...(how.wholeStep
        ? { 'role-to-assume': 'arn:aws:iam::123456789012:role/deploy', 'aws-region': 'us-east-1' }
        : {
            endpoint: store.endpoint,
            'aws-region': 'us-east-1',
            'aws-access-key-id': KEYS.AWS_ACCESS_KEY_ID,
            'aws-secret-access-key': KEYS.AWS_SECRET_ACCESS_KEY,
          }),
      ...how.inputs,
    },
  });
  if (run.failed) throw new Error(`${name} failed:\n${run.log.visible.slice(-4_000)}`);
  const memory = (run.rusage?.maxRSS ?? 0) / 1024;
  return { wall: run.durationMs / 1000, cpu: childrenCpu() - before, memory };
}
