import type { Capabilities } from '../core/capabilities.ts';
import type { Finding } from '../core/findings.ts';
import type { Destination } from '../core/key.ts';
import type { Check, Outcome, Plan, Upload } from '../core/model.ts';
import type { Policy } from '../core/policy.ts';
import type { Shard } from '../core/shard.ts';
import type { DeployError } from '../errors.ts';

/** What is known of a run so far; at its end, whatever the end, the summary, outputs and result file are made of it. */
export interface RunRecord {
  mode: string;
  /** Nothing is changed; the plan is what is reported. */
  dryRun: boolean;
  /** The share of the assets that this run is about. */
  shard?: Shard | undefined;
  destination?: Destination;
  identity?: { readonly arn: string; readonly account: string };
  /** URL of a store that is not AWS. */
  endpoint?: string | undefined;
  region?: string;
  /** Where the prefix is served. */
  url?: string;
  checks?: readonly Check[];
  findings?: readonly Finding[];
  capabilities?: Capabilities;
  missing: readonly string[];
  /** The smallest policy for these inputs. */
  policy?: Policy;
  /** Files and bytes of the source. */
  source?: { readonly files: number; readonly bytes: number };
  plan?: Plan;
  outcome?: Outcome;
  /** In the order they were made, or would be. */
  invalidations?: readonly Invalidated[];
  /** Milliseconds by step. */
  timings: Record<string, number>;
  /** Calls by operation. */
  calls: ReadonlyMap<string, number>;
  retries: () => number;
  error?: DeployError;
  /** Lines for the support of the store. */
  support?: readonly string[];
}

/** Paths that a CDN was told to forget; without an id in a dry run. */
export interface Invalidated {
  readonly id?: string;
  readonly paths: readonly string[];
}

/** What was done, or in mode plan would be; objects, and bytes. */
export interface Counts {
  readonly uploaded: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly deleted: number;
  readonly kept: number;
  readonly failed: number;
  readonly bytes: number;
}

/** Every upload of a plan, in order. */
export function uploadsOf(plan: Plan | undefined): readonly Upload[] {
  return plan?.phases.flatMap(({ uploads }) => uploads) ?? [];
}

export function bytesOf(uploads: readonly Upload[]): number {
  return uploads.reduce((sum, { file }) => sum + file.size, 0);
}

/** Counts the outcome; the plan of a dry run, where nothing is ever done. */
export function countsOf({ dryRun, plan, outcome }: RunRecord): Counts {
  const uploads = dryRun ? uploadsOf(plan) : (outcome?.uploaded ?? []);
  const uploaded = uploads.filter(({ reason }) => reason === 'new').length;
  return {
    uploaded,
    updated: uploads.length - uploaded,
    unchanged: plan?.unchanged.length ?? 0,
    deleted: dryRun ? (plan?.deletions.length ?? 0) : (outcome?.deleted.length ?? 0),
    kept: (plan?.kept.length ?? 0) + (outcome?.existing.length ?? 0),
    failed: outcome?.failures.length ?? 0,
    bytes: bytesOf(uploads),
  };
}

/** `succeeded`, `failed`, or `refused` when a guard said no before anything was written. */
export function statusOf({ error }: RunRecord): 'succeeded' | 'failed' | 'refused' {
  return error === undefined ? 'succeeded' : error.refused ? 'refused' : 'failed';
}

/** `skipped` when the run ended before the probe did. */
export function probeResultOf({ checks, missing }: RunRecord): 'passed' | 'failed' | 'skipped' {
  return checks === undefined ? 'skipped' : missing.length === 0 ? 'passed' : 'failed';
}
