import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runAction } from '../__tests__/support/runner.ts';
import type { Store } from './store.ts';

/** What one run of a tool cost. */
export interface Cost {
  /** Seconds. */
  readonly wall: number;
  readonly cpu: number;
  /** Peak resident memory in MB. */
  readonly memory: number;
}

/** Where a tool sends a site. */
export interface Job {
  /** Holds the site in `public`. */
  readonly workspace: string;
  readonly store: Store;
  readonly bucket: string;
}

export interface Tool {
  readonly name: string;
  /** Its version; undefined where it is not on this machine. */
  version(): string | undefined;
  run(job: Job): Promise<Cost>;
}

const KEYS = {
  AWS_ACCESS_KEY_ID: 'AKIABENCHBENCHBENCH0',
  AWS_SECRET_ACCESS_KEY: 'bench/secret/bench/secret/bench/secret00',
};
const AT_ONCE = 64;

/** The built action as the runner runs it. */
export function action(name: string, dist: string, env: Record<string, string> = {}): Tool {
  return {
    name,
    version: () => (existsSync(dist) ? `Node ${process.version}` : undefined),
    run: async ({ workspace, store, bucket }) => {
      const before = childrenCpu();
      const run = await runAction({
        workspace,
        dist,
        measure: true,
        timeoutMs: 600_000,
        env: { ...env, ...(store.authority && { NODE_EXTRA_CA_CERTS: store.authority }) },
        inputs: {
          bucket,
          endpoint: store.endpoint,
          'aws-region': 'us-east-1',
          'aws-access-key-id': KEYS.AWS_ACCESS_KEY_ID,
          'aws-secret-access-key': KEYS.AWS_SECRET_ACCESS_KEY,
          'source-dir': 'public',
        },
      });
      if (run.failed) throw new Error(`${name} failed:\n${run.log.visible}`);
      const memory = (run.rusage?.maxRSS ?? 0) / 1024;
      return { wall: run.durationMs / 1000, cpu: childrenCpu() - before, memory };
    },
  };
}

/** The loop over PutObject of the AWS SDK that people write by hand: it knows nothing and uploads all. */
export const sdkLoop = command(
  'SDK loop',
  () => 'SDK v3',
  ({ workspace, store, bucket }) => ({
    file: process.execPath,
    args: [
      join(import.meta.dirname, 'sdk-loop.ts'),
      join(workspace, 'public'),
      store.endpoint,
      bucket,
      String(AT_ONCE),
    ],
  }),
);

/** rclone as its own manual advises for many small files. */
export const rclone = command(
  'rclone',
  () => versionOf('rclone', ['version']),
  ({ workspace, store, bucket }) => {
    const config = join(workspace, 'rclone.conf');
    writeFileSync(
      config,
      `[bench]\ntype = s3\nprovider = Other\nenv_auth = true\nregion = us-east-1\nendpoint = ${store.endpoint}\nlist_url_encode = true\n`,
    );
    const tuned = [
      '--checksum',
      '--fast-list',
      '--s3-no-head',
      '--s3-no-check-bucket',
      '--exclude',
      '.s3-deploy/**',
      '--transfers',
      AT_ONCE,
    ];
    return {
      file: 'rclone',
      args: ['sync', join(workspace, 'public'), `bench:${bucket}`, '--config', config, '--checkers', AT_ONCE, ...tuned]
        .concat(store.authority === undefined ? [] : ['--ca-cert', store.authority])
        .map(String),
    };
  },
);

/** `aws s3 sync` with as many requests at once as the others. */
export const awsCli = command(
  'aws s3 sync',
  () => versionOf('aws', ['--version']),
  ({ workspace, store, bucket }) => {
    const config = join(workspace, 'aws.ini');
    writeFileSync(config, `[default]\nregion = us-east-1\ns3 =\n  max_concurrent_requests = ${AT_ONCE}\n`);
    return {
      file: behindShim('aws'),
      args: ['s3', 'sync', join(workspace, 'public'), `s3://${bucket}`, '--endpoint-url', store.endpoint].concat(
        '--only-show-errors',
      ),
      env: { AWS_CONFIG_FILE: config, ...(store.authority && { AWS_CA_BUNDLE: store.authority }) },
    };
  },
);

export const s3cmd = command(
  's3cmd',
  () => versionOf('s3cmd', ['--version']),
  ({ workspace, store, bucket }) => {
    const host = new URL(store.endpoint).host;
    const config = join(workspace, 's3cmd.ini');
    writeFileSync(
      config,
      `[default]\nhost_base = ${host}\nhost_bucket = ${host}\nuse_https = ${store.authority ? 'True' : 'False'}\n`,
    );
    return {
      file: 's3cmd',
      args: [
        'sync',
        '--config',
        config,
        `${join(workspace, 'public')}/`,
        `s3://${bucket}/`,
        '--quiet',
        '--no-progress',
      ].concat(store.authority === undefined ? [] : ['--ca-certs', store.authority]),
    };
  },
);

interface Started {
  readonly file: string;
  readonly args: string[];
  readonly env?: Record<string, string | undefined>;
}

function command(name: string, version: () => string | undefined, start: (job: Job) => Started): Tool {
  return {
    name,
    version,
    run: async (job) => {
      const { file, args, env } = start(job);
      const before = childrenCpu();
      const started = performance.now();
      const child = spawn(file, args, {
        env: { PATH: process.env.PATH, HOME: job.workspace, ...KEYS, NODE_EXTRA_CA_CERTS: job.store.authority, ...env },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      const errors: Buffer[] = [];
      child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
      let memory = 0;
      const watch = setInterval(() => {
        memory = Math.max(memory, peakOf(child.pid));
      }, 20);
      const [status] = (await once(child, 'close')) as [number | null];
      clearInterval(watch);
      const wall = (performance.now() - started) / 1000;
      if (status !== 0) throw new Error(`${name} failed with ${status}:\n${Buffer.concat(errors)}`);
      return { wall, cpu: childrenCpu() - before, memory };
    },
  };
}

/** Seconds of processor time of all children that have ended: only Linux tells. */
function childrenCpu(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[13]) + Number(fields[14])) / 100;
}

/** MB. */
function peakOf(pid: number | undefined): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

function versionOf(file: string, args: string[]): string | undefined {
  const { status, stdout } = spawnSync(file, args, { encoding: 'utf8' });
  return status === 0 ? /\d+\.\d+(\.\d+)?/.exec(stdout)?.[0] : undefined;
}

/** The program itself where pyenv puts a script of its own before it, whose time is not the tool's. */
function behindShim(file: string): string {
  const { status, stdout } = spawnSync('pyenv', ['which', file], { encoding: 'utf8' });
  return status === 0 && existsSync(stdout.trim()) ? realpathSync(stdout.trim()) : file;
}
