/**
 * Takes the frames off a chunked body: HTTP's own (RFC 9112, 7.1), and those of `aws-chunked`, which are the same with a
 * signature behind the size.
 */
export class Chunks {
  /** The trailer has ended too. */
  done = false;
  /** What came behind the last frame, by name. */
  readonly trailers: Record<string, string> = {};
  #at: 'size' | 'data' | 'line break' | 'trailer' = 'size';
  #line = '';
  #left = 0;

  /** Hands on what the frames hold. Answers what comes after the last. */
  push(chunk: Buffer, sink: (data: Buffer) => void): Buffer | undefined {
    let from = 0;
    while (from < chunk.length && !this.done) {
      if (this.#at === 'data') {
        const data = chunk.subarray(from, from + this.#left);
        sink(data);
        from += data.length;
        this.#left -= data.length;
        if (this.#left === 0) this.#at = 'line break';
        continue;
      }
      const end = chunk.indexOf(0x0a, from);
      this.#line += chunk.toString('latin1', from, end < 0 ? chunk.length : end);
      if (end < 0) return undefined;
      from = end + 1;
      this.#take(this.#line.trimEnd());
      this.#line = '';
    }
    return from < chunk.length ? chunk.subarray(from) : undefined;
  }

  #take(line: string): void {
    if (this.#at === 'line break') this.#at = 'size';
    else if (this.#at === 'trailer') {
      const colon = line.indexOf(':');
      if (colon > 0) this.trailers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
      this.done = line === '';
    } else {
      this.#left = Number.parseInt(line, 16) || 0;
      this.#at = this.#left > 0 ? 'data' : 'trailer';
    }
  }
}
