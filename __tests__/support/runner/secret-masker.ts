/** The runner's secret masker: what `::add-mask::` registers and how a line looks afterwards. */
export class SecretMasker {
  readonly #originals = new Set<string>();
  readonly #values = new Set<string>();

  /** Every value that was registered, without the encodings derived from it. */
  get originals(): string[] {
    return [...this.#originals];
  }

  /** Registers a value and its encodings, and nothing else: no hex, no base64url, no substrings. */
  add(value: string): void {
    if (value === '' || this.#originals.has(value)) return;
    this.#originals.add(value);
    this.#values.add(value);
    for (const encode of ENCODERS) {
      const encoded = encode(value);
      if (encoded) this.#values.add(encoded);
    }
  }

  /** As `::add-mask::` does: the whole value, then each of its lines without the blanks around it. */
  addMask(data: string): void {
    this.add(data);
    for (const line of data.split(/[\r\n]/)) this.add(line.trim());
  }

  /** Replaces every masked range by `***`; ranges that overlap or touch become one. */
  mask(text: string): string {
    const ranges: { start: number; end: number }[] = [];
    for (const value of this.#values) {
      for (let at = text.indexOf(value); at >= 0; at = text.indexOf(value, at + 1)) {
        ranges.push({ start: at, end: at + value.length });
      }
    }
    ranges.sort((a, b) => a.start - b.start);
    let masked = '';
    let shown = 0;
    for (const [index, { start, end }] of ranges.entries()) {
      if (index === 0 || start > shown) masked += `${text.slice(shown, start)}***`;
      shown = Math.max(shown, end);
    }
    return masked + text.slice(shown);
  }
}

/** Base64 of the value without its first bytes: what of `base64(user:secret)` does not depend on the user. */
const base64From = (skip: number) => (value: string) => {
  const bytes = Buffer.from(value);
  return bytes.subarray(bytes.length > skip ? skip : 0).toString('base64');
};

const XML: Record<string, string> = { '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;', '&': '&amp;' };

const ENCODERS: ((value: string) => string)[] = [
  base64From(0),
  base64From(1),
  base64From(2),
  (value) => value.replaceAll('"', '\\"'),
  (value) => value.replaceAll("'", "''"),
  (value) =>
    JSON.stringify(value)
      .slice(1, -1)
      .replace(/[\x85\u2028\u2029]/g, unicodeEscape),
  (value) => encodeURIComponent(value.toWellFormed()).replace(/[!'()*]/g, percentEscape),
  (value) => value.replace(/[<>"'&]/g, (character) => XML[character]!),
  (value) => (value.length > 8 && /^".*"$/s.test(value) ? value.slice(1, -1) : ''),
  (value) => longEnough(value.slice(0, ampersand(value).end)),
  // PowerShell colours the character after `&+`, so the rest begins one later.
  (value) =>
    value.includes('&') ? longEnough(value.slice(ampersand(value).end + (value.includes('&+') ? 1 : 0))) : '',
];

const unicodeEscape = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
const percentEscape = (character: string) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
const longEnough = (value: string) => (value.length >= 6 ? value : '');

/** PowerShell breaks a command line at its first `&+`, or else at its last `&`. */
function ampersand(value: string): { end: number } {
  const plus = value.indexOf('&+');
  return { end: plus >= 0 ? plus + 2 : value.lastIndexOf('&') + 1 };
}
