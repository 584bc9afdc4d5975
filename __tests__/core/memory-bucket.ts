import { createHash } from 'node:crypto';
import { compareKeys, manifestKey, type Prefix, toKey } from '../../src/core/key.ts';
import {
  contentFingerprint,
  decodeManifest,
  encodeManifest,
  type Manifest,
  saysMore,
} from '../../src/core/manifest.ts';
import type { LocalFile, ObjectHeaders, Plan, RemoteObject, StorageOptions } from '../../src/core/model.ts';
import {
  type Digest,
  indexObjects,
  type Known,
  manifestAfter,
  type PlanOptions,
  planDeploy,
  toAsk,
  toDigest,
} from '../../src/core/plan.ts';

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

  /** What a deploy of this tree would do, and what it was planned with: the same steps as of the action. */
  async plan(tree: Tree, options: PlanOptions): Promise<Planned> {
    const { prefix } = options;
    const files = Object.entries(tree).map(
      ([path, content]): LocalFile => ({ path, size: content.length, version: '' }),
    );
    const { objects } = await indexObjects(this.list(prefix), prefix);
    const there = this.items.get(manifestKey(prefix));
    const read = there === undefined ? undefined : decodeManifest(Buffer.from(there.content, 'latin1'));
    const manifest = read === undefined ? undefined : { ...read, lastModified: there?.lastModified ?? 0 };
    const known = { objects, manifest };
    const digests = new Map<string, Digest>();
    for (const { file, like } of toDigest(files, known, options))
      digests.set(file.path, digestOf(tree[file.path] ?? '', like));
    const asked = toAsk(files, { ...known, digests }, prefix);
    const headers = new Map(asked.map(({ key }) => [key, this.items.get(key)?.headers]));
    return { plan: planDeploy(files, { ...known, digests, headers }, options), asked, manifest };
  }

  /**
   * Carries a plan out, as the action does.
   * @param uploads stops as if it was killed after so many.
   */
  async deploy(tree: Tree, options: PlanOptions, uploads = Number.POSITIVE_INFINITY): Promise<Planned> {
    const planned = await this.plan(tree, options);
    const { plan, manifest } = planned;
    const wanted = plan.phases.flatMap((phase) => phase.uploads);
    const stored = wanted.slice(0, uploads).map((upload) => {
      const content = tree[upload.file.path] ?? '';
      const { etag } = this.put(upload.key, content, { headers: upload.headers, storage: options.storage, by: 'us' });
      return { ...upload, etag, content: digestOf(content, undefined).content };
    });
    if (uploads < wanted.length) return planned;
    const next = manifestAfter(plan, stored, manifest, { startedAt: this.#now, run: '1-1' }, options);
    if (options.overwrite && (plan.verified || saysMore(next, manifest))) this.#write(options.prefix, next);
    for (const { key } of plan.deletions) this.items.delete(key);
    return planned;
  }

  /** What a prefix holds, by path. */
  below(prefix: Prefix): Map<string, Item> {
    const inside = [...this.items].filter(([key]) => key.startsWith(prefix));
    return new Map(inside.map(([key, item]) => [key.slice(prefix.length), item]));
  }

  #write(prefix: Prefix, manifest: Manifest): void {
    this.put(manifestKey(prefix), encodeManifest(manifest).toString('latin1'), { by: 'us' });
  }

  #at(key: string): Item {
    const item = this.items.get(key);
    if (item === undefined) throw new Error(`nothing at ${key}`);
    return item;
  }
}

export interface Planned {
  readonly plan: Plan;
  readonly asked: readonly RemoteObject[];
  readonly manifest: Known['manifest'];
}

/** Every key that a plan would write or delete. */
export function touched({ phases, deletions }: Plan): string[] {
  return [...phases.flatMap(({ uploads }) => uploads), ...deletions].map(({ key }) => key);
}

/** The keys of a tree below a prefix. */
export function keysOf(tree: Tree, prefix: Prefix): string[] {
  return Object.keys(tree).map((path) => toKey(prefix, path));
}

function digestOf(content: string, like: string | undefined): Digest {
  const piece = createHash('sha256').update(content, 'latin1').digest();
  return { content: contentFingerprint([piece]), etag: like === undefined ? undefined : md5(content) };
}

function md5(content: string): string {
  return createHash('md5').update(content, 'latin1').digest('hex');
}
