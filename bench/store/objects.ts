/** An object as the store keeps it. */
export interface Stored {
  readonly key: string;
  readonly size: number;
  readonly etag: string;
  readonly lastModified: Date;
  readonly headers: Record<string, string>;
  /** Kept of what is read again alone. */
  readonly body: Buffer | undefined;
  /** Its entry in a listing, once it was listed. */
  xml?: string;
}

/** The objects of the one bucket, in the order of their keys. */
export class Objects {
  #byKey = new Map<string, Stored>();
  #sorted: string[] | undefined;
  readonly #saved = new Map<string, Map<string, Stored>>();

  get size(): number {
    return this.#byKey.size;
  }

  get(key: string): Stored | undefined {
    return this.#byKey.get(key);
  }

  put(stored: Stored): void {
    if (!this.#byKey.has(stored.key)) this.#sorted = undefined;
    this.#byKey.set(stored.key, stored);
  }

  delete(key: string): void {
    if (this.#byKey.delete(key)) this.#sorted = undefined;
  }

  clear(): void {
    this.#byKey = new Map();
    this.#sorted = undefined;
  }

  /** Remembers what is there under a name. */
  save(name: string): void {
    this.#saved.set(name, new Map(this.#byKey));
  }

  /** Puts back what was there. */
  restore(name: string): void {
    this.#byKey = new Map(this.#saved.get(name));
    this.#sorted = [...this.#byKey.keys()].sort();
  }

  /** Objects whose keys begin with the prefix and come behind `after`. */
  *list(prefix: string, after: string): Generator<Stored> {
    this.#sorted ??= [...this.#byKey.keys()].sort();
    for (let i = this.#firstAfter(this.#sorted, after, prefix); i < this.#sorted.length; i++) {
      const key = this.#sorted[i] ?? '';
      if (!key.startsWith(prefix)) return;
      const stored = this.#byKey.get(key);
      if (stored !== undefined) yield stored;
    }
  }

  #firstAfter(keys: readonly string[], after: string, prefix: string): number {
    const isBefore = (key: string) => key <= after || key < prefix;
    let low = 0;
    let high = keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBefore(keys[middle] ?? '')) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
