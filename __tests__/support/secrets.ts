/** Shorter pieces of an encoded secret turn up by chance. */
const MIN_ENCODED = 8;
/** So much of the beginning or the end of a secret, in any form, is as good as told: half a leak is one. */
const PIECE = 24;
/** The search looks at so many characters first; no secret is shorter. */
const FIRST = 6;
const FILTER_SIZE = 2 ** 20;

/** What of a secret is looked for. */
interface Needle {
  text: string;
  /** Says which secret in which form, without telling it. */
  name: string;
}

/**
 * Secrets, in all the forms that they may be written in, and one search for all of them: a test may have handed out
 * thousands, and looks through every log for every one.
 */
export class Secrets {
  readonly #known = new Set<string>();
  readonly #needles = new Map<string, Needle[]>();
  /** Not 0 where some needle may begin with characters of this hash. */
  readonly #filter = new Uint8Array(FILTER_SIZE);

  get size(): number {
    return this.#known.size;
  }

  /**
   * @param what says what it is, for the one who reads that it was told.
   * @throws on a value so short that it would turn up by chance
   */
  add(what: string, secret: string): void {
    if (secret.length < FIRST) throw new Error(`${what} is too short to look for: ${secret.length} characters.`);
    if (this.#known.has(secret)) return;
    this.#known.add(secret);
    for (const [form, written] of formsOf(secret)) {
      const name = `${what} (${secret.length} characters) as ${form}`;
      for (const text of new Set([written.slice(0, PIECE), written.slice(-PIECE)])) this.#look({ text, name });
    }
  }

  /** Names of what a text tells. */
  toldBy(text: string): string[] {
    const told = new Set<string>();
    for (let at = 0; at + FIRST <= text.length; at++) {
      if (this.#filter[hash(text, at)] === 0) continue;
      for (const needle of this.#needles.get(text.slice(at, at + FIRST)) ?? [])
        if (text.startsWith(needle.text, at)) told.add(needle.name);
    }
    return [...told];
  }

  #look(needle: Needle): void {
    const first = needle.text.slice(0, FIRST);
    const others = this.#needles.get(first) ?? [];
    // The header of a token is that of every other.
    if (others.some(({ text }) => text === needle.text)) return;
    others.push(needle);
    this.#needles.set(first, others);
    this.#filter[hash(first, 0)] = 1;
  }
}

/**
 * Every secret that this process has handed out or taken from outside: keys, session tokens, OIDC tokens, bearer tokens.
 * Whoever makes one adds it here, and `runAction` looks for all of them in whatever a run leaves behind.
 */
export const handedOut = new Secrets();

/** A hash of the first characters from `at` on. */
function hash(text: string, at: number): number {
  let sum = 0;
  for (let i = at; i < at + FIRST; i++) sum = Math.imul(sum, 31) + text.charCodeAt(i);
  return (sum ^ (sum >>> 12)) & (FILTER_SIZE - 1);
}

const HTML: Record<string, string> = { '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;', '&': '&amp;' };

/** A secret as it may be written, by the name of the form. */
export function formsOf(secret: string): [string, string][] {
  const bytes = Buffer.from(secret);
  const forms: [string, string][] = [
    ['itself', secret],
    ['hex', bytes.toString('hex')],
    ['HEX', bytes.toString('hex').toUpperCase()],
    ['hex, byte by byte', Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ')],
    ['a URL', encodeURIComponent(secret)],
    ['a url', encodeURIComponent(secret).replace(/%../g, (octet) => octet.toLowerCase())],
    ['a form', new URLSearchParams([['', secret]]).toString().slice(1)],
    ['JSON', JSON.stringify(secret).slice(1, -1)],
    ['JSON in JSON', JSON.stringify(JSON.stringify(secret)).slice(3, -3)],
    ['XML', secret.replace(/[<>"'&]/g, (character) => HTML[character] ?? '')],
    ['HTML', secret.replace(/[^\w +/=.-]|_/g, (character) => `&#${character.codePointAt(0)};`)],
  ];
  for (const shift of [0, 1, 2]) {
    const core = base64Core(bytes, shift);
    if (core.length < MIN_ENCODED) continue;
    forms.push([`base64 (shift ${shift})`, core]);
    forms.push([`base64url (shift ${shift})`, core.replaceAll('+', '-').replaceAll('/', '_')]);
  }
  // The claims of a JWT may be told, one by one; its signature has no business anywhere.
  if (/^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(secret)) {
    const [, claims = '', signature = ''] = secret.split('.');
    forms.push(["a JWT's claims", claims], ["a JWT's signature", signature]);
  }
  return forms;
}

/** The characters of base64 that come out the same whatever stands around the value, `shift` bytes into a triple. */
function base64Core(bytes: Buffer, shift: number): string {
  const encoded = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
  return encoded.slice(Math.ceil((shift * 8) / 6), Math.floor(((shift + bytes.length) * 8) / 6));
}
