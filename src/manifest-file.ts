import { ServiceError } from './aws/failure.ts';
import { describe } from './core/explain.ts';
import { manifestKey, type Prefix } from './core/key.ts';
import {
  type DeployId,
  decodeManifest,
  encodeManifest,
  LARGEST_MANIFEST,
  type Manifest,
  saysMore,
} from './core/manifest.ts';
import type { ObjectStore, RemoteObject } from './core/model.ts';
import type { KnownManifest, Memory } from './core/plan.ts';
import { noteKey, notesAmong, type Shard } from './core/shard.ts';
import { bytes } from './core/text.ts';
import { DeployError } from './errors.ts';
import { log } from './report/log.ts';
import { readNotes } from './shard-notes.ts';
import { bodyOf } from './site/body.ts';

/** Of nobody's business but the next deploy's. */
const HEADERS = { contentType: 'application/gzip', cacheControl: 'private, no-store' };

/**
 * The manifest of a prefix in the bucket: read once, and written on the condition that nobody else has written it since.
 * With it, what shards have noted since.
 */
export class ManifestFile implements Memory {
  manifest: KnownManifest | undefined;
  notes: readonly KnownManifest[] = [];
  readonly #store: ObjectStore;
  readonly #prefix: Prefix;
  /** The shard that this run is, if it is one. */
  readonly #shard: Shard | undefined;
  readonly #key: string;
  /** The ETag that was listed, or read; undefined when there was none. */
  #etag: string | undefined;
  /** Whose manifest that is. */
  #by: DeployId | undefined;
  #saidUnconditional = false;

  constructor(store: ObjectStore, prefix: Prefix, shard?: Shard) {
    this.#store = store;
    this.#prefix = prefix;
    this.#shard = shard;
    this.#key = manifestKey(prefix);
  }

  /**
   * Reads the manifest and the notes, if the listing has them: where listings are limited to the prefix, asking for a
   * missing key is denied. What cannot be read or understood is as good as none.
   * @returns false when it has been written since the listing, which then tells nothing of what it says.
   * @throws DeployError SUPERSEDED when it is of a deploy that began later than ours.
   */
  async read(listed: readonly RemoteObject[], ours: DeployId): Promise<boolean> {
    this.notes = [];
    if (!(await this.#readManifest(listed, ours))) return false;
    const notes = notesAmong(listed, this.#prefix, this.#shard, this.manifest);
    this.notes = await readNotes(notes, this.#store, this.manifest);
    return true;
  }

  async #readManifest(listed: readonly RemoteObject[], ours: DeployId): Promise<boolean> {
    this.manifest = undefined;
    this.#etag = undefined;
    this.#by = undefined;
    const there = listed.find(({ key }) => key === this.#key);
    if (there === undefined) return true;
    this.#etag = there.etag;
    if (there.size > LARGEST_MANIFEST) {
      log.warn(`The manifest has ${bytes(there.size)}, which none of ours has: it is written anew.`);
      return true;
    }
    const found = await this.#get();
    if (found === undefined) return true;
    if (found.etag !== there.etag) return false;
    const manifest = decodeManifest(found.body);
    if (manifest !== undefined) stopIfNewer(manifest.by, ours);
    this.#by = manifest?.by;
    if (manifest !== undefined) this.manifest = { ...manifest, lastModified: there.lastModified };
    else {
      log.warn(
        'The manifest of earlier deploys cannot be read; every object is compared by its ETag, and it is written anew.',
      );
    }
    return true;
  }

  /** Whether the manifest is still the one that was read, or written. */
  async isCurrent(): Promise<boolean> {
    const etag = await this.#store.etag(this.#key);
    // Who may not see it cannot tell; the condition on the write still can.
    if (etag === undefined || etag === this.#etag) return true;
    // An ETag may come wrong; what the manifest says of its writer does not.
    const found = await this.#get();
    if (found === undefined) return false;
    return found.etag === this.#etag || isSame(decodeManifest(found.body)?.by, this.#by);
  }

  /** Writes the note of this shard, in the form of a manifest. */
  async note(next: Manifest): Promise<void> {
    if (this.#shard !== undefined)
      await this.#store.put(noteKey(this.#prefix, this.#shard), bodyOf(encodeManifest(next)), HEADERS);
  }

  /**
   * Writes the manifest, unless it would tell nothing new. Where there are notes it is written, to be newer than they are.
   * @param verified objects were looked at, and the manifest is to be newer than they are.
   * @returns false when another deploy has written it since it was read.
   */
  async write(next: Manifest, verified: boolean): Promise<boolean> {
    if (!verified && this.notes.length === 0 && !saysMore(next, this.manifest)) return true;
    const body = bodyOf(encodeManifest(next));
    const condition = this.#etag === undefined ? 'absent' : { etag: this.#etag };
    const put = await this.#store.put(this.#key, body, HEADERS, condition);
    if (put !== 'precondition failed') return this.#wrote(next, put.etag);
    if (await this.isCurrent()) {
      // Nobody wrote it, yet the condition was not met: this store compares in another way.
      this.#sayUnconditional();
      const anyway = await this.#store.put(this.#key, body, HEADERS);
      return anyway === 'precondition failed' || this.#wrote(next, anyway.etag);
    }
    // The answer to our own write may have been lost on the way.
    const found = await this.#get();
    const ours = found !== undefined && isSame(decodeManifest(found.body)?.by, next.by);
    return ours && this.#wrote(next, found.etag);
  }

  #wrote(manifest: Manifest, etag: string): true {
    this.#etag = etag;
    this.#by = manifest.by;
    return true;
  }

  /**
   * Another deploy has finished meanwhile: stops the one that began first.
   * @throws DeployError SUPERSEDED when this one did.
   */
  async yieldTo(ours: DeployId): Promise<void> {
    const theirs = await this.#writer();
    if (theirs !== undefined) stopIfNewer(theirs, ours);
  }

  async #writer(): Promise<DeployId | undefined> {
    const found = await this.#get();
    return found === undefined ? undefined : decodeManifest(found.body)?.by;
  }

  async #get() {
    try {
      return await this.#store.get(this.#key);
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      log.warn(`The manifest of earlier deploys cannot be read: ${describe(error.failure)}.`);
      return undefined;
    }
  }

  #sayUnconditional(): void {
    if (this.#saidUnconditional) return;
    this.#saidUnconditional = true;
    log.line('This store cannot write on a condition: two deploys at once are not noticed.');
  }
}

function isSame(one: DeployId | undefined, other: DeployId | undefined): boolean {
  return one !== undefined && one.run === other?.run && one.startedAt === other.startedAt;
}

function stopIfNewer(theirs: DeployId, ours: DeployId): void {
  if (theirs.startedAt <= ours.startedAt) return;
  const message = `A deploy of the same prefix that began later (run ${theirs.run}) has finished meanwhile.`;
  throw new DeployError('SUPERSEDED', message, {
    hint:
      'Nothing was deleted. Let deploys wait for each other, in the workflow file:\n' +
      '    concurrency: deploy-site\n' +
      'If this build is the one that should be live, run it again.',
  });
}
