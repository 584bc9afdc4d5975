import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { table } from './report.ts';

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

const SHOWN = 40;

/** The functions in which the profiled runs spent most time themselves, over all `.cpuprofile` files of a folder. */
export function topOf(folder: string): string {
  const files = readdirSync(folder).filter((name) => name.endsWith('.cpuprofile'));
  const selfMs = new Map<string, number>();
  for (const file of files) {
    const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as CpuProfile;
    const places = new Map(nodes.map(({ id, callFrame }) => [id, placeOf(callFrame)]));
    samples.forEach((id, nth) => {
      const place = places.get(id) ?? '?';
      selfMs.set(place, (selfMs.get(place) ?? 0) + (timeDeltas[nth] ?? 0) / 1000 / files.length);
    });
  }
  selfMs.delete('(idle)');
  const total = [...selfMs.values()].reduce((sum, ms) => sum + ms, 0);
  const rows = [...selfMs]
    .sort(([, a], [, b]) => b - a)
    .slice(0, SHOWN)
    .map(([place, ms]) => [ms.toFixed(0), `${((ms / total) * 100).toFixed(1)} %`, place]);
  return `Self time, ${total.toFixed(0)} ms of ${files.length} profiles' mean:\n\n${table(['ms', '', 'function'], rows)}`;
}

function placeOf({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  const name = functionName || '(anonymous)';
  if (name.startsWith('(') && url === '') return name;
  const library = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
  const file = url.startsWith('node:') ? url : [...(library === undefined ? [] : [library]), basename(url)].join(' ');
  return `\`${name}\` ${file}${file === '' ? '' : `:${lineNumber + 1}`}`;
}
