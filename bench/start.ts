import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type RunOptions, runAction } from '../__tests__/support/runner.ts';
import { APART, onCores } from './machine.ts';
import { KEYS } from './programs.ts';
import { median, type Report, table } from './report.ts';
import type { Bench, Row } from './row.ts';
import { startStore } from './store.ts';

const GOAL_MS = 130;

/** What the action costs before it does anything. */
export const start: Row = { name: 'start', title: 'cold start of dist', quick: true, measure };

async function measure({ options, folder }: Bench): Promise<Report> {
  const rounds = Math.max(options.rounds ?? 0, options.quick ? 5 : 15);
  const bare = join(folder, 'bare.cjs');
  writeFileSync(bare, '');
  const workspace = join(folder, 'workspace');
  mkdirSync(join(workspace, 'public'), { recursive: true });
  writeFileSync(join(workspace, 'public', 'index.html'), 'one page');
  const store = await startStore(folder, { ...options, tls: false, cores: APART.store });
  const inputs = {
    bucket: 'bench',
    endpoint: store.endpoint,
    'aws-region': 'us-east-1',
    'aws-access-key-id': KEYS.AWS_ACCESS_KEY_ID,
    'aws-secret-access-key': KEYS.AWS_SECRET_ACCESS_KEY,
    'source-dir': 'public',
  };
  const builds = { 's3-deploy': undefined, ...(options.against && { before: options.against }) };
  const kinds: Record<string, RunOptions> = { 'Node with an empty script': { dist: bare } };
  for (const [name, dist] of Object.entries(builds)) {
    const build = dist === undefined ? {} : { dist };
    // It ends at the first input that is missing, having loaded what every run loads.
    kinds[`${name}, loaded`] = build;
    kinds[`${name}, a deploy of one unchanged file`] = { ...build, workspace, inputs };
  }
  const costs = new Map<string, number[]>();
  try {
    // Once before it counts: the page is there then, and the files are in memory.
    for (let round = -1; round < rounds; round++) {
      for (const [kind, run] of Object.entries(kinds)) {
        const ms = await cpuMs(run);
        if (round >= 0) costs.set(kind, [...(costs.get(kind) ?? []), ms]);
      }
    }
  } finally {
    await store.close();
  }
  const middle = (kind: string) => median(costs.get(kind) ?? []);
  const nothing = middle('Node with an empty script');
  const rows = [...costs.keys()].map((kind) => [kind, middle(kind).toFixed(0), (middle(kind) - nothing).toFixed(0)]);
  const above = middle('s3-deploy, loaded') - nothing;
  return {
    verdicts: [
      { goal: `CPU ≤ ${GOAL_MS} ms above bare Node`, measured: `${above.toFixed(0)} ms`, met: above <= GOAL_MS },
    ],
    detail: `median of ${rounds}\n\n${table(['', 'ms of CPU', 'above bare Node'], rows)}`,
  };
}

async function cpuMs(run: RunOptions): Promise<number> {
  const { rusage, failed, log } = await runAction({
    ...run,
    measure: true,
    launcher: onCores(APART.client, []),
  });
  if (rusage === undefined || (run.inputs !== undefined && failed)) throw new Error(`It failed:\n${log.visible}`);
  return (rusage.userCPUTime + rusage.systemCPUTime) / 1000;
}
