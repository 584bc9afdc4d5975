/**
 * Untrusted text (file names, keys, server messages) made safe for a log line or a summary. The runner takes
 * `::command::` after leading blanks, and `##[command]` anywhere in a line, for a command of ours; terminals take control
 * characters, people are fooled by bidi controls.
 */

/**
 * Characters that a line must show instead of obeying: C0, DEL, C1, bidi and zero-width controls, line separators, BOM,
 * fillers, tags.
 */
const INVISIBLE =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e007f}]|\u034f/gu;
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/**
 * One harmless line: invisible characters as escapes (`\x1b`, `\u202e`), `##[` and a leading `::` broken by a
 * backslash, cut to `max` characters. Trusted text passes unchanged.
 */
export function plain(text: string, max = 2000): string {
  const shown = text.replace(INVISIBLE, escapeCharacter).replace(LONE_SURROGATE, escapeCharacter);
  const cut = shown.length > max ? `${shown.slice(0, max - 1).toWellFormed()}…` : shown;
  return cut.replace(/##(?=\[)/g, '##\\').replace(/^(\s*):(?=:)/, '$1\\:');
}

/** `plain`, safe inside HTML and markdown as well: a cell of a summary's table, a comment. */
export function html(text: string, max = 300): string {
  return plain(text, max).replace(/[&<>"'`|*_~[\]\\@#]/g, (character) => `&#${character.codePointAt(0)};`);
}

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  if (code > 0xffff) return `\\u{${hex}}`;
  return code < 0x100 ? `\\x${hex.padStart(2, '0')}` : `\\u${hex.padStart(4, '0')}`;
}

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** A number of bytes for people: `812 B`, `4.1 KiB`, `1.3 GiB`. */
export function bytes(count: number): string {
  let value = Math.round(count);
  let power = 0;
  // 1023.95 would be shown as 1024.0.
  for (; value >= (power === 0 ? 1024 : 1023.95) && power < BYTE_UNITS.length - 1; power++) value /= 1024;
  return `${power === 0 ? value : value.toFixed(1)} ${BYTE_UNITS[power]}`;
}

/** A duration in milliseconds for people: `340 ms`, `4.2 s`, `3 min 20 s`. */
export function duration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** `1 file`, `3 files`, `1,204 files`. */
export function count(number: number, noun: string): string {
  const digits = String(number).replace(/\B(?=(\d{3})+$)/g, ',');
  return `${digits} ${noun}${number === 1 ? '' : 's'}`;
}
