/**
 * What a deploy costs beside other tools: `npm run bench`, or `npm run bench -- --quick` for a minute of it.
 *
 *     --only <scenario,…>   these alone          --tools <tool,…>   these alone
 *     --rounds <n>          so many rounds       --against <dist>   another build of the action, its index.js
 *     --ms <n>              a request takes      --list-ms <n>      a page of a listing takes
 *     --verify              holds what arrives against its SHA-256
 *
 * Rounds are interleaved, so that what else the machine does falls on all tools alike. Seconds are this machine's at this
 * moment; ratios within a row are what can be compared.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { changeSome, makeSite, SITES, type SiteName, touchAll } from './sites.ts';
import { type Store, startStore } from './store.ts';
import { action, awsCli, type Cost, rclone, s3cmd, sdkLoop, type Tool } from './tools.ts';

interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly site: SiteName;
  readonly tls: boolean;
  /** Uploaded before, and unchanged, or with one file in a hundred changed; all with new times. */
  readonly before?: 'same' | 'changed';
  readonly rounds: number;
  /** Tools that would take minutes here. */
  readonly without?: readonly string[];
}

/** Would take minutes where all is there already. */
const SLOW = ['s3cmd', 'aws s3 sync', 'SDK loop'];
const SCENARIOS: readonly Scenario[] = [
  { name: 'small', title: '2,000 new files of 10 KB', site: 'small', tls: false, rounds: 3 },
  {
    name: 'small-tls',
    title: '2,000 new files of 10 KB, TLS',
    site: 'small',
    tls: true,
    rounds: 3,
    without: ['s3cmd'],
  },
  {
    name: 'medium-same',
    title: '5,000 unchanged files',
    site: 'medium',
    tls: false,
    before: 'same',
    rounds: 3,
    without: ['s3cmd'],
  },
  {
    name: 'large',
    title: '20,000 new files of 10 KB',
    site: 'large',
    tls: false,
    rounds: 2,
    without: ['s3cmd', 'aws s3 sync'],
  },
  {
    name: 'large-same',
    title: '20,000 unchanged files',
    site: 'large',
    tls: false,
    before: 'same',
    rounds: 3,
    without: SLOW,
  },
  {
    name: 'large-changed',
    title: '20,000 files, 1 % changed',
    site: 'large',
    tls: false,
    before: 'changed',
    rounds: 3,
    without: SLOW,
  },
  {
    name: 'huge-same',
    title: '200,000 unchanged files',
    site: 'huge',
    tls: false,
    before: 'same',
    rounds: 1,
    without: SLOW,
  },
  { name: 'media', title: '10 new files of 200 MB', site: 'media', tls: false, rounds: 1, without: ['s3cmd'] },
];
const QUICK = new Set(['small', 'medium-same']);
const QUICK_TOOLS = new Set(['s3-deploy', 'before', 'rclone', 'SDK loop']);

const { values: args } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    tools: { type: 'string' },
    rounds: { type: 'string' },
    against: { type: 'string' },
    ms: { type: 'string', default: '30' },
    'list-ms': { type: 'string', default: '100' },
    verify: { type: 'boolean', default: false },
  },
});
const root = mkdtempSync(join(tmpdir(), 's3-deploy-bench-'));
const dist = join(import.meta.dirname, '..', 'dist', 'index.js');
const named = (list: string | undefined) => (list === undefined ? undefined : new Set(list.split(',')));

const all = [
  action('s3-deploy', dist),
  ...(args.against === undefined ? [] : [action('before', resolve(args.against))]),
  sdkLoop,
  rclone,
  awsCli,
  s3cmd,
];
const wanted = named(args.tools) ?? (args.quick ? QUICK_TOOLS : undefined);
const tools = all.filter((tool) => wanted?.has(tool.name) ?? true).filter((tool) => tool.version() !== undefined);
const scenarios = SCENARIOS.filter(({ name }) => named(args.only)?.has(name) ?? (args.quick ? QUICK.has(name) : true));

console.log(
  `${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}; ${args.ms} ms a request, ${args['list-ms']} ms a list page`,
);
console.log(`${tools.map((tool) => `${tool.name} (${tool.version()})`).join(', ')}\n`);
try {
  for (const scenario of scenarios) await measure(scenario);
} finally {
  rmSync(root, { recursive: true, force: true });
}

async function measure(scenario: Scenario): Promise<void> {
  const workspace = join(root, scenario.name);
  mkdirSync(join(workspace, 'public'), { recursive: true });
  const site = SITES[scenario.site];
  makeSite(join(workspace, 'public'), site);
  const store = await startStore(root, {
    ms: Number(args.ms),
    listMs: Number(args['list-ms']),
    verify: args.verify,
    tls: scenario.tls,
  });
  try {
    const rounds = Number(args.rounds ?? (args.quick ? 1 : scenario.rounds));
    const costs = await play(scenario, tools, rounds, workspace, store);
    print(scenario, costs, rounds);
  } finally {
    await store.close();
    rmSync(workspace, { recursive: true, force: true });
  }
}

type Costs = Map<string, (Cost & { requests: number })[]>;

async function play(
  { name, before, site, without }: Scenario,
  takingPart: readonly Tool[],
  rounds: number,
  workspace: string,
  store: Store,
): Promise<Costs> {
  const job = { workspace, store, bucket: 'bench' };
  const costs: Costs = new Map();
  let settled = false;
  let change = 0;
  for (let round = 0; round < rounds; round++) {
    for (const tool of takingPart) {
      if (without?.includes(tool.name)) continue;
      if (before === undefined) await store.clear();
      else {
        // Another tool may have put objects again, and removed the manifest.
        if (!settled) await takingPart[0]?.run(job);
        settled = tool.name === takingPart[0]?.name;
        // As after a checkout: new times, and nothing else.
        touchAll(join(workspace, 'public'), SITES[site]);
      }
      if (before === 'changed') {
        changeSome(join(workspace, 'public'), SITES[site], ++change);
        settled = false;
      }
      await store.count();
      const cost = await tool.run(job);
      const { requests, counts, objects } = await store.count();
      const expected = SITES[site].files;
      if (objects < expected || (counts.BadDigest ?? 0) > 1) {
        throw new Error(`${name}: after ${tool.name} the bucket has ${objects} objects of ${expected}.`);
      }
      costs.set(tool.name, [...(costs.get(tool.name) ?? []), { ...cost, requests }]);
    }
  }
  return costs;
}

function print({ name, title }: Scenario, costs: Costs, rounds: number): void {
  console.log(`### ${title} (\`${name}\`, ${rounds} ${rounds === 1 ? 'round' : 'rounds'})\n`);
  console.log(
    '| tool | wall s | CPU s | MB | requests | wall × | CPU × |\n| --- | --- | --- | --- | --- | --- | --- |',
  );
  const ours = costs.values().next().value ?? [];
  for (const [tool, runs] of costs) {
    const ratio = (part: 'wall' | 'cpu') =>
      // Of each round by itself: what the machine did besides was the same then, or nearly.
      median(runs.map((run, round) => run[part] / (ours[round]?.[part] ?? Number.NaN))).toFixed(2);
    const middle = (part: keyof (typeof runs)[number]) => median(runs.map((run) => run[part]));
    const seconds = [middle('wall').toFixed(2), middle('cpu').toFixed(2)];
    console.log(
      `| ${[tool, ...seconds, middle('memory').toFixed(0), middle('requests'), ratio('wall'), ratio('cpu')].join(' | ')} |`,
    );
  }
  console.log();
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
