import { readFileSync, writeFileSync } from 'node:fs';

/** Escapes what is not ASCII in dist/index.js: one such character, and V8 keeps the whole source in two bytes for each. */
const FILE = 'dist/index.js';
const source = readFileSync(FILE, 'utf8');
if (/\\[^\x00-\x7f]/.test(source)) throw new Error(`${FILE}: a backslash before what is to be escaped`);
if (/String\.raw`[^`]*[^\x00-\x7f]/.test(source)) throw new Error(`${FILE}: an escape means nothing in String.raw`);
const escaped = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
writeFileSync(FILE, source.replace(/[^\x00-\x7f]/g, escaped));
