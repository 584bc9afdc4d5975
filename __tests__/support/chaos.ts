import { appendFileSync } from 'node:fs';

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
