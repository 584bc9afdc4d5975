import { type Cost, type Program, runProgram } from '../programs.ts';
import type { Store } from '../store.ts';

/** Where a tool sends a site. */
export interface Job {
  /** Holds the site in `public`. */
  readonly workspace: string;
  readonly store: Store;
  readonly bucket: string;
  /** Cores of the tool; undefined where nothing is pinned. */
  readonly cores: string | undefined;
}

export interface Tool {
  readonly name: string;
  /** Its version; undefined where it is not on this machine. */
  readonly version: string | undefined;
  /** How to have it, for who has not. */
  readonly from: string;
  run(job: Job): Promise<Cost>;
  /** Leaves in the bucket what its own earlier run would have; where it is absent, ours does it. */
  prepare?(job: Job): Promise<unknown>;
}

/** Requests at once, for every tool that lets itself be told. */
export const AT_ONCE = 64;

/** A tool that is a program to run. */
export function toolOf(about: Omit<Tool, 'run'>, start: (job: Job) => Program): Tool {
  return { ...about, run: (job) => runProgram(about.name, withHome(start(job), job), job.cores) };
}

function withHome({ env, ...program }: Program, { workspace, store }: Job): Program {
  return { ...program, env: { HOME: workspace, NODE_EXTRA_CA_CERTS: store.authority, ...env } };
}
