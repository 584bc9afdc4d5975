import { appendFileSync } from 'node:fs';
import { MANIFEST } from './deploys.ts';
import type { TestCloud } from './test-cloud.ts';

/** Whether the tests under `__tests__/chaos` run in their long form: `npm run test:chaos`. */
export const LONG = process.env.CHAOS === 'long';

/** A size for `npm test`, and the one for `npm run test:chaos`. */
export function sized<T>(short: T, long: T): T {
  return LONG ? long : short;
}

/** Prints a figure as one line, and adds it to the file that CHAOS_FIGURES names, if there is one. */
export function figure(text: string): void {
  process.stderr.write(`${text}\n`);
  const { CHAOS_FIGURES: file } = process.env;
  if (file !== undefined) appendFileSync(file, `${text}\n`);
}

/** Numbers by name as a line: `error 892, reset 389`. */
export function tally(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .sort(([, a], [, b]) => b - a)
    .map(([name, times]) => `${name} ${times}`)
    .join(', ');
}

/** The first whole numbers from 1. */
export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

/** Assets that live pages name and that are not there, or not with the content that their own name tells. */
export function missingAssets(bodies: Record<string, string>): string[] {
  return Object.entries(bodies).flatMap(([page, body]) =>
    page.endsWith('.html')
      ? [...body.matchAll(/(?:src|href)=([\w./-]+)/g)]
          .filter(([, asset = '']) => bodies[asset]?.startsWith(asset) !== true)
          .map(([, asset]) => `${page} → ${asset}`)
      : [],
  );
}

/** A site with pages that name assets, of `count` files in all. */
export function pages(count: number): Record<string, string | Buffer> {
  return Object.fromEntries(
    upTo(count).map((n) => {
      const path = n % 4 === 0 ? `p/${n}/index.html` : `assets/${n}.js`;
      return [path, n % 4 === 0 ? `<script src=assets/${n - 1}.js></script>` : `assets/${n}.js ${'x'.repeat(n)}`];
    }),
  );
}

/** The objects of a bucket without the manifest; stale ones too. */
export async function objectsOf(cloud: TestCloud, bucket: string): Promise<Map<string, Buffer>> {
  const objects = await cloud.objects(bucket);
  return new Map([...objects].filter(([key]) => !MANIFEST.test(key)).map(([key, { body }]) => [key, body]));
}

/** The keys that are not there, not the same, or too many. */
export function differences(there: Map<string, Buffer>, wanted: Record<string, string | Buffer>): string[] {
  const keys = new Set([...there.keys(), ...Object.keys(wanted)]);
  return [...keys].filter((key) => {
    const [is, should] = [there.get(key), wanted[key]];
    return is === undefined || should === undefined || !is.equals(Buffer.from(should));
  });
}

/** The middle of numbers: what one slow run among ten does not move. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[half] ?? 0) : ((sorted[half - 1] ?? 0) + (sorted[half] ?? 0)) / 2;
}
