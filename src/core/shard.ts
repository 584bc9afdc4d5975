import { createHash } from 'node:crypto';
import { phaseOf } from './headers.ts';
import { type Prefix, shardFolder } from './key.ts';
import type { LocalFile, RemoteObject } from './model.ts';
import type { KnownManifest } from './plan.ts';

/** One job's share of the assets: `2/8` is the second of eight. */
export interface Shard {
  /** From 1. */
  readonly number: number;
  readonly of: number;
}

/** So many jobs a matrix has at most. https://docs.github.com/actions/reference/limits */
export const MOST_SHARDS = 256;

/** All notes of a deploy together say what one manifest says. */
const MOST_BYTES = 256 * 1024 ** 2;

const SHARD = /^([1-9]\d{0,2})(\/|-of-)([1-9]\d{0,2})$/;

/** Reads `2/8`; undefined for anything else, `0/8` and `9/8` included. */
export function parseShard(value: string): Shard | undefined {
  return read(value, '/');
}

function read(value: string, between: string): Shard | undefined {
  const [, number, sign, of] = SHARD.exec(value) ?? [];
  const shard = { number: Number(number), of: Number(of) };
  return sign === between && shard.number <= shard.of && shard.of <= MOST_SHARDS ? shard : undefined;
}

/** The files of the first phase: what shards share among them. */
export function assetsOf(files: readonly LocalFile[]): LocalFile[] {
  return files.filter(({ path }) => phaseOf(path) === 'assets');
}

/**
 * The assets of a shard. A hash of the path alone decides, so that every job finds the same shares, whatever else the tree
 * holds and in whatever order it is read, and so that folders spread over all of them.
 */
export function shareOf(assets: readonly LocalFile[], { number, of }: Shard): LocalFile[] {
  return assets.filter(({ path }) => createHash('sha256').update(path).digest().readUInt32BE() % of === number - 1);
}

/** `shard 2 of 8`. */
export function nameOf({ number, of }: Shard): string {
  return `shard ${number} of ${of}`;
}

/** The key of the note in which a shard tells the last run what it has put: one for each, written over by the next deploy. */
export function noteKey(prefix: Prefix, { number, of }: Shard): string {
  return `${shardFolder(prefix)}${number}-of-${of}`;
}

/**
 * The notes among listed objects that are worth reading, newest first: those that are no older than the manifest. An older
 * one is in the manifest, or of a deploy that another one has overtaken; so nobody needs to delete notes, and the next
 * deploy in shards writes over them.
 * @param shard where it is one that reads, its own note alone: it may have been here before.
 */
export function notesAmong(
  listed: readonly RemoteObject[],
  prefix: Prefix,
  shard: Shard | undefined,
  manifest: KnownManifest | undefined,
): RemoteObject[] {
  const isWanted = (key: string) => (shard === undefined ? isNoteKey(key, prefix) : key === noteKey(prefix, shard));
  let bytes = 0;
  return listed
    .filter(({ key, lastModified }) => isWanted(key) && lastModified >= (manifest?.lastModified ?? 0))
    .sort((a, b) => b.lastModified - a.lastModified)
    .slice(0, MOST_SHARDS)
    .filter(({ size }) => {
      bytes += size;
      return bytes <= MOST_BYTES;
    });
}

/** The notes that were written since the manifest, newest first. */
export function notesSince(manifest: KnownManifest | undefined, notes: readonly KnownManifest[]): KnownManifest[] {
  return notes.filter((note) => manifest === undefined || ageOf(note, manifest) > 0).sort((a, b) => ageOf(b, a));
}

/** Positive when one was written later. Stores count in seconds; of the same second the run that began later tells. */
function ageOf(one: KnownManifest, other: KnownManifest): number {
  return one.lastModified - other.lastModified || one.by.startedAt - other.by.startedAt;
}

/** Whether a key is of such a note. */
export function isNoteKey(key: string, prefix: Prefix): boolean {
  const folder = shardFolder(prefix);
  return key.startsWith(folder) && read(key.slice(folder.length), '-of-') !== undefined;
}
