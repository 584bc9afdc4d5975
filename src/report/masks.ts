import * as core from '@actions/core';

/** Shorter values would take words out of the report. */
const SHORTEST = 8;

/** Every secret of this run so far, as it is and as it stands in a URL. */
const known: string[] = [];

/**
 * Masks a secret on receipt: the runner takes it out of the log from here on, and `redacted` out of everything else that
 * is written, which the runner does not look at.
 */
export function mask(secret: string): void {
  core.setSecret(secret);
  if (secret.length < SHORTEST) return;
  for (const shape of [secret, encodeURIComponent(secret)]) if (!known.includes(shape)) known.push(shape);
}

/** So much of a secret's beginning is taken for the secret: the rest of a long message may have been cut off. */
const BEGINNING = 16;

/** Text without the secrets of this run: a proxy may answer with the very headers that it was sent. */
export function redacted(text: string): string {
  const beginnings = new Set(known.map((secret) => secret.slice(0, BEGINNING)));
  return [...beginnings].reduce(withoutThose, text);
}

/** Text without the secrets that begin so: session tokens of one service begin alike. */
function withoutThose(text: string, beginning: string): string {
  const secrets = known.filter((secret) => secret.startsWith(beginning));
  const pieces: string[] = [];
  let from = 0;
  for (let at = text.indexOf(beginning); at !== -1; at = text.indexOf(beginning, from)) {
    pieces.push(text.slice(from, at), '***');
    from = at + Math.max(...secrets.map((secret) => alike(text, at, secret)));
  }
  return from === 0 ? text : pieces.join('') + text.slice(from);
}

/** How many characters of the text from there on are those of a secret. */
function alike(text: string, at: number, secret: string): number {
  let length = 0;
  while (length < secret.length && text[at + length] === secret[length]) length++;
  return length;
}
