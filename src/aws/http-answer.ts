/** An answer of HTTP/1.1. */
export interface HttpAnswer {
  readonly status: number;
  /** By name in lower case; several of one name are joined by commas. */
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** Milliseconds for which the connection may be used for another request; 0 for one that is over. */
  readonly keptMs: number;
}

/** The code of an error for an answer that cannot be read, or could be in two ways. */
export const NOT_UNDERSTOOD = 'ERR_HTTP_ANSWER';

/** What answers a small request is small: an object's ETag, or an error. */
const MOST_BYTES = 1024 ** 2;
const MOST_HEAD = 64 * 1024;
const HEAD_END = '\r\n\r\n';
const STATUS = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: |$)/;
const BEGINNING = 'HTTP/1.';
const NAME = /^[!#$%&'*+.^_`|~\w-]+$/;
const CHUNK = /^([0-9a-f]{1,6})(?:[ \t]*;[^\r\n]*)?$/i;
const LONGEST_CHUNK_LINE = 1024;
/** For who does not tell: idle longer than this it may be closed at any moment. */
const KEPT_MS = 10_000;
/** What is told is when the other side hangs up, not when we should begin to speak. */
const EARLIER_MS = 1_000;

/**
 * Reads an answer, https://www.rfc-editor.org/rfc/rfc9112, from all that a connection has said since a request.
 * @param isOver nothing more will come.
 * @returns undefined while it is not whole.
 * @throws Error with the code `NOT_UNDERSTOOD` for anything that could be read in two ways, or is too long.
 */
export function readAnswer(bytes: Buffer, isOver: boolean): HttpAnswer | undefined {
  for (let start = 0; ; ) {
    const end = bytes.indexOf(HEAD_END, start, 'latin1');
    if (end < 0 || end - start > MOST_HEAD) {
      const begun = bytes.toString('latin1', start, start + BEGINNING.length);
      if (!BEGINNING.startsWith(begun)) throw notUnderstood('it does not begin with HTTP/1.');
      if (bytes.length - start > MOST_HEAD) throw notUnderstood('its head has no end');
      return undefined;
    }
    const [first = '', ...lines] = bytes.toString('latin1', start, end).split('\r\n');
    const [, minor, digits] = STATUS.exec(first) ?? [];
    if (digits === undefined || first.includes('\n')) throw notUnderstood('its first line is none');
    const status = Number(digits);
    start = end + HEAD_END.length;
    const headers = readHeaders(lines);
    if (status === 101) throw notUnderstood('it changes the protocol');
    // What comes before the answer.
    if (status < 200) continue;
    const body = readBody(bytes, start, status, headers, isOver);
    if (body === undefined) return undefined;
    const isKept = minor === '1' && body.isBounded && body.end === bytes.length && !isOver && !closes(headers);
    return { status, headers, text: body.text, keptMs: isKept ? keptFor(headers) : 0 };
  }
}

/**
 * Makes an object that has no names but its own, as Node does for a query: `Object.create(null)` makes a hash table of three
 * times the size.
 */
const Headers = function Headers() {} as unknown as new () => Record<string, string>;
Headers.prototype = Object.create(null);

function readHeaders(lines: readonly string[]): Record<string, string> {
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon)).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (!NAME.test(name) || /[\r\n\0]/.test(value)) throw notUnderstood('it has a line that is no header');
    const before = headers[name];
    headers[name] = before === undefined ? value : `${before}, ${value}`;
  }
  return headers;
}

interface AnswerBody {
  readonly text: string;
  readonly end: number;
  /** It tells itself where it ends. */
  readonly isBounded: boolean;
}

function readBody(
  bytes: Buffer,
  start: number,
  status: number,
  headers: Record<string, string>,
  isOver: boolean,
): AnswerBody | undefined {
  if (bytes.length > MOST_BYTES) throw notUnderstood('it is too long');
  const { 'transfer-encoding': encoding, 'content-length': length } = headers;
  if (status === 204 || status === 304) return { text: '', end: start, isBounded: true };
  if (encoding !== undefined) {
    if (length !== undefined || encoding.toLowerCase() !== 'chunked') throw notUnderstood('where it ends is not clear');
    return readChunks(bytes, start);
  }
  if (length === undefined) {
    return isOver ? { text: bytes.toString('utf8', start), end: bytes.length, isBounded: false } : undefined;
  }
  if (!/^\d{1,9}$/.test(length)) throw notUnderstood('its length is no number');
  const end = start + Number(length);
  if (Number(length) > MOST_BYTES) throw notUnderstood('it is too long');
  return end > bytes.length ? undefined : { text: bytes.toString('utf8', start, end), end, isBounded: true };
}

function readChunks(bytes: Buffer, start: number): AnswerBody | undefined {
  const chunks: Buffer[] = [];
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at, 'latin1');
    if (lineEnd < 0 || lineEnd - at > LONGEST_CHUNK_LINE) {
      if (bytes.length - at > LONGEST_CHUNK_LINE) throw notUnderstood('it has a chunk without a size');
      return undefined;
    }
    const [, digits] = CHUNK.exec(bytes.toString('latin1', at, lineEnd)) ?? [];
    if (digits === undefined) throw notUnderstood('it has a chunk without a size');
    const begin = lineEnd + 2;
    const size = Number.parseInt(digits, 16);
    if (size === 0) return readTrailers(bytes, begin, Buffer.concat(chunks).toString());
    if (bytes.length < begin + size + 2) return undefined;
    if (bytes.toString('latin1', begin + size, begin + size + 2) !== '\r\n') throw notUnderstood('a chunk has no end');
    chunks.push(bytes.subarray(begin, begin + size));
    at = begin + size + 2;
  }
}

/** What comes after the last chunk: nothing that is wanted, and an empty line. */
function readTrailers(bytes: Buffer, begin: number, text: string): AnswerBody | undefined {
  if (bytes.toString('latin1', begin, begin + 2) === '\r\n') return { text, end: begin + 2, isBounded: true };
  const end = bytes.indexOf(HEAD_END, begin, 'latin1');
  if (end < 0) return undefined;
  readHeaders(bytes.toString('latin1', begin, end).split('\r\n'));
  return { text, end: end + HEAD_END.length, isBounded: true };
}

function closes({ connection = '' }: Record<string, string>): boolean {
  return /(^|,)\s*close\s*(,|$)/i.test(connection);
}

function keptFor({ 'keep-alive': told = '' }: Record<string, string>): number {
  const seconds = /(?:^|,)\s*timeout=(\d{1,6})/i.exec(told)?.[1];
  return seconds === undefined ? KEPT_MS : Math.max(0, Number(seconds) * 1000 - EARLIER_MS);
}

function notUnderstood(why: string): Error {
  return Object.assign(new Error(`an answer that is not understood: ${why}`), { code: NOT_UNDERSTOOD });
}
