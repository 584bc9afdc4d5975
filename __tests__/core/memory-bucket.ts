import { createHash } from 'node:crypto';
import { expect } from '@jest/globals';
import type { Entry } from '../../src/core/entries.ts';
import { compareKeys, manifestKey, type Prefix, toKey } from '../../src/core/key.ts';
import {
  contentFingerprint,
  decodeManifest,
  encodeManifest,
  headersFingerprint,
  keyHash,
  type Manifest,
  saysMore,
} from '../../src/core/manifest.ts';
import type { LocalFile, ObjectHeaders, Plan, RemoteObject, StorageOptions, Stored } from '../../src/core/model.ts';
import { ObjectIndex } from '../../src/core/object-index.ts';
import { Places } from '../../src/core/places.ts';
import {
  type ContentDigest,
  candidateOf,
  type Digest,
  type KnownManifest,
  type Memory,
  manifestAfter,
  noteAfter,
  type PlanOptions,
  planDeploy,
  toAsk,
} from '../../src/core/plan.ts';
import { assetsOf, noteKey, notesAmong, notesSince, type Shard, shareOf } from '../../src/core/shard.ts';

/** An object as it lies in the bucket. */
export interface Item {
  readonly content: string;
  readonly etag: string;
  readonly headers: ObjectHeaders;
  readonly storage: StorageOptions;
  readonly lastModified: number;
  readonly by: 'us' | 'them';
}

/** The files of a source, by path. */
export type Tree = Readonly<Record<string, string>>;

const PLAIN: ObjectHeaders = { contentType: 'binary/octet-stream' };

/** A bucket in memory, whose clock goes on by a second with each write. */
export class MemoryBucket {
  readonly items = new Map<string, Item>();
  readonly #md5: boolean;
  #now = 1_700_000_000_000;

  /** @param md5 whether ETags are the MD5 of the content; as with KMS they look like one otherwise, and are not. */
  constructor(md5 = true) {
    this.#md5 = md5;
  }

  put(key: string, content: string, more: Partial<Item> = {}): Item {
    this.#now += 1000;
    const salt = this.#md5 ? '' : `${this.#now}`;
    const item: Item = {
      ...{ content, headers: PLAIN, storage: {}, by: 'them', ...more },
      etag: md5(content + salt),
      lastModified: this.#now,
    };
    this.items.set(key, item);
    return item;
  }

  async *list(prefix: string): AsyncGenerator<RemoteObject[]> {
    const keys = [...this.items.keys()].filter((key) => key.startsWith(prefix)).sort(compareKeys);
    for (const key of keys) {
      const { content, etag, lastModified } = this.#at(key);
      yield [{ key, size: Buffer.byteLength(content, 'latin1'), etag, lastModified }];
    }
  }

  /** What a deploy of this tree would do, or a shard of it, and what it was planned with: the same steps as of the action. */
  async plan(tree: Tree, options: PlanOptions, shard?: Shard): Promise<Planned> {
    const { prefix } = options;
    const all = Object.entries(tree).map(
      ([path, content]): LocalFile => ({ path, size: content.length, inode: 1, modified: 1 }),
    );
    const files = shard === undefined ? all : shareOf(assetsOf(all), shard);
    const inOrder = files.toSorted((a, b) => compareKeys(a.path, b.path));
    const index = new ObjectIndex(
      prefix,
      new Places(inOrder.map(({ path }) => toKey(prefix, path))),
      shard !== undefined,
    );
    for await (const page of this.list(prefix)) index.add(page);
    const { objects, own } = index;
    const manifest = this.#read(manifestKey(prefix));
    const notes = notesAmong(own, prefix, shard, manifest).flatMap(({ key }) => this.#read(key) ?? []);
    const known = { objects, manifest, notes: notesSince(manifest, notes) };
    const digests: (Digest | undefined)[] = files.map(() => undefined);
    for (const [place, file] of options.overwrite ? files.entries() : []) {
      const candidate = candidateOf(file, objects.get(toKey(prefix, file.path)), known);
      if (candidate === undefined) continue;
      const digest = digestOf(tree[file.path] ?? '', 'etag' in candidate ? candidate.etag : undefined);
      const entry = 'entry' in candidate ? candidate.entry : undefined;
      digests[place] = digest.content === entry?.content ? { rememberedHeaders: entry.headers } : digest;
    }
    const asked = toAsk(files, { ...known, digests }, prefix);
    const headers = new Map(asked.map(({ key }) => [key, this.items.get(key)?.headers]));
    return { plan: planDeploy(files, { ...known, digests, headers }, options), asked, memory: known };
  }

  /**
   * Carries a plan out, as the action does.
   * @param uploads stops as if it was killed after so many.
   */
  async deploy(tree: Tree, options: PlanOptions, uploads = Number.POSITIVE_INFINITY): Promise<Planned> {
    const planned = await this.plan(tree, options);
    const { plan, memory } = planned;
    const stored = this.#upload(tree, plan, options, uploads);
    if (stored === undefined) return planned;
    const next = manifestAfter(plan, stored, memory, this.#by(), options);
    expect(new Map(next.entries)).toEqual(plainlyAfter(plan, stored, memory, options));
    const isNews = plan.verified || (memory.notes ?? []).length > 0 || saysMore(next, memory.manifest);
    if (options.overwrite && isNews) this.#write(manifestKey(options.prefix), next);
    for (const { key } of plan.deletions) this.items.delete(key);
    return planned;
  }

  /** Carries out the share of a shard, as the action does; it leaves no note when it was killed. */
  async deployShare(
    tree: Tree,
    options: PlanOptions,
    shard: Shard,
    uploads = Number.POSITIVE_INFINITY,
  ): Promise<Planned> {
    const planned = await this.plan(tree, { ...options, delete: 'off' }, shard);
    const stored = this.#upload(tree, planned.plan, options, uploads);
    if (stored === undefined || !options.overwrite) return planned;
    const note = noteAfter(planned.plan, stored, planned.memory, this.#by(), { ...options, delete: 'off' });
    if (note !== undefined) this.#write(noteKey(options.prefix, shard), note);
    return planned;
  }

  /** Puts what a plan says; undefined when it was killed meanwhile. */
  #upload(tree: Tree, plan: Plan, options: PlanOptions, most: number) {
    const wanted = plan.phases.flatMap((phase) => phase.uploads);
    const stored = wanted.slice(0, most).map((upload) => {
      const content = tree[upload.file.path] ?? '';
      const { etag } = this.put(upload.key, content, { headers: upload.headers, storage: options.storage, by: 'us' });
      return { ...upload, etag, content: digestOf(content, undefined).content };
    });
    return most < wanted.length ? undefined : stored;
  }

  /** What a prefix holds, by path. */
  below(prefix: Prefix): Map<string, Item> {
    const inside = [...this.items].filter(([key]) => key.startsWith(prefix));
    return new Map(inside.map(([key, item]) => [key.slice(prefix.length), item]));
  }

  #by() {
    return { startedAt: this.#now, run: '1-1' };
  }

  #read(key: string): KnownManifest | undefined {
    const there = this.items.get(key);
    const read = there === undefined ? undefined : decodeManifest(Buffer.from(there.content, 'latin1'));
    return there && read && { ...read, lastModified: there.lastModified };
  }

  #write(key: string, manifest: Manifest): void {
    this.put(key, encodeManifest(manifest).toString('latin1'), { by: 'us' });
  }

  #at(key: string): Item {
    const item = this.items.get(key);
    if (item === undefined) throw new Error(`nothing at ${key}`);
    return item;
  }
}

/** What a manifest says after a deploy, entry by entry, whatever it said before. */
function plainlyAfter(plan: Plan, stored: readonly Stored[], memory: Memory, options: PlanOptions): Map<string, Entry> {
  const remembered = ({ key, etag, lastModified }: RemoteObject): Entry | undefined =>
    [...(memory.notes ?? []), ...(memory.manifest ? [memory.manifest] : [])].flatMap((one) => {
      const entry = one.entries.get(keyHash(key));
      return entry?.etag === etag && lastModified <= one.lastModified ? [entry] : [];
    })[0];
  const entries = new Map<string, Entry>();
  for (const { key, etag, content, headers } of stored) {
    const fingerprint = headersFingerprint(headers, options.storage);
    entries.set(keyHash(key), { etag, content, headers: fingerprint, owned: true, staleSince: undefined });
  }
  for (const object of plan.unchanged) {
    const { key, etag, found } = object;
    const entry = found ? { ...found, owned: false } : remembered(object);
    if (entry?.headers !== undefined) entries.set(keyHash(key), { ...entry, etag, staleSince: undefined });
  }
  for (const { object, since } of plan.stale) {
    const stranger = { content: undefined, headers: undefined, owned: false };
    const entry = remembered(object) ?? (options.delete === 'all' ? { ...stranger, etag: object.etag } : undefined);
    if (entry !== undefined) entries.set(keyHash(object.key), { ...entry, staleSince: since });
  }
  return entries;
}

export interface Planned {
  readonly plan: Plan;
  readonly asked: readonly RemoteObject[];
  readonly memory: Memory;
}

/** Every key that a plan would write or delete. */
export function touched({ phases, deletions }: Plan): string[] {
  return [...phases.flatMap(({ uploads }) => uploads), ...deletions].map(({ key }) => key);
}

/** The keys of a tree below a prefix. */
export function keysOf(tree: Tree, prefix: Prefix): string[] {
  return Object.keys(tree).map((path) => toKey(prefix, path));
}

function digestOf(content: string, like: string | undefined): ContentDigest {
  const piece = createHash('sha256').update(content, 'latin1').digest();
  return { content: contentFingerprint([piece]), etag: like === undefined ? undefined : md5(content) };
}

function md5(content: string): string {
  return createHash('md5').update(content, 'latin1').digest('hex');
}
