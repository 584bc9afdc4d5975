import { setTimeout as otherDeploy } from 'node:timers/promises';
import { cannotAppend } from './append-only.ts';
import type { OpenBucket } from './bucket.ts';
import { eachOf } from './core/each-of.ts';
import { explain, misbehaved } from './core/explain.ts';
import { isOwnKey, manifestKey, type Prefix } from './core/key.ts';
import type { DeployId } from './core/manifest.ts';
import type { LocalFile, RemoteObject } from './core/model.ts';
import { ObjectIndex, type Objects } from './core/object-index.ts';
import type { UploadSizes } from './core/parts.ts';
import { Places } from './core/places.ts';
import {
  type AsRemembered,
  type Candidate,
  type ContentDigest,
  candidateOf,
  type Digest,
  type Memory,
} from './core/plan.ts';
import { count, plain } from './core/text.ts';
import type { Inputs } from './inputs.ts';
import type { ManifestFile } from './manifest-file.ts';
import type { ReadAhead } from './read-ahead.ts';
import { log } from './report/log.ts';
import { digestOf } from './site/digest.ts';
import type { Source } from './site/scan.ts';
import { inSlices, type Work } from './slices.ts';

/** So often a manifest is looked at again that was not the listed one. */
const LOOKS = 6;
/** Milliseconds before the second look; the others are later. */
const LOOK_AGAIN_MS = 200;

/** What a plan is made of, but for the headers that nobody remembers. */
export interface Survey extends Memory {
  readonly objects: Objects;
  /** By the place of the file in the source, of those whose content decides. */
  readonly digests: readonly (Digest | undefined)[];
}

/** Large files read at once for their digests: the disk is the limit, not the number. */
const READS_AT_ONCE = 4;

/**
 * Lists the bucket and reads the manifest, and compares files with objects that are listed already while the rest of the
 * listing is on its way.
 */
export async function survey(
  inputs: Inputs,
  source: Source,
  bucket: OpenBucket,
  manifest: ManifestFile,
  by: DeployId,
): Promise<Survey> {
  // A deploy that ends between the listing and the manifest would have its changes taken for unchanged.
  for (let look = 1; look <= LOOKS; look++) {
    const found = await lookOnce(inputs, source, bucket, manifest, by);
    if (found !== undefined) return found;
    await otherDeploy(look * LOOK_AGAIN_MS);
  }
  const what = 'an object whose ETag is another than the one in the listing, time and again';
  throw explain(misbehaved('GetObject', what), inputs.destination);
}

async function lookOnce(
  inputs: Inputs,
  source: Source,
  { store, mayList, knowledge, sizes, ahead }: OpenBucket,
  manifest: ManifestFile,
  by: DeployId,
): Promise<Survey | undefined> {
  const { bucket, prefix } = inputs.destination;
  const place = `s3://${plain(`${bucket}/${prefix}`)}`;
  if (!mayList) {
    if (knowledge.lacks('conditionalWrites')) throw cannotAppend({ bucket, prefix });
    log.line(`What is below ${place} may not be listed: every file is put, unless something is there already`);
    return { objects: new Map(), manifest: undefined, notes: [], digests: [] };
  }
  const places = new Places(source.keys);
  const index = new ObjectIndex(prefix, places, inputs.shard !== undefined);
  const comparison = new Comparison(inputs, source.files, index, { sizes, ahead });
  let read: Promise<boolean> | undefined;
  const pages = store.list(prefix, places.keys)[Symbol.asyncIterator]();
  for (;;) {
    const next = pages.next();
    await comparison.goOnUntil(next);
    const { done, value: page } = await next;
    if (done) break;
    comparison.add(index.add(page));
    if (!inputs.overwrite || read !== undefined || !showsAllOfOurs(page, prefix)) continue;
    read = manifest.read(index.own, by);
    read.then(
      () => comparison.begin(manifest),
      () => undefined,
    );
  }
  log.line(`${count(index.objects.size, 'object')}${inputs.shard ? ' of the share' : ''} below ${place}`);
  if (inputs.overwrite && !(await (read ?? manifest.read(index.own, by)))) return undefined;
  comparison.begin(manifest);
  await comparison.finish();
  const { manifest: known, notes } = manifest;
  return { objects: index.objects, manifest: known, notes, digests: comparison.digests };
}

/** Whether a page has the manifest, and goes on to keys that are not the action's own: then there are no more of those. */
function showsAllOfOurs(page: readonly RemoteObject[], prefix: Prefix): boolean {
  const last = page.at(-1)?.key ?? '';
  return !isOwnKey(prefix, last) && page.some(({ key }) => key === manifestKey(prefix));
}

/** Digests the files whose content decides whether their objects are the same. */
class Comparison implements Work {
  /** By place. */
  readonly digests: (Digest | undefined)[];
  readonly #inputs: Inputs;
  readonly #files: readonly LocalFile[];
  readonly #index: ObjectIndex;
  /** As they would be uploaded. */
  readonly #sizes: UploadSizes;
  readonly #ahead: ReadAhead | undefined;
  /** Places of files that have an object, and that nobody has looked at yet. */
  readonly #listed: number[] = [];
  #memory: Memory | undefined;
  readonly #begun = Promise.withResolvers<void>();
  /** By the headers that are remembered: a site has a dozen kinds. */
  readonly #asRemembered = new Map<string | undefined, AsRemembered>();

  constructor(
    inputs: Inputs,
    files: readonly LocalFile[],
    index: ObjectIndex,
    { sizes, ahead }: Pick<OpenBucket, 'sizes' | 'ahead'>,
  ) {
    this.#inputs = inputs;
    this.#sizes = sizes;
    this.#ahead = ahead;
    this.#files = files;
    this.#index = index;
    this.digests = files.map(() => undefined);
  }

  add(places: readonly number[]): void {
    if (this.#inputs.overwrite) for (const place of places) this.#listed.push(place);
  }

  /** What is remembered is known: only now can be told what is to be read. */
  begin({ manifest, notes = [] }: Memory): void {
    this.#memory ??= { manifest, notes };
    this.#begun.resolve();
  }

  get isIdle(): boolean {
    return this.#memory === undefined || (this.#listed.length === 0 && (this.#ahead?.isIdle ?? true));
  }

  /** Reads a file whose object is listed; where there is none, one ahead of the listing. */
  doOne(): Promise<void> | undefined {
    return this.#listed.length === 0 ? this.#ahead?.doOne(this.#isListed) : this.#readOne();
  }

  /** Reads until something else has come. */
  async goOnUntil(other: Promise<unknown>): Promise<void> {
    await Promise.race([other, this.#begun.promise]);
    let hasCome = false;
    const hear = () => {
      hasCome = true;
    };
    other.then(hear, hear);
    await inSlices(this, () => hasCome);
  }

  /** Reads all that is listed. */
  async finish(): Promise<void> {
    await eachOf(Array.from({ length: READS_AT_ONCE }), READS_AT_ONCE, async () => {
      while (this.#listed.length > 0) {
        const reading = this.#readOne();
        if (reading !== undefined) await reading;
      }
    });
  }

  readonly #isListed = (place: number) => this.#index.at(place) !== undefined;

  /** A small file is read at once: to wait for each would cost as much as the read itself. */
  #readOne(): Promise<void> | undefined {
    const place = this.#listed.pop();
    const file = place === undefined ? undefined : this.#files[place];
    if (place === undefined || file === undefined || this.#memory === undefined) return undefined;
    // An object that is listed again may be another one than it was.
    this.digests[place] = undefined;
    const candidate = candidateOf(file, this.#index.at(place), this.#memory);
    if (candidate === undefined) return undefined;
    const like = 'etag' in candidate ? candidate.etag : undefined;
    const note = (digest: ContentDigest) => {
      this.digests[place] = this.#verdict(digest, candidate);
    };
    const read = like === undefined ? this.#ahead?.take(place) : undefined;
    if (read !== undefined) {
      note({ content: read, etag: undefined });
      return undefined;
    }
    const digest = digestOf(this.#inputs.sourceDir ?? '.', file, like, this.#sizes);
    if (digest instanceof Promise) return digest.then(note);
    note(digest);
    return undefined;
  }

  #verdict(digest: ContentDigest, candidate: Candidate): Digest {
    if (!('entry' in candidate) || digest.content !== candidate.entry.content) return digest;
    const { headers } = candidate.entry;
    const known = this.#asRemembered.get(headers) ?? { rememberedHeaders: headers };
    this.#asRemembered.set(headers, known);
    return known;
  }
}
