import { createHash } from 'node:crypto';

/** How files are cut for the upload; bytes. */
export interface UploadSizes {
  /** Files up to this size go up whole. */
  readonly threshold: number;
  /** The size of a part, unless a file needs larger ones. */
  readonly part: number;
}

const MIB = 1024 ** 2;
/** S3's limits: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
export const SMALLEST_PART = 5 * MIB;
export const LARGEST_PART = 5 * 1024 * MIB;
const MOST_PARTS = 10_000;

/** The part size of other tools' defaults too, so that what they uploaded in parts is recognised. */
export const DEFAULT_SIZES: UploadSizes = { threshold: 8 * MIB, part: 8 * MIB };

/** The size of this file's parts: as set, or the next MiB with which 10,000 suffice. */
export function partSizeFor(size: number, sizes: UploadSizes): number {
  const needed = Math.ceil(size / MOST_PARTS / MIB) * MIB;
  return Math.max(sizes.part, needed);
}

/** Parts of one file that are under way at once. */
export const PARTS_AT_ONCE = 4;

/** Bytes that an upload of a file holds in memory. */
export function memoryFor(size: number, sizes: UploadSizes): number {
  return size <= sizes.threshold ? size : Math.min(size, PARTS_AT_ONCE * partSizeFor(size, sizes));
}

/** The ETag that S3 gives an object of these parts: the MD5 of their MD5s, and their number. */
export function multipartEtag(md5s: readonly Uint8Array[]): string {
  const hash = createHash('md5');
  for (const md5 of md5s) hash.update(md5);
  return `${hash.digest('hex')}-${md5s.length}`;
}
