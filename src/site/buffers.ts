/** Sizes of buffers are powers of two: from this. */
const SMALLEST = 4096;
/** Bytes that are kept for later; what comes back beyond that is let go. */
const MOST_KEPT = 48 * 1024 ** 2;

/**
 * Buffers that are used again. Memory outside the heap is given back only when the heap is cleaned up, which happens too
 * seldom for a deploy that allocates little else: new buffers for every file would pile up to hundreds of megabytes.
 */
export class Buffers {
  readonly #free = new Map<number, Buffer[]>();
  #kept = 0;

  /** A buffer of at least so many bytes, with anything in it. */
  take(bytes: number): Buffer {
    const size = Math.max(SMALLEST, 2 ** Math.ceil(Math.log2(bytes)));
    const free = this.#free.get(size)?.pop();
    if (free === undefined) return Buffer.allocUnsafeSlow(size);
    this.#kept -= size;
    return free;
  }

  /** Takes a buffer back that nobody reads any more. */
  giveBack(buffer: Buffer): void {
    if (this.#kept + buffer.length > MOST_KEPT) return;
    this.#kept += buffer.length;
    const free = this.#free.get(buffer.length) ?? [];
    free.push(buffer);
    this.#free.set(buffer.length, free);
  }
}
