import type { Entries } from './core/entries.ts';
import { decodeManifest, keyHash } from './core/manifest.ts';
import { fingerprintOf } from './site/digest.ts';
import type { Source } from './site/scan.ts';
import { inSlices, type Work } from './slices.ts';

/**
 * Reads files while answers are on their way without which nothing can be decided: those that the manifest remembers, for
 * most deploys find nearly all of them as they were. It decides nothing: whoever compares them has less to read.
 */
export class ReadAhead implements Work {
  readonly #folder: string;
  readonly #source: Source;
  /** By place; each until it is asked for. */
  readonly #contents = new Map<number, string>();
  #remembered: Entries | undefined;
  /** How many files nobody has looked at, from the first on: whoever compares begins with what is listed first. */
  #left: number;
  #isStopped = false;

  constructor(folder: string, source: Source) {
    this.#folder = folder;
    this.#source = source;
    this.#left = source.files.length;
  }

  /** Begins with what the manifest remembers, and goes on until it is stopped. */
  begin(manifest: Uint8Array): void {
    this.#remembered = decodeManifest(manifest)?.entries;
    // Whoever needs a file that cannot be read reads it again, and says why.
    inSlices(this, () => this.#isStopped).catch(() => undefined);
  }

  /** Has nothing read any more but by `doOne`. */
  stop(): void {
    this.#isStopped = true;
  }

  get isIdle(): boolean {
    return this.#remembered === undefined || this.#left === 0;
  }

  /**
   * Reads the next file, if it is remembered and small.
   * @param isListed those whose objects are listed are compared already, and need not be read again.
   */
  doOne(isListed?: (place: number) => boolean): undefined {
    const place = --this.#left;
    if (isListed?.(place)) return;
    const { files, keys } = this.#source;
    const [file, key] = [files[place], keys[place]];
    if (file === undefined || key === undefined || !this.#remembered?.has(keyHash(key))) return;
    const content = fingerprintOf(this.#folder, file);
    if (content !== undefined) this.#contents.set(place, content);
  }

  /** `contentFingerprint` of the file at a place, if it was read; once. */
  take(place: number): string | undefined {
    const content = this.#contents.get(place);
    if (content !== undefined) this.#contents.delete(place);
    return content;
  }
}
