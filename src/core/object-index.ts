import { isOwnPath, type Prefix } from './key.ts';
import type { RemoteObject } from './model.ts';

/** Objects by key: what of a `ReadonlyMap` anybody asks of them. */
export interface Objects {
  readonly size: number;
  get(key: string): RemoteObject | undefined;
  has(key: string): boolean;
  keys(): Iterable<string>;
  values(): Iterable<RemoteObject>;
}

/** The objects below the prefix by key, without the action's own and without the prefix's own folder marker. */
export class ObjectIndex {
  readonly #objects: PlacedObjects;
  readonly #own = new Map<string, RemoteObject>();
  readonly #prefix: Prefix;
  readonly #wanted: { has(key: string): boolean } | undefined;

  /**
   * @param wanted the only keys that matter, where that is not all: a shard keeps no more in memory than its share.
   * @param places numbers from 0 of the keys that are to be expected: with them, most objects need no second map.
   */
  constructor(prefix: Prefix, wanted?: { has(key: string): boolean }, places?: ReadonlyMap<string, number>) {
    this.#prefix = prefix;
    this.#wanted = wanted;
    this.#objects = new PlacedObjects(places);
  }

  get objects(): Objects {
    return this.#objects;
  }

  /** The action's own: never a page, a deletion or a count. */
  get own(): readonly RemoteObject[] {
    return [...this.#own.values()];
  }

  add(page: readonly RemoteObject[]): void {
    for (const object of page) {
      const path = object.key.slice(this.#prefix.length);
      if (isOwnPath(path)) this.#own.set(object.key, object);
      else if (path !== '' && this.#wanted?.has(object.key) !== false) this.#objects.add(object);
    }
  }
}

/** A map of 200,000 objects takes 7 MB, and as much again while it grows: those of files share that of their places. */
class PlacedObjects implements Objects {
  readonly #places: ReadonlyMap<string, number>;
  readonly #placed: (RemoteObject | undefined)[];
  readonly #others = new Map<string, RemoteObject>();
  #filled = 0;

  constructor(places: ReadonlyMap<string, number> = new Map()) {
    this.#places = places;
    this.#placed = Array.from({ length: places.size }, () => undefined);
  }

  /** Takes the place of an earlier one of the same key. */
  add(object: RemoteObject): void {
    const place = this.#places.get(object.key);
    if (place === undefined) this.#others.set(object.key, object);
    else {
      if (this.#placed[place] === undefined) this.#filled++;
      this.#placed[place] = object;
    }
  }

  get size(): number {
    return this.#filled + this.#others.size;
  }

  get(key: string): RemoteObject | undefined {
    const place = this.#places.get(key);
    return place === undefined ? this.#others.get(key) : this.#placed[place];
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  *keys(): Generator<string> {
    for (const { key } of this.values()) yield key;
  }

  *values(): Generator<RemoteObject> {
    for (const object of this.#placed) if (object !== undefined) yield object;
    yield* this.#others.values();
  }
}

/** Indexes a whole listing. */
export async function indexObjects(
  pages: AsyncIterable<readonly RemoteObject[]>,
  prefix: Prefix,
  wanted?: ReadonlySet<string>,
): Promise<ObjectIndex> {
  const index = new ObjectIndex(prefix, wanted);
  for await (const page of pages) index.add(page);
  return index;
}
