import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { onCores } from './machine.ts';

/** What one run of a program cost. */
export interface Cost {
  /** Seconds. */
  readonly wall: number;
  /** Seconds of processor time of the program and its children, of nobody else. */
  readonly cpu: number;
  /** Peak resident memory in MB. */
  readonly memory: number;
}

export interface Program {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Record<string, string | undefined>;
  readonly cwd?: string;
}

/** Keys that every tool signs with; the store checks none. */
export const KEYS = {
  AWS_ACCESS_KEY_ID: 'AKIABENCHBENCHBENCH0',
  AWS_SECRET_ACCESS_KEY: 'bench/secret/bench/secret/bench/secret00',
};
const WATCH_MS = 20;

/** Runs a program to its end, with little in its environment. @throws when it fails. */
export async function runProgram(
  name: string,
  { file, args, env, cwd }: Program,
  cores: string | undefined,
): Promise<Cost> {
  const [command = '', ...rest] = onCores(cores, [file, ...args]);
  const before = childrenCpu();
  const started = performance.now();
  const child = spawn(command, rest, {
    env: { PATH: process.env.PATH, ...KEYS, ...env },
    cwd,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const errors: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  let memory = 0;
  const watch = setInterval(() => {
    memory = Math.max(memory, peakOf(child.pid));
  }, WATCH_MS);
  const [status] = (await once(child, 'close')) as [number | null];
  const wall = (performance.now() - started) / 1000;
  clearInterval(watch);
  if (status !== 0) throw new Error(`${name} failed with ${status}:\n${Buffer.concat(errors)}`);
  return { wall, cpu: childrenCpu() - before, memory };
}

/** Seconds of processor time of all children that have ended, to the hundredth: only Linux tells. */
export function childrenCpu(): number {
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

/** The version that a program tells; undefined where it is not on this machine. */
export function versionOf(file: string, args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync(file, args, { encoding: 'utf8' });
  return status === 0 ? /\d+\.\d+(\.\d+)?/.exec(stdout)?.[0] : undefined;
}

/** The program itself where pyenv puts a script of its own before it, whose time is not the tool's. */
export function behindShim(file: string): string {
  const { status, stdout } = spawnSync('pyenv', ['which', file], { encoding: 'utf8' });
  return status === 0 && existsSync(stdout.trim()) ? realpathSync(stdout.trim()) : file;
}
