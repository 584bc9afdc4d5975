import type { Cost } from './programs.ts';
import { describeRatios, digits, median, type Verdict } from './report.ts';
import type { Counted } from './store.ts';

/** One run of one tool, and what its store saw of it. */
export interface Run extends Cost, Pick<Counted, 'requests' | 'counts' | 'openUploads'> {
  /** Seconds of the store's own processor time. */
  readonly storeCpu: number;
}

/** Runs by tool; one a round. */
export type Runs = ReadonlyMap<string, readonly Run[]>;

/** What is to hold of the runs of ours. */
export type Goal = (runs: Runs, ours: readonly Run[]) => Verdict;

const UNITS = { wall: 's', cpu: 's', memory: 'MB' } as const;
const NAMES = { wall: 'wall', cpu: 'CPU', memory: 'memory' } as const;

/** At most so many times what another tool takes. */
export function atMost(times: number, of: 'wall' | 'cpu', than: string): Goal {
  return (runs, ours) => {
    const ratios = ratiosOf(ours, runs.get(than), (mine, theirs) => mine[of] / theirs[of]);
    return verdict(`${NAMES[of]} ≤ ${times} × ${than}`, ratios, than, (ratio) => ratio <= times);
  };
}

/** At least so many times as fast as another tool. */
export function faster(times: number, than: string): Goal {
  return (runs, ours) => {
    const ratios = ratiosOf(ours, runs.get(than), (mine, theirs) => theirs.wall / mine.wall);
    return verdict(`≥ ${times} times as fast as ${than}`, ratios, than, (ratio) => ratio >= times);
  };
}

/** Seconds, or MB. */
export function within(most: number, of: 'wall' | 'memory'): Goal {
  return (_, ours) => {
    const middle = median(ours.map((run) => run[of]));
    return {
      goal: `${NAMES[of]} ≤ ${most} ${UNITS[of]}`,
      measured: `${digits(middle)} ${UNITS[of]}`,
      met: middle <= most,
    };
  };
}

/** Requests besides one PUT for each object that changed, and one for each page of the listing. */
export function fewRequests(changed: number, pages: number, besides: number): Goal {
  const base = changed > 0 ? 'changed + pages' : 'pages';
  return (_, ours) => {
    const most = Math.max(...ours.map(({ counts }) => requestsToS3(counts) - changed - pages));
    const told = `${base} ${most < 0 ? '−' : '+'} ${Math.abs(most)}`;
    return { goal: `requests ≤ ${base} + ${besides}`, measured: told, met: most <= besides };
  };
}

/** Nothing is asked of single objects. */
export const noHead: Goal = (_, ours) => {
  const heads = Math.max(...ours.map(({ counts }) => counts.HeadObject ?? 0));
  return { goal: 'no HEAD', measured: String(heads), met: heads === 0 };
};

function requestsToS3(counts: Record<string, number>): number {
  return Object.entries(counts).reduce((sum, [name, n]) => (NOT_S3.has(name) ? sum : sum + n), 0);
}

/** Answers, and the two requests that sign a job in. */
const NOT_S3 = new Set(['BadDigest', 'SlowDown', 'GetIdToken', 'AssumeRoleWithWebIdentity']);

function ratiosOf(
  ours: readonly Run[],
  theirs: readonly Run[] | undefined,
  ratio: (mine: Run, theirs: Run) => number,
): number[] {
  return ours.flatMap((mine, round) => {
    const other = theirs?.[round];
    return other === undefined ? [] : [ratio(mine, other)];
  });
}

function verdict(goal: string, ratios: readonly number[], than: string, holds: (ratio: number) => boolean): Verdict {
  if (ratios.length === 0) return { goal, measured: `${than} did not run`, met: undefined };
  return { goal, measured: describeRatios(ratios), met: holds(median(ratios)) };
}
