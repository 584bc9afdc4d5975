import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { APART, onCores } from './machine.ts';
import { topOf } from './profile.ts';
import { KEYS } from './programs.ts';
import { describeRatios, digits, median, type Report, roundsText, table } from './report.ts';
import type { Bench, Row } from './row.ts';
import { startStore } from './store.ts';

const BYTES = 23 * 1024;
const AT_ONCE = 64;
const GOAL = 0.2;
const LOOPS = { ours: 'ours.ts', sdk: 'sdk.mjs' } as const;

/** What a PUT of a small object costs alone: the product's store beside the SDK's PutObject, on the same buffers. */
export const puts: Row = {
  name: 'put',
  title: 'a PUT of 23 KB, http, 64 at once',
  quick: true,
  measure,
};

async function measure({ options, folder }: Bench): Promise<Report> {
  const rounds = options.rounds ?? (options.quick ? 2 : 5);
  const number = options.quick ? 3_000 : 10_000;
  const { pace, verify } = options;
  const store = await startStore(folder, { pace, verify, tls: false, cores: APART.store });
  const profiles = options.profile === undefined ? undefined : join(options.profile, 'put');
  if (profiles !== undefined) mkdirSync(profiles, { recursive: true });
  const costs: Record<keyof typeof LOOPS, number[]> = { ours: [], sdk: [] };
  const storeCosts: number[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      for (const loop of ['ours', 'sdk'] as const) {
        await store.clear();
        const profile = loop === 'ours' ? profiles : undefined;
        costs[loop].push(await run(LOOPS[loop], store.endpoint, number, profile));
        const { cpu, requests, objects } = await store.count();
        if (objects < number) throw new Error(`${loop}: ${objects} objects of ${number}.`);
        storeCosts.push((cpu / requests) * 1e6);
      }
    }
  } finally {
    await store.close();
  }
  const ratios = costs.ours.map((cost, round) => cost / (costs.sdk[round] ?? Number.NaN));
  const rows = [
    ['s3-deploy', costs.ours],
    ['SDK, PutObjectCommand', costs.sdk],
    ['the store itself', storeCosts],
  ].map(([name, values]) => [String(name), digits(median(values as number[]))]);
  const top = profiles === undefined ? '' : `\n\n${topOf(profiles)}`;
  return {
    verdicts: [
      {
        goal: `CPU ≤ ${GOAL} × the SDK's default PutObject`,
        measured: describeRatios(ratios),
        met: median(ratios) <= GOAL,
      },
    ],
    detail: `${roundsText(rounds)} of ${number} PUTs\n\n${table(['', 'µs of CPU a PUT'], rows)}${top}`,
  };
}

/** Microseconds of processor time a PUT, without the process's start. */
async function run(script: string, endpoint: string, number: number, profiles: string | undefined): Promise<number> {
  const profiling = profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`];
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', ...profiling];
  const work = [join(import.meta.dirname, 'puts', script), endpoint, String(number), String(BYTES), String(AT_ONCE)];
  const [file = '', ...args] = onCores(APART.client, [...node, ...work]);
  const child = spawn(file, args, {
    env: { PATH: process.env.PATH, ...KEYS },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output, [status]] = await Promise.all([text(child.stdout), once(child, 'close')]);
  if (status !== 0) throw new Error(`${script} failed with ${status}.`);
  return Number(output);
}
