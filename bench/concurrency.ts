import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { APART } from './machine.ts';
import { describeRatios, digits, median, type Report, roundsText, table } from './report.ts';
import type { Bench, Row } from './row.ts';
import { makeSite, SITES } from './sites.ts';
import type { PaceSettings } from './store/pace.ts';
import { startStore } from './store.ts';
import { action } from './tools/action.ts';

const INPUTS = ['auto', '16', '64', '128'];

/** A store that refuses what is too much, as S3 does with a prefix that is new. */
export const slowDown = rowFor('slow-down', '2,000 new files, 503 above 300 requests a second', { perSecond: 300 });
/** A store that works on 16 requests at once, and lets the others wait. */
export const crowded = rowFor('crowded', '2,000 new files, 16 requests worked on at once', { slots: 16 });

function rowFor(name: string, title: string, limits: Partial<PaceSettings>): Row {
  return { name, title, quick: false, measure: (bench) => measure(limits, bench) };
}

interface Took {
  readonly wall: number;
  readonly cpu: number;
  readonly refused: number;
}

async function measure(limits: Partial<PaceSettings>, { options, folder }: Bench): Promise<Report> {
  const workspace = join(folder, 'workspace');
  mkdirSync(join(workspace, 'public'), { recursive: true });
  makeSite(join(workspace, 'public'), SITES.small);
  const pace = { ...options.pace, ...limits };
  const store = await startStore(folder, { pace, verify: options.verify, tls: false, cores: APART.store });
  const job = { workspace, store, bucket: 'bench', cores: APART.client };
  const rounds = options.rounds ?? 3;
  const runs = new Map<string, Took[]>();
  try {
    for (let round = 0; round < rounds; round++) {
      for (const concurrency of INPUTS) {
        await store.clear();
        const { wall, cpu } = await action('s3-deploy', { inputs: { concurrency } }).run(job);
        const { counts } = await store.count();
        runs.set(concurrency, [...(runs.get(concurrency) ?? []), { wall, cpu, refused: counts.SlowDown ?? 0 }]);
      }
    }
  } finally {
    await store.close();
  }
  const auto = runs.get('auto') ?? [];
  const rows = [...runs].map(([concurrency, took]) => [
    concurrency,
    digits(median(took.map(({ wall }) => wall))),
    digits(median(took.map(({ cpu }) => cpu))),
    String(median(took.map(({ refused }) => refused))),
    describeRatios(took.map(({ wall }, round) => wall / (auto[round]?.wall ?? Number.NaN))),
  ]);
  return {
    verdicts: [],
    detail: `${roundsText(rounds)}\n\n${table(['concurrency', 'wall s', 'CPU s', '503s', 'wall ×'], rows)}`,
  };
}
