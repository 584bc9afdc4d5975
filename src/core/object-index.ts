import { isOwnPath, type Prefix } from './key.ts';
import type { RemoteObject } from './model.ts';

/** The objects below the prefix by key, without the action's own and without the prefix's own folder marker. */
export class ObjectIndex {
  readonly objects = new Map<string, RemoteObject>();
  readonly #own = new Map<string, RemoteObject>();
  readonly #prefix: Prefix;
  readonly #wanted: { has(key: string): boolean } | undefined;

  /** @param wanted the only keys that matter, where that is not all: a shard keeps no more in memory than its share. */
  constructor(prefix: Prefix, wanted?: { has(key: string): boolean }) {
    this.#prefix = prefix;
    this.#wanted = wanted;
  }

  /** The action's own: never a page, a deletion or a count. */
  get own(): readonly RemoteObject[] {
    return [...this.#own.values()];
  }

  add(page: readonly RemoteObject[]): void {
    for (const object of page) {
      const path = object.key.slice(this.#prefix.length);
      if (isOwnPath(path)) this.#own.set(object.key, object);
      else if (path !== '' && this.#wanted?.has(object.key) !== false) this.objects.set(object.key, object);
    }
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
