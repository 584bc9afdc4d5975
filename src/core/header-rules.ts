import { FAILSAFE_SCHEMA, load, nullCoreTag, realMapTag } from 'js-yaml';
import { DeployError } from '../errors.ts';
import { globs } from './globs.ts';
import type { HeaderRule } from './headers.ts';
import { plain } from './text.ts';

/** The headers that a rule may set, by lower-case name. */
const NAMES = new Map<string, keyof HeaderRule['headers']>([
  ['cache-control', 'cacheControl'],
  ['content-type', 'contentType'],
  ['content-disposition', 'contentDisposition'],
  ['content-language', 'contentLanguage'],
  ['content-encoding', 'contentEncoding'],
  ['expires', 'expires'],
]);
const META = 'x-amz-meta-';
/** S3 keeps 2 KB of user metadata with an object. */
const META_BYTES = 2048;
const INPUT_CHARACTERS = 65_536;
/** Values are the text as it is written: as a number, the version 1.10 would become 1.1. */
const SCHEMA = FAILSAFE_SCHEMA.withTags(realMapTag, nullCoreTag);
/** An HTTP date, or one of ISO 8601 that means the same everywhere; `0` and `3600` are taken for years elsewhere. */
const DATE =
  /^([A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} [\d:]{8} GMT|\d{4}-\d{2}-\d{2}(T[\d:.]{5,12}(Z|[+-]\d{2}:\d{2}))?)$/;

/**
 * Reads the input `headers`: a YAML map of glob → headers. Later rules win, per header; an empty value takes the header
 * away. Aliases are not followed, so that a small document stays small.
 * @throws DeployError INPUT_INVALID naming the rule.
 */
export function parseHeaderRules(yaml: string): HeaderRule[] {
  if (yaml.split('\n').every((line) => /^\s*(#|$)/.test(line))) return [];
  const document = parse(yaml);
  if (!(document instanceof Map)) throw invalid('is not a map of globs', EXAMPLE);
  return [...document].map(([glob, headers]) => ruleOf(glob, headers));
}

const EXAMPLE =
  "Write it as:\n    headers: |\n      'assets/**':\n        Cache-Control: public, max-age=31536000, immutable";

function parse(yaml: string): unknown {
  if (yaml.length > INPUT_CHARACTERS) throw invalid('is longer than 65,536 characters', EXAMPLE);
  try {
    return load(yaml, { schema: SCHEMA, maxAliases: 0, maxDepth: 4 });
  } catch (error) {
    throw invalid(
      `is not YAML: ${plain((error as Error).message.split('\n')[0] ?? '', 200)}`,
      `A glob that begins with '*', '{' or '[' needs quotes. ${EXAMPLE}`,
    );
  }
}

function ruleOf(glob: unknown, headers: unknown): HeaderRule {
  if (typeof glob !== 'string' || glob === '') throw invalid('has a rule whose glob is no text', EXAMPLE);
  const where = `the rule '${plain(glob, 200)}'`;
  if (!(headers instanceof Map)) throw invalid(`has ${where} without a map of headers`, EXAMPLE);
  const rule = {
    glob,
    matches: globs('headers', [glob]),
    headers: {} as Record<string, string | undefined>,
    metadata: {} as Record<string, string | undefined>,
  };
  for (const [name, value] of headers) {
    if (typeof name !== 'string') throw invalid(`has ${where} with a header whose name is no text`, EXAMPLE);
    const lower = name.toLowerCase();
    const text = headerValue(value, `${where}, ${plain(name, 100)}`);
    const known = NAMES.get(lower);
    if (known !== undefined) rule.headers[known] = known === 'expires' ? dateOf(text, where) : text;
    else if (/^x-amz-meta-(?!__proto__$)[a-z0-9_.-]{1,100}$/.test(lower))
      rule.metadata[lower.slice(META.length)] = text;
    else
      throw invalid(
        `has ${where} with '${plain(name, 100)}', which S3 does not keep`,
        `Headers that can be set: ${[...NAMES.keys()].join(', ')} and ${META}*.`,
      );
  }
  const size = Object.entries(rule.metadata).reduce(
    (sum, [name, value = '']) => sum + name.length + Buffer.byteLength(value),
    0,
  );
  if (size > META_BYTES)
    throw invalid(`has ${where} with more than 2 KB of metadata`, 'S3 keeps 2 KB of metadata with an object.');
  return rule;
}

function headerValue(value: unknown, where: string): string | undefined {
  const text = value === null ? '' : typeof value === 'string' ? value.trim() : undefined;
  if (text === '') return undefined;
  if (text === undefined || !/^[\x20-\x7e]{1,2000}$/.test(text)) {
    throw invalid(
      `has ${where}, with a value that no header can carry`,
      'A value is one line of ASCII; an empty one takes the header away.',
    );
  }
  return text;
}

function dateOf(value: string | undefined, where: string): string | undefined {
  if (value === undefined) return undefined;
  const time = DATE.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(time))
    throw invalid(
      `has ${where} with an Expires that is no date`,
      'Write it as: Expires: Wed, 21 Oct 2026 07:28:00 GMT',
    );
  return new Date(time).toUTCString();
}

function invalid(problem: string, hint: string): DeployError {
  return new DeployError('INPUT_INVALID', `headers: the value ${problem}.`, { hint });
}

/** A warning for each rule that no path matches, with the path that comes closest. */
export function unusedRules(rules: readonly HeaderRule[], paths: readonly string[]): string[] {
  return rules
    .filter(({ matches }) => !paths.some(matches))
    .map(({ glob }) => {
      const near = closest(glob, paths);
      return `headers: no file matches '${plain(glob, 200)}'${near === undefined ? '' : `; the closest is '${plain(near, 200)}'`}.`;
    });
}

/** The path that shares most with a glob: its beginning, its end, and its letters in between. */
function closest(glob: string, paths: readonly string[]): string | undefined {
  const bare = glob.toLowerCase().replace(/[*?[\]{}()!+@]/g, '');
  let best: { path: string; score: number } | undefined;
  for (const path of paths.slice(0, 20_000)) {
    const score = likeness(bare, path.toLowerCase());
    if (score > (best?.score ?? 0)) best = { path, score };
  }
  return best !== undefined && best.score >= 2 ? best.path : undefined;
}

function likeness(a: string, b: string): number {
  let start = 0;
  while (start < a.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  return start + end;
}
