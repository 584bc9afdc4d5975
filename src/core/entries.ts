/** What is remembered of one object. */
export interface Entry {
  /** The ETag that the store gave it: another one means that somebody else has written it. */
  readonly etag: string;
  /** Fingerprint of its content (`contentFingerprint`); undefined for an object that was never in the source. */
  readonly content: string | undefined;
  /** Fingerprint of the headers and storage options that it was put with. */
  readonly headers: string | undefined;
  /** Put there by this action, not found there. */
  readonly owned: boolean;
  /** Since when the source does not have it any more; seconds since the epoch. */
  readonly staleSince: number | undefined;
}

/** Entries by `keyHash`: what of a `ReadonlyMap` anybody asks of them. */
export interface Entries extends Iterable<[string, Entry]> {
  readonly size: number;
  get(name: string): Entry | undefined;
  has(name: string): boolean;
}

const NOTHING = '-';
/** An entry of which every field is as short as it can be, and its line feed. */
const SHORTEST_LINE = 26;
/** Longer than any entry's line. */
const PIECE = 64 * 1024;
const NAME = 16;
const [LINE_FEED, SPACE, DASH, OWNED] = [0x0a, 0x20, 0x2d, 0x6f];
const LINE = /[\w-]{16} [\x21-\x7e]{1,200} (?:[\w-]{16}|-) (?:[\w-]{12}|-) [of] (?:\d{1,12}|-)\n/y;

/** An entry as a line of a manifest, without its line feed; undefined for one that fits none: an ETag may be empty, say. */
export function lineOf(name: string, { etag, content, headers, owned, staleSince }: Entry): string | undefined {
  const fields = [name, etag, content ?? NOTHING, headers ?? NOTHING, owned ? 'o' : 'f', staleSince ?? NOTHING];
  const line = `${fields.join(' ')}\n`;
  LINE.lastIndex = 0;
  return LINE.test(line) && LINE.lastIndex === line.length ? line.slice(0, -1) : undefined;
}

/**
 * Reads lines, each with its line feed; undefined when there is anything else among them. They stay the bytes that they
 * are, and an entry is made of its line when somebody asks for it: 200,000 of them take 17 MB, as objects they took 60.
 */
export function readLines(bytes: Buffer): Entries | undefined {
  const starts = new Uint32Array(Math.floor(bytes.length / SHORTEST_LINE));
  const stale: number[] = [];
  let count = 0;
  let last = '';
  let isSorted = true;
  // Piece by piece: as one string, all of it would be in memory twice.
  for (let at = 0; at < bytes.length; ) {
    const piece = bytes.toString('latin1', at, at + PIECE);
    let end = 0;
    for (LINE.lastIndex = 0; LINE.test(piece); end = LINE.lastIndex) {
      const name = piece.slice(end, end + NAME);
      isSorted &&= last < name;
      last = name;
      if (piece.charCodeAt(LINE.lastIndex - 2) !== DASH) stale.push(at + end);
      starts[count++] = at + end;
    }
    // What a piece ends in is what the next one begins with, unless it is no line at all.
    if (end === 0) return undefined;
    at += end;
  }
  const found = starts.subarray(0, count);
  return isSorted ? new Lines(bytes, found, stale) : readLines(inOrder(bytes, found));
}

/** Lines by their names; of those of one name the last is left. */
function inOrder(bytes: Buffer, starts: Uint32Array): Buffer {
  const compare = (a: number, b: number) => bytes.compare(bytes, b, b + NAME, a, a + NAME);
  const sorted = [...starts].sort((a, b) => compare(a, b) || a - b);
  const last = sorted.filter((start, i) => i + 1 === sorted.length || compare(start, sorted[i + 1] as number) !== 0);
  return Buffer.concat(last.map((start) => bytes.subarray(start, bytes.indexOf(LINE_FEED, start) + 1)));
}

/** Entries as lines, each with its line feed, in the order of names. An entry that fits no line is left out. */
export function writeLines(entries: Entries): Buffer {
  return entries instanceof Amended ? entries.write() : Buffer.from(linesOf(entries).sort().join(''), 'latin1');
}

function linesOf(entries: Iterable<[string, Entry]>): string[] {
  const lines: string[] = [];
  for (const [name, entry] of entries) {
    const line = lineOf(name, entry);
    if (line !== undefined) lines.push(`${line}\n`);
  }
  return lines;
}

/** Other entries, without some of them, and with some in place of, or beside, theirs. */
export function amend(entries: Entries, gone: ReadonlySet<string>, news: ReadonlyMap<string, Entry>): Entries {
  if (entries instanceof Lines) return new Amended(entries, gone, news);
  return new Map([...[...entries].filter(([name]) => !gone.has(name)), ...news]);
}

/** The names of those whose objects the source does not have any more. */
export function staleNames(entries: Entries): ReadonlySet<string> {
  if (entries instanceof Lines) return new Set(entries.staleNames());
  return new Set([...entries].flatMap(([name, { staleSince }]) => (staleSince === undefined ? [] : [name])));
}

/** Entries that are looked up among the lines of a manifest. */
class Lines implements Entries {
  readonly #bytes: Buffer;
  /** Where each line begins, in the order of names. */
  readonly #starts: Uint32Array;
  /** Where those begin whose objects the source does not have any more: most often there are none. */
  readonly #stale: readonly number[];
  /** How many lines come before those that begin with two characters: of 200,000 lines some fifty are left to search. */
  readonly #before = new Uint32Array(2 ** 14 + 1);

  constructor(bytes: Buffer, starts: Uint32Array, stale: readonly number[]) {
    this.#bytes = bytes;
    this.#starts = starts;
    this.#stale = stale;
    for (const start of starts) (this.#before[pairOf(bytes[start], bytes[start + 1]) + 1] as number)++;
    for (let pair = 1; pair < this.#before.length; pair++)
      (this.#before[pair] as number) += this.#before[pair - 1] as number;
  }

  get size(): number {
    return this.#starts.length;
  }

  has(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  get(name: string): Entry | undefined {
    const start = this.#find(name);
    return start === undefined ? undefined : this.#entryAt(start);
  }

  staleNames(): string[] {
    return this.#stale.map((start) => this.#text(start, start + NAME));
  }

  *[Symbol.iterator](): Iterator<[string, Entry]> {
    for (const start of this.#starts) yield [this.#text(start, start + NAME), this.#entryAt(start)];
  }

  /** Where the line of a name is, or would be. */
  placeOf(name: string): number {
    const pair = pairOf(name.charCodeAt(0), name.charCodeAt(1));
    let [low = 0, high = 0] = [this.#before[pair], this.#before[pair + 1]];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(this.#starts[middle] as number, name) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The lines from a place up to another. */
  between(place: number, end: number): Buffer {
    return this.#bytes.subarray(this.#starts[place] ?? this.#bytes.length, this.#starts[end] ?? this.#bytes.length);
  }

  isAt(place: number, name: string): boolean {
    const start = this.#starts[place];
    return start !== undefined && this.#compare(start, name) === 0;
  }

  #find(name: string): number | undefined {
    if (name.length !== NAME) return undefined;
    const place = this.placeOf(name);
    return this.isAt(place, name) ? this.#starts[place] : undefined;
  }

  /** Below zero when the line at a place comes before a name. */
  #compare(start: number, name: string): number {
    for (let i = 0; i < NAME; i++) {
      const difference = (this.#bytes[start + i] as number) - name.charCodeAt(i);
      if (difference !== 0) return difference;
    }
    return 0;
  }

  #entryAt(start: number): Entry {
    const bytes = this.#bytes;
    const etag = start + NAME + 1;
    const content = bytes.indexOf(SPACE, etag) + 1;
    const headers = bytes.indexOf(SPACE, content) + 1;
    const owner = bytes.indexOf(SPACE, headers) + 1;
    const stale = owner + 2;
    const field = (from: number, next: number) =>
      bytes[from] === DASH && next === from + 2 ? undefined : this.#text(from, next - 1);
    const since = field(stale, bytes.indexOf(LINE_FEED, stale) + 1);
    return {
      etag: this.#text(etag, content - 1),
      content: field(content, headers),
      headers: field(headers, owner),
      owned: bytes[owner] === OWNED,
      staleSince: since === undefined ? undefined : Number(since),
    };
  }

  #text(start: number, end: number): string {
    return this.#bytes.toString('latin1', start, end);
  }
}

/** Lines of which some are gone, and some are others. */
class Amended implements Entries {
  readonly #lines: Lines;
  readonly #news: ReadonlyMap<string, Entry>;
  /** The names whose lines do not count any more, if there are any. */
  readonly #touched: ReadonlySet<string>;

  constructor(lines: Lines, gone: ReadonlySet<string>, news: ReadonlyMap<string, Entry>) {
    this.#lines = lines;
    this.#news = news;
    this.#touched = new Set([...gone, ...news.keys()]);
  }

  get size(): number {
    const without = [...this.#touched].filter((name) => this.#lines.has(name));
    return this.#lines.size - without.length + this.#news.size;
  }

  has(name: string): boolean {
    return this.#touched.has(name) ? this.#news.has(name) : this.#lines.has(name);
  }

  get(name: string): Entry | undefined {
    return this.#touched.has(name) ? this.#news.get(name) : this.#lines.get(name);
  }

  *[Symbol.iterator](): Iterator<[string, Entry]> {
    for (const one of this.#lines) if (!this.#touched.has(one[0])) yield one;
    yield* this.#news;
  }

  /** What is left as it was is copied, stretch by stretch. */
  write(): Buffer {
    const pieces: Buffer[] = [];
    let place = 0;
    for (const name of [...this.#touched].sort()) {
      const next = this.#lines.placeOf(name);
      const entry = this.#news.get(name);
      pieces.push(
        this.#lines.between(place, next),
        Buffer.from(linesOf(entry ? [[name, entry]] : []).join(''), 'latin1'),
      );
      place = this.#lines.isAt(next, name) ? next + 1 : next;
    }
    pieces.push(this.#lines.between(place, this.#lines.size));
    return Buffer.concat(pieces);
  }
}

function pairOf(first = 0, second = 0): number {
  return first * 128 + second;
}
