import { isOwnKey, type Prefix } from './key.ts';
import type { RemoteObject } from './model.ts';
import { Places } from './places.ts';

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

  /**
   * @param places those of the source's files: their objects need no map.
   * @param onlyThose no other objects matter: a shard keeps no more in memory than its share.
   */
  constructor(prefix: Prefix, places = new Places([]), onlyThose = false) {
    this.#prefix = prefix;
    this.#objects = new PlacedObjects(places, onlyThose);
  }

  get objects(): Objects {
    return this.#objects;
  }

  /** The action's own: never a page, a deletion or a count. */
  get own(): readonly RemoteObject[] {
    return [...this.#own.values()];
  }

  /** The object of the file at a place. */
  at(place: number): RemoteObject | undefined {
    return this.#objects.placed[place];
  }

  /** Answers the places of the files whose objects are on the page. */
  add(page: readonly RemoteObject[]): readonly number[] {
    const places: number[] = [];
    for (const object of page) {
      const { key } = object;
      if (isOwnKey(this.#prefix, key)) this.#own.set(key, object);
      else if (key.length > this.#prefix.length) {
        const place = this.#objects.add(object);
        if (place !== undefined) places.push(place);
      }
    }
    return places;
  }
}

/** A map of 200,000 objects takes 7 MB, and as much again while it grows: those of files lie at their places. */
class PlacedObjects implements Objects {
  readonly placed: (RemoteObject | undefined)[];
  readonly #places: Places;
  readonly #onlyThose: boolean;
  readonly #others = new Map<string, RemoteObject>();
  #filled = 0;

  constructor(places: Places, onlyThose: boolean) {
    this.#places = places;
    this.#onlyThose = onlyThose;
    this.placed = places.keys.map(() => undefined);
  }

  /** Takes the place of an earlier one of the same key. Answers the place, where it is that of a file. */
  add(object: RemoteObject): number | undefined {
    const place = this.#places.get(object.key);
    if (place === undefined) {
      if (!this.#onlyThose) this.#others.set(object.key, object);
    } else {
      if (this.placed[place] === undefined) this.#filled++;
      this.placed[place] = object;
    }
    return place;
  }

  get size(): number {
    return this.#filled + this.#others.size;
  }

  get(key: string): RemoteObject | undefined {
    const place = this.#places.get(key);
    return place === undefined ? this.#others.get(key) : this.placed[place];
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  *keys(): Generator<string> {
    for (const { key } of this.values()) yield key;
  }

  *values(): Generator<RemoteObject> {
    for (const object of this.placed) if (object !== undefined) yield object;
    yield* this.#others.values();
  }
}

/** Indexes a whole listing. */
export async function indexObjects(
  pages: AsyncIterable<readonly RemoteObject[]>,
  prefix: Prefix,
): Promise<ObjectIndex> {
  const index = new ObjectIndex(prefix);
  for await (const page of pages) index.add(page);
  return index;
}
