import { closeSync, ftruncateSync, mkdirSync, openSync, readSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** A site to deploy. */
export interface SiteKind {
  readonly files: number;
  /** Bytes of the first file, the second and so on; over again when they end. */
  readonly sizes: readonly number[];
  readonly extensions: readonly string[];
}

const KIB = 1024;
const MIB = 1024 ** 2;
const WEB = ['html', 'css', 'js', 'html', 'svg', 'html'];
/** As on a site of pages with their scripts, styles and pictures: half of the files below 6 KiB, the mean 15 KiB. */
const MIXED = [0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 28, 40, 80].map((size) => size * KIB);

export const SITES = {
  tiny: { files: 60, sizes: MIXED, extensions: WEB },
  small: { files: 2_000, sizes: [10 * KIB], extensions: WEB },
  medium: { files: 5_000, sizes: MIXED, extensions: WEB },
  large: { files: 20_000, sizes: MIXED, extensions: WEB },
  huge: { files: 200_000, sizes: [KIB], extensions: WEB },
  media: { files: 10, sizes: [200 * MIB], extensions: ['mp4'] },
} as const satisfies Record<string, SiteKind>;

export type SiteName = keyof typeof SITES;

/** Files larger than this have holes; see `makeMedia`. */
const LARGEST_WHOLE = MIB;
const PER_FOLDER = 50;

/** Writes a site of different files, fifty to a folder; the same each time. */
export function makeSite(folder: string, site: SiteKind): void {
  const body = noise(Math.min(LARGEST_WHOLE, Math.max(...site.sizes)));
  for (let number = 0; number < site.files; number++) {
    const path = join(folder, pathOf(number, site));
    if (number % PER_FOLDER === 0) mkdirSync(join(path, '..'), { recursive: true });
    const size = sizeOf(number, site);
    if (size > LARGEST_WHOLE) makeMedia(path, size, number);
    else {
      body.write(`file ${number}\n`.padEnd(24), 0, 'latin1');
      writeFileSync(path, body.subarray(0, size));
    }
  }
}

/**
 * A large file with 4 KiB of its own in each MiB and holes between: it takes no time and no room to write, and who uploads
 * it reads, digests and sends every byte all the same.
 */
function makeMedia(path: string, size: number, number: number): void {
  const file = openSync(path, 'w');
  ftruncateSync(file, size);
  const piece = noise(4 * KIB);
  for (let at = 0; at < size; at += MIB) {
    piece.write(`file ${number} at ${at}\n`.padEnd(40), 0, 'latin1');
    writeSync(file, piece, 0, Math.min(piece.length, size - at), at);
  }
  closeSync(file);
}

/** Changes one file in a hundred, not in its size. */
export function changeSome(folder: string, site: SiteKind): void {
  for (let number = 0; number < site.files; number += 100) {
    writeFileSync(join(folder, pathOf(number, site)), Buffer.alloc(sizeOf(number, site), `changed, file ${number}\n`));
  }
}

/** Files that `changeSome` changes. */
export function changedOf(site: SiteKind): number {
  return Math.ceil(site.files / 100);
}

/** Leaves every file as a build does that has just written it: with the time of now, and in memory. */
export function freshen(folder: string, site: SiteKind): void {
  const now = new Date();
  const buffer = Buffer.alloc(MIB);
  for (let number = 0; number < site.files; number++) {
    const path = join(folder, pathOf(number, site));
    const file = openSync(path, 'r');
    while (readSync(file, buffer) > 0);
    closeSync(file);
    utimesSync(path, now, now);
  }
}

export function bytesOf(site: SiteKind): number {
  let bytes = 0;
  for (let number = 0; number < site.files; number++) bytes += sizeOf(number, site);
  return bytes;
}

function sizeOf(number: number, { sizes }: SiteKind): number {
  return sizes[number % sizes.length] ?? 0;
}

function pathOf(number: number, { extensions }: SiteKind): string {
  const folder = `section-${String(Math.floor(number / PER_FOLDER)).padStart(5, '0')}`;
  return `${folder}/page-${String(number).padStart(6, '0')}.${extensions[number % extensions.length]}`;
}

function noise(bytes: number): Buffer {
  const body = Buffer.alloc(bytes);
  for (let i = 0; i + 4 <= body.length; i += 4) body.writeUInt32LE(Math.imul(i + 1, 2654435761) >>> 0, i);
  return body;
}
