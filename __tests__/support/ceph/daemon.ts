import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const PROGRAMS = ['monmaptool', 'ceph', 'ceph-mon', 'ceph-osd', 'radosgw', 'radosgw-admin', 'setpriv'];

/** @throws naming the packages when one of the programs is not installed */
export async function requireCeph(): Promise<void> {
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  for (const program of PROGRAMS) {
    const found = folders.map((folder) => access(path.join(folder, program), constants.X_OK));
    await Promise.any(found).catch(() => {
      throw new Error(
        `These tests need Ceph, and ${program} is not installed. On Debian or Ubuntu:\n` +
          '  apt-get install -y --no-install-recommends radosgw ceph-mon ceph-osd ceph-common',
      );
    });
  }
}

/** Runs a program to its end and answers its stdout. `input` is its stdin. */
export async function call(program: string, args: string[], input = ''): Promise<string> {
  const running = run(program, args, { timeout: 60_000, maxBuffer: 1 << 24 });
  // A program may end without having read all of it, or any.
  running.child.stdin?.on('error', () => undefined).end(input);
  return (await running).stdout;
}

/** A process in the foreground, known by its pid. */
export interface Daemon {
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  /** Ends it and waits until it is gone; the cluster is thrown away, so there is nothing to save. */
  stop(): Promise<void>;
}

/**
 * Starts a program that stays. The kernel kills it when this process dies, however that happens: a test runner that is
 * interrupted runs no exit handlers.
 */
export function startDaemon(program: string, args: string[], env: Record<string, string> = {}): Daemon {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', program, ...args], {
    env: { ...process.env, ...env },
    stdio: 'ignore',
  });
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  if (child.pid === undefined) throw new Error(`${program} did not start.`);
  return {
    pid: child.pid,
    kill: (signal) => void child.kill(signal),
    async stop() {
      if (!ended(child)) child.kill('SIGKILL');
      await gone;
    },
  };
}

const ended = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null;

/** As many TCP ports of 127.0.0.1 as are asked for, each free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = servers.map(
    (server) =>
      new Promise<number>((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', () => {
          const address = server.address();
          resolve(typeof address === 'object' && address ? address.port : 0);
        });
      }),
  );
  const found = await Promise.all(ports);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return found;
}
