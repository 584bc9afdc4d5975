/** Cuts one of a process's streams into lines where .NET's StreamReader does: after LF, CR LF, and a lone CR. */
export class LineReader {
  readonly #decoder = new TextDecoder();
  readonly #onLine: (line: string) => void;
  #rest = '';

  /** `onLine` is called with every complete line, and by `end` with what is left. */
  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Uint8Array): void {
    this.#rest += this.#decoder.decode(chunk, { stream: true });
    // A CR at the very end may be the first half of a CR LF: it waits for the next chunk.
    for (let match = BREAK.exec(this.#rest); match; match = BREAK.exec(this.#rest)) this.#cut(match);
  }

  end(): void {
    this.#rest += this.#decoder.decode();
    for (let match = LAST_BREAK.exec(this.#rest); match; match = LAST_BREAK.exec(this.#rest)) this.#cut(match);
    if (this.#rest !== '') this.#onLine(this.#rest);
    this.#rest = '';
  }

  #cut(match: RegExpExecArray): void {
    const line = this.#rest.slice(0, match.index);
    this.#rest = this.#rest.slice(match.index + match[0].length);
    this.#onLine(line);
  }
}

const BREAK = /\r\n|\n|\r(?!$)/;
const LAST_BREAK = /\r\n|\n|\r/;
