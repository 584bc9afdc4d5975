import { spawnSync } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';

/** Where the two sides of a bench run: lists of cores as `taskset -c` takes them, undefined where nothing is pinned. */
export interface Cores {
  readonly client: string | undefined;
  readonly store: string | undefined;
}

const hasTaskset = spawnSync('taskset', ['--version']).status === 0;

/** Why nothing can be pinned here; undefined where it can. */
export const cannotPin = !hasTaskset
  ? 'no taskset (util-linux) here'
  : availableParallelism() < 2
    ? 'one core only'
    : undefined;

/** A core for each side; where there is no taskset or one core only, the whole machine for both. */
export const APART: Cores =
  cannotPin === undefined ? { client: '0', store: '1' } : { client: undefined, store: undefined };
export const TOGETHER: Cores =
  cannotPin === undefined ? { client: '0,1', store: '0,1' } : { client: undefined, store: undefined };

/** A command line that runs on these cores. */
export function onCores(cores: string | undefined, command: readonly string[]): string[] {
  return cores === undefined ? [...command] : ['taskset', '-c', cores, ...command];
}

/** Keeps this process out of the client's way. */
export function moveAside(): void {
  if (APART.store !== undefined) spawnSync('taskset', ['-a', '-c', '-p', APART.store, String(process.pid)]);
}

export function describeMachine(): string {
  const pinned = cannotPin === undefined ? 'client on one core, store on another' : `nothing is pinned: ${cannotPin}`;
  return `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.version}; ${pinned}`;
}
