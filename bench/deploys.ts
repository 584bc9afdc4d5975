import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Goal, Run, Runs } from './goals.ts';
import { APART, type Cores, TOGETHER } from './machine.ts';
import { topOf } from './profile.ts';
import { describeRatios, digits, median, type Report, roundsText, table } from './report.ts';
import type { Bench, Row } from './row.ts';
import { changedOf, changeSome, freshen, makeSite, SITES, type SiteName } from './sites.ts';
import { startStore } from './store.ts';
import { action } from './tools/action.ts';
import type { Job, Tool } from './tools/tool.ts';

/** A row in which tools deploy a site. */
export interface DeployRow {
  readonly name: string;
  readonly title: string;
  readonly site: SiteName;
  readonly tls?: boolean;
  /** Uploaded before, and unchanged, or with one file in a hundred changed; all with new times. */
  readonly before?: 'same' | 'changed';
  /** Signs in as a job does, and finds the bucket by AWS's own names. */
  readonly wholeStep?: boolean;
  readonly bothCores?: boolean;
  readonly peers: readonly string[];
  readonly rounds: number;
  /** Rounds of `--quick`; absent where it has none. */
  readonly quick?: number;
  /** Those of `peers` that are quick. */
  readonly quickPeers?: readonly string[];
  readonly goals: readonly Goal[];
}

export const OURS = 's3-deploy';

export function deployRow(row: DeployRow): Row {
  return {
    name: row.name,
    title: row.title,
    quick: row.quick !== undefined,
    measure: (bench) => measure(row, bench),
  };
}

async function measure(row: DeployRow, bench: Bench): Promise<Report> {
  const { options, folder } = bench;
  const workspace = join(folder, 'workspace');
  mkdirSync(join(workspace, 'public'), { recursive: true });
  const site = SITES[row.site];
  makeSite(join(workspace, 'public'), site);
  const profiles = options.profile === undefined ? undefined : join(options.profile, row.name);
  const tools = toolsOf(row, bench, profiles);
  const rounds = options.rounds ?? (options.quick ? (row.quick ?? 1) : row.rounds);
  const cores = row.bothCores ? TOGETHER : APART;
  const runs = await play(row, tools, { rounds, cores, workspace, bench });
  const ours = runs.get(OURS);
  const top = profiles === undefined ? '' : `\n\n${topOf(profiles)}`;
  return {
    verdicts: ours === undefined ? [] : row.goals.map((goal) => goal(runs, ours)),
    detail: `${detailOf(runs, rounds)}${top}`,
  };
}

function toolsOf(row: DeployRow, { options, peers }: Bench, profiles: string | undefined): Tool[] {
  const inputs = options.concurrency === undefined ? {} : { concurrency: options.concurrency };
  const how = { inputs, wholeStep: row.wholeStep ?? false };
  const ours = action(OURS, { ...how, profiles });
  const before = options.against === undefined ? [] : [action('before', { ...how, dist: options.against })];
  const names = options.tools ?? (options.quick ? (row.quickPeers ?? row.peers) : row.peers);
  const named = names.flatMap((name) => peers.get(name) ?? []);
  const all = [...(options.tools?.includes(OURS) === false ? [] : [ours]), ...before, ...named];
  if (all.length === 0) throw new Error(`${row.name}: none of these tools is here: ${names.join(', ')}.`);
  return all;
}

interface Playing {
  readonly rounds: number;
  readonly cores: Cores;
  readonly workspace: string;
  readonly bench: Bench;
}

/** Lets every tool run in each round, so that what else the machine does falls on all alike. */
async function play(
  row: DeployRow,
  tools: readonly Tool[],
  { rounds, cores, workspace, bench }: Playing,
): Promise<Runs> {
  const { pace, verify } = bench.options;
  const site = SITES[row.site];
  const source = join(workspace, 'public');
  const store = await startStore(bench.folder, { pace, verify, tls: row.tls ?? false, cores: cores.store });
  const job: Job = { workspace, store, bucket: 'bench', cores: cores.client };
  const runs = new Map<string, Run[]>();
  try {
    if (row.before !== undefined) {
      await store.setPace({ ms: 0, listMs: 0 });
      for (const tool of preparing(tools, row)) {
        await store.clear();
        await tool.prepare?.({ ...job, cores: TOGETHER.client });
        await store.save(tool.name);
      }
      await store.setPace(pace);
      if (row.before === 'changed') changeSome(source, site);
    }
    for (let round = 0; round < rounds; round++) {
      for (const tool of tools) {
        if ((runs.get(tool.name)?.[0]?.wall ?? 0) > LONG_SECONDS) continue;
        await store.clear();
        if (row.before !== undefined) await store.restore(tool.prepare === undefined ? OURS : tool.name);
        // Whoever ran before has left the machine's memory as it may be.
        freshen(source, site);
        await store.count();
        const cost = await tool.run(job);
        const { requests, counts, objects, openUploads, cpu } = await store.count();
        if (objects < site.files) {
          throw new Error(`${row.name}: after ${tool.name} the bucket has ${objects} objects of ${site.files}.`);
        }
        const changed = row.before === 'changed' ? changedOf(site) : 0;
        if (changed > (counts.PutObject ?? 0)) throw new Error(`${row.name}: ${tool.name} did not upload all changes.`);
        runs.set(tool.name, [
          ...(runs.get(tool.name) ?? []),
          { ...cost, requests, counts, openUploads, storeCpu: cpu },
        ]);
      }
    }
  } finally {
    await store.close();
  }
  return runs;
}

/** A tool that takes so long runs once: nobody needs to know it better. */
const LONG_SECONDS = 60;

/** Who puts there what was deployed before: each build of the action for itself, ours for all others. */
function preparing(tools: readonly Tool[], { wholeStep = false }: DeployRow): Tool[] {
  const own = tools.filter((tool) => tool.prepare !== undefined);
  return own.some(({ name }) => name === OURS) ? own : [...own, action(OURS, { wholeStep })];
}

function detailOf(runs: Runs, rounds: number): string {
  const ours = runs.values().next().value ?? [];
  const head = ['tool', 'wall s', 'CPU s', 'MB', 'requests', 'wall ×', 'CPU ×', 'store CPU s'];
  const rows = [...runs].map(([tool, its]) => {
    const middle = (part: 'wall' | 'cpu' | 'memory' | 'requests' | 'storeCpu') => median(its.map((run) => run[part]));
    const ratio = (part: 'wall' | 'cpu') =>
      describeRatios(its.map((run, round) => run[part] / (ours[round]?.[part] ?? Number.NaN)));
    return [
      tool,
      digits(middle('wall')),
      digits(middle('cpu')),
      middle('memory').toFixed(0),
      String(middle('requests')),
      ratio('wall'),
      ratio('cpu'),
      digits(middle('storeCpu')),
    ];
  });
  const notes = [...runs].flatMap(([tool, its]) => [...limitsOf(tool, its), ...leftOf(tool, its)]);
  const counts = Object.entries(ours.at(-1)?.counts ?? {}).map(([name, n]) => `${name} ${n}`);
  return [
    `${roundsText(rounds)}; ${[...runs.keys()][0]}: ${counts.join(', ')}`,
    '',
    table(head, rows),
    ...notes.map((note) => `\n${note}`),
  ].join('\n');
}

/** The store is the limit where it has hardly a moment's rest: then walls say more of it than of the tool. */
const BUSY = 0.85;

function limitsOf(tool: string, its: readonly Run[]): string[] {
  const busy = median(its.map(({ storeCpu, wall }) => storeCpu / wall));
  return busy > BUSY ? [`The store was busy for ${(busy * 100).toFixed(0)} % of the wall time of ${tool}.`] : [];
}

function leftOf(tool: string, its: readonly Run[]): string[] {
  const left = Math.max(...its.map(({ openUploads }) => openUploads));
  return left > 0 ? [`${tool} left ${left} uploads in parts open.`] : [];
}
