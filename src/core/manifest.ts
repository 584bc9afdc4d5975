import { hash as digest } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { type Entries, type Entry, readLines, writeLines } from './entries.ts';
import type { ObjectHeaders, StorageOptions } from './model.ts';
import { DEFAULT_PART } from './parts.ts';

/** The deploy that wrote a manifest. */
export interface DeployId {
  /** When it began; milliseconds since the epoch. */
  readonly startedAt: number;
  /** Run id and attempt. */
  readonly run: string;
}

/**
 * What earlier deploys put below a prefix: one small object, written last. Keys are named by hash only, so a manifest that
 * anybody can read shows nobody a list of pages.
 */
export interface Manifest {
  readonly by: DeployId;
  /** By `keyHash`. */
  readonly entries: Entries;
  /**
   * A CDN is to hear of what this deploy, or one before it, has changed, and nobody knows whether it did. Written before
   * the invalidation and taken back after it, so that whatever comes in between is made up for.
   */
  readonly uninvalidated?: boolean | undefined;
}

/** Counts up when what a line says is made in another way: an older manifest is then none, rather than one of other contents. */
const FORMAT = 's3-deploy manifest 2';
/** Bytes; a manifest of a million objects has a fifth of this, and unpacked a sixth of that. Larger is none of ours. */
export const LARGEST_MANIFEST = 256 * 1024 ** 2;
const MOST_UNPACKED = 512 * 1024 ** 2;

/** The name of a key in a manifest: 96 bits of its hash. */
export function keyHash(key: string): string {
  return hash(key, 12);
}

/** What decides whether two objects are served alike: headers and storage options as they are sent. */
export function headersFingerprint(headers: ObjectHeaders, storage: StorageOptions): string {
  return hash(JSON.stringify(sorted({ ...headers, storage: sorted({ ...storage }) })), 9);
}

/** The size of the pieces that a content's fingerprint is made of: that of parts, each of which needs its SHA-256 anyway. */
export const FINGERPRINT_CHUNK = DEFAULT_PART;

/**
 * The fingerprint of a content, from the SHA-256 of each of its pieces of 8 MiB, in order. Of a single piece it is the digest
 * itself, cut; contents of one piece and of more are told apart by their sizes.
 */
export function contentFingerprint(digests: readonly Buffer[]): string {
  const [one] = digests;
  if (one === undefined || digests.length > 1) return hash(Buffer.concat(digests), 12);
  return one.toString('base64url', 0, 12);
}

/** The fingerprint of a content that is a single piece. */
export function pieceFingerprint(content: Uint8Array): string {
  return hash(content, 12);
}

/**
 * The manifest as bytes: a line on who wrote it, then a line per object, compressed. An object whose ETag fits no line, an
 * empty one say, is not remembered, so that it makes nothing else forgotten.
 */
export function encodeManifest({ by, entries, uninvalidated }: Manifest): Buffer {
  const first = `${FORMAT} ${by.startedAt} ${by.run}${uninvalidated ? UNINVALIDATED : ''}\n`;
  return gzipSync(Buffer.concat([Buffer.from(first, 'latin1'), writeLines(entries)]), { level: 1 });
}

/** By their bytes: what is read ahead is not to be decoded again by who asks for it. */
const decoded = new WeakMap<Uint8Array, Manifest>();

/** Reads what `encodeManifest` wrote; undefined for anything else, a manifest of a later version included. */
export function decodeManifest(bytes: Uint8Array): Manifest | undefined {
  const manifest = decoded.get(bytes) ?? decode(bytes);
  if (manifest !== undefined) decoded.set(bytes, manifest);
  return manifest;
}

function decode(bytes: Uint8Array): Manifest | undefined {
  let text: Buffer;
  try {
    text = gunzipSync(bytes, { maxOutputLength: MOST_UNPACKED, chunkSize: pieceSize(bytes) });
  } catch {
    return undefined;
  }
  const [first = '', startedAt, run, uninvalidated] = FIRST_LINE.exec(text.toString('latin1', 0, LONGEST_FIRST)) ?? [];
  if (startedAt === undefined || run === undefined) return undefined;
  const entries = readLines(text.subarray(first.length));
  if (entries === undefined) return undefined;
  return { by: { startedAt: Number(startedAt), run }, entries, ...(uninvalidated && { uninvalidated: true }) };
}

/** What is unpacked is the size that the end of gzip tells: in smaller pieces all of it would be in memory twice. */
function pieceSize(bytes: Uint8Array): number {
  const told = Buffer.from(bytes.slice(-4)).readUInt32LE();
  return Math.min(Math.max(told + 1, SMALL_PIECE), MOST_UNPACKED);
}

const SMALL_PIECE = 16 * 1024;

const UNINVALIDATED = ' uninvalidated';
const FIRST_LINE = new RegExp(`^${FORMAT} (\\d{1,16}) ([\\w.-]{1,100})(${UNINVALIDATED})?\n`);
const LONGEST_FIRST = 200;

/** Whether writing `next` over `before` would tell anything new. Objects that are gone need not be forgotten at once. */
export function saysMore(next: Manifest, before: Manifest | undefined): boolean {
  if ((next.uninvalidated ?? false) !== (before?.uninvalidated ?? false)) return true;
  if (next.entries === before?.entries) return false;
  for (const [name, entry] of next.entries) if (!sameEntry(entry, before?.entries.get(name))) return true;
  return false;
}

/** Whether two entries say the same. */
export function sameEntry(entry: Entry, other: Entry | undefined): boolean {
  return (
    other !== undefined &&
    entry.etag === other.etag &&
    entry.content === other.content &&
    entry.headers === other.headers &&
    entry.owned === other.owned &&
    entry.staleSince === other.staleSince
  );
}

/** @param bytes a multiple of three, which are four characters. As text at once: by way of a buffer it takes twice the time. */
function hash(data: string | Uint8Array, bytes: number): string {
  return digest('sha256', data, 'base64url').slice(0, (bytes / 3) * 4);
}

function sorted(record: Record<string, unknown>): [string, unknown][] {
  return Object.entries(record)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]): [string, unknown] => [name, isRecord(value) ? sorted(value) : value])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
