import * as core from '@actions/core';
import { html } from '../core/text.ts';

/** Shorter values would take words out of the report. */
const SHORTEST = 8;

/** So much of a secret's beginning is taken for the secret: the rest of a long message may have been cut off. */
const BEGINNING = 16;

/** Every secret of this run so far, in each of its forms, by the form's beginning. */
const known = new Map<string, string[]>();

/** Finds the beginning of any of them. */
let anyBeginning: RegExp | undefined;

/**
 * Masks a secret on receipt: the runner takes it out of the log from here on, and `redacted` out of everything else that
 * is written, which the runner does not look at.
 */
export function mask(secret: string): void {
  core.setSecret(secret);
  if (secret.length < SHORTEST) return;
  for (const form of formsOf(secret)) {
    const beginning = form.slice(0, BEGINNING);
    const others = known.get(beginning) ?? [];
    if (!others.includes(form)) known.set(beginning, [...others, form]);
  }
  anyBeginning = new RegExp([...known.keys()].map((text) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|'));
}

/** Text without the secrets of this run: a proxy may answer with the very headers that it was sent. */
export function redacted(text: string): string {
  // A deploy has thousands of lines, and next to none of them has a secret.
  if (anyBeginning?.test(text) !== true) return text;
  let rest = text;
  for (const [beginning, forms] of known) if (rest.includes(beginning)) rest = withoutThose(rest, beginning, forms);
  return rest;
}

/**
 * A secret as a server or this report may write it: as it is, in a URL, in JSON, in HTML, as base64 wherever in a longer
 * value it stands (`Authorization: Basic` is one), as hex.
 */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const url = encodeURIComponent(secret);
  const base64 = [0, 1, 2].map((shift) => base64Within(bytes, shift));
  const hex = bytes.toString('hex');
  return [
    secret,
    url,
    url.replace(/%../g, (octet) => octet.toLowerCase()),
    JSON.stringify(secret).slice(1, -1),
    html(secret, Number.POSITIVE_INFINITY),
    ...base64,
    ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
    hex,
    hex.toUpperCase(),
  ];
}

/** The base64 of bytes within more bytes, of which `shift` beyond whole groups of three come before; less what depends on those. */
function base64Within(bytes: Buffer, shift: number): string {
  const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
  return text.slice(Math.ceil((shift * 8) / 6), Math.floor(((shift + bytes.length) * 8) / 6));
}

/** Text without the secrets that begin so: session tokens of one service begin alike. */
function withoutThose(text: string, beginning: string, secrets: readonly string[]): string {
  const pieces: string[] = [];
  let from = 0;
  for (let at = text.indexOf(beginning); at !== -1; at = text.indexOf(beginning, from)) {
    pieces.push(text.slice(from, at), '***');
    from = at + Math.max(...secrets.map((secret) => alike(text, at, secret)));
  }
  return pieces.join('') + text.slice(from);
}

/** How many characters of the text from there on are those of a secret. */
function alike(text: string, at: number, secret: string): number {
  let length = 0;
  while (length < secret.length && text[at + length] === secret[length]) length++;
  return length;
}
