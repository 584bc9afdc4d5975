import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A site to deploy. */
export interface SiteKind {
  readonly files: number;
  readonly bytes: number;
  readonly extensions: readonly string[];
}

export const SITES = {
  small: { files: 2_000, bytes: 10_240, extensions: ['html', 'css', 'js', 'svg'] },
  medium: { files: 5_000, bytes: 4_096, extensions: ['html', 'css', 'js', 'svg'] },
  large: { files: 20_000, bytes: 10_240, extensions: ['html', 'css', 'js', 'svg'] },
  huge: { files: 200_000, bytes: 1_024, extensions: ['html', 'js'] },
  media: { files: 10, bytes: 200 * 1024 ** 2, extensions: ['mp4'] },
} as const satisfies Record<string, SiteKind>;

export type SiteName = keyof typeof SITES;

/** Writes a site of different files of one size, fifty to a folder; the same each time. */
export function makeSite(folder: string, { files, bytes, extensions }: SiteKind): void {
  const body = Buffer.alloc(bytes);
  for (let i = 0; i < body.length; i += 4) body.writeUInt32LE(Math.imul(i + 1, 2654435761) >>> 0, i);
  for (let number = 0; number < files; number++) {
    const directory = join(folder, pathOf(number, extensions).split('/')[0] ?? '');
    if (number % 50 === 0) mkdirSync(directory, { recursive: true });
    body.write(`file ${number}\n`.padEnd(24), 0, 'latin1');
    writeFileSync(join(folder, pathOf(number, extensions)), body);
  }
}

/** Changes one file in a hundred, not in its size. */
export function changeSome(folder: string, { files, bytes, extensions }: SiteKind, round: number): number {
  let changed = 0;
  for (let number = 0; number < files; number += 100) {
    const body = Buffer.alloc(bytes, `round ${round} of file ${number}\n`);
    writeFileSync(join(folder, pathOf(number, extensions)), body);
    changed++;
  }
  return changed;
}

/** Gives every file the time of now, as a checkout and a build do. */
export function touchAll(folder: string, { files, extensions }: SiteKind): void {
  const now = new Date();
  for (let number = 0; number < files; number++) utimesSync(join(folder, pathOf(number, extensions)), now, now);
}

function pathOf(number: number, extensions: readonly string[]): string {
  const folder = `section-${String(Math.floor(number / 50)).padStart(5, '0')}`;
  return `${folder}/page-${String(number).padStart(6, '0')}.${extensions[number % extensions.length]}`;
}
