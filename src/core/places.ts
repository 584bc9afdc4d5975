import { firstAfter } from './key.ts';

/**
 * Where in the source the file of a key is. Files come in the order of their keys, and so do the objects of nearly every
 * listing: most keys are found behind the last one, and a map, of 20 MB for 200,000 keys, is not needed for the others.
 */
export class Places {
  readonly keys: readonly string[];
  #last = -1;

  /** @param keys of the files, in order, as `scanSource` finds them. */
  constructor(keys: readonly string[]) {
    this.keys = keys;
  }

  /** The place of a key in the source, from 0; undefined when there is no such file. */
  get(key: string): number | undefined {
    const next = this.#last + 1;
    const place = this.keys[next] === key ? next : firstAfter(this.keys, key) - 1;
    if (this.keys[place] !== key) return undefined;
    this.#last = place;
    return place;
  }
}
