import { createHash } from 'node:crypto';

/** How files are cut for the upload; bytes. */
export interface UploadSizes {
  /** Files up to this size go up whole. */
  readonly threshold: number;
  /** The size of a part, unless a file needs larger ones. */
  readonly part: number;
  /** Parts that the store allows an upload. */
  readonly mostParts: number;
}

const MIB = 1024 ** 2;
/** S3's limits: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
export const SMALLEST_PART = 5 * MIB;
export const LARGEST_PART = 5 * 1024 * MIB;
/** The largest object that one request puts, or copies. */
export const LARGEST_WHOLE = 5 * 1024 * MIB;

/** The part size of other tools' defaults too, so that what they uploaded in parts is recognised. */
export const DEFAULT_PART = 8 * MIB;

/** The size of this file's parts: as set, or the next MiB with which as many suffice as the store allows. */
export function partSizeFor(size: number, { part, mostParts }: UploadSizes): number {
  const needed = Math.ceil(size / mostParts / MIB) * MIB;
  return Math.max(part, needed);
}

/** Bytes of a stream that are lent at once, but for its last. */
export const STREAM_PIECE = MIB;

/** Most parts of one file that are under way at once, in memory, or as streams of which little is. */
export const PARTS_AT_ONCE = 4;
export const STREAMS_AT_ONCE = 8;

/** The ETag that S3 gives an object of these parts: the MD5 of their MD5s, and their number. */
export function multipartEtag(md5s: readonly Uint8Array[]): string {
  const hash = createHash('md5');
  for (const md5 of md5s) hash.update(md5);
  return `${hash.digest('hex')}-${md5s.length}`;
}
