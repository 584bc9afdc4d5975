import { DeployError } from '../errors.ts';
import { compareKeys, type Destination, type Prefix } from './key.ts';
import type { Plan } from './model.ts';
import { plain } from './text.ts';

/** More paths than these become one for everything below the prefix: a thousand a month are free, and `/*` counts as one. */
const MOST_PATHS = 15;
/** Fifteen wildcards may be under way in a distribution: no invalidation of ours is to keep the next ones waiting. */
const MOST_FOLDERS = 5;
/** What may be under way in a distribution at once. CloudFront developer guide, "Concurrent invalidation request maximum". */
const MOST_GIVEN = 3000;
const MOST_WILDCARDS = 15;
const LONGEST_PATH = 4000;

/** How the paths of a deploy are found. */
export interface PathOptions {
  readonly destination: Pick<Destination, 'prefix'>;
  /** These, whatever changed. */
  readonly invalidationPaths: readonly string[] | undefined;
}

/**
 * What to invalidate before anything is deleted: what was put, and what nobody remembers to have been put.
 * @param missed whether changes of an earlier deploy may not have been invalidated: then everything is.
 */
export function pathsOfUploads(
  plan: Plan,
  uploaded: readonly string[],
  missed: boolean,
  { destination: { prefix }, invalidationPaths: given }: PathOptions,
): readonly string[] {
  const changed = new Set([...uploaded, ...plan.adopted]);
  if (missed) return given ?? [everythingBelow(prefix)];
  if (changed.size === 0) return [];
  return given ?? invalidationPaths(changed, livingBeside(plan, changed), prefix);
}

/** What to invalidate once it is deleted: before, it would be fetched and kept again. */
export function pathsOfDeletions(
  plan: Plan,
  deleted: readonly string[],
  { destination: { prefix }, invalidationPaths: given }: PathOptions,
): readonly string[] {
  if (deleted.length === 0) return [];
  return given ?? invalidationPaths(deleted, livingBeside(plan, new Set(deleted)), prefix);
}

/** Every key that is there and stays as it is. */
function livingBeside({ phases, unchanged, kept }: Plan, changed: ReadonlySet<string>): string[] {
  const all = [...phases.flatMap(({ uploads }) => uploads), ...unchanged, ...kept];
  return all.map(({ key }) => key).filter((key) => !changed.has(key));
}

/**
 * The fewest paths that cover every changed key, each with all that it answers at: of an `index.html` its folder too. A
 * folder in which nothing else lives is one path, `/folder/*`; else nothing is invalidated that did not change. More than
 * fifteen paths, or five folders, become `/<prefix>/*`.
 * @param changed keys that were put, or are gone.
 * @param living every other key below the prefix, as far as it is known.
 */
export function invalidationPaths(changed: Iterable<string>, living: Iterable<string>, prefix: Prefix): string[] {
  const mixed = new Set<string>();
  for (const key of living) for (const folder of foldersOf(key, prefix)) mixed.add(folder);
  const groups = new Map<string, string[]>();
  for (const key of [...changed].sort(compareKeys)) {
    const group = foldersOf(key, prefix).find((folder) => !mixed.has(folder)) ?? key;
    groups.set(group, [...(groups.get(group) ?? []), ...pathsOf(key)]);
    // All of it is one path by now: nobody need remember the rest.
    if (group !== key && groups.get(group)!.length > 2) groups.get(group)!.length = 2;
  }
  const paths = new Set(
    [...groups].flatMap(([group, all]) => (group.endsWith('/') || group === '' ? narrowest(group, all) : all)),
  );
  const folders = [...paths].filter((path) => path.endsWith('*')).length;
  return paths.size > MOST_PATHS || folders > MOST_FOLDERS ? [everythingBelow(prefix)] : [...paths];
}

/** One path for everything below a prefix. */
export function everythingBelow(prefix: Prefix): string {
  return `${toPath(prefix).replace(/\*$/, '')}*`;
}

/** The folder of a group, unless one path is all that there is in it. */
function narrowest(folder: string, paths: string[]): string[] {
  return paths.length === 1 ? paths : [everythingBelow(folder as Prefix)];
}

/** The prefix and the folders below it that a key lies in, from the outside in. */
function foldersOf(key: string, prefix: Prefix): string[] {
  const folders: string[] = [prefix];
  for (let at = key.indexOf('/', prefix.length); at !== -1; at = key.indexOf('/', at + 1))
    folders.push(key.slice(0, at + 1));
  return folders;
}

/** Where an object answers: a folder shows its `index.html`. */
function pathsOf(key: string): string[] {
  const folder = /^(?:.*\/)?(?=index\.html$)/s.exec(key)?.[0];
  return folder === undefined ? [toPath(key)] : [toPath(key), toPath(folder)];
}

/**
 * What a URL cannot hold as it is: "non-ASCII characters or unsafe characters as defined in RFC 1738", says CloudFront's
 * guide, and nothing else, or the path is another one. `?` would begin a query.
 */
const UNSAFE = /[^\x21-\x7e]|["#%<>?[\\\]^`{|}~]/gu;

/** The path of a key. `*` means itself nowhere in a path, so that a key with one is covered by what it begins with. */
function toPath(key: string): string {
  const [before = '', ...rest] = key.split('*');
  return `/${encodeUnsafe(before)}${rest.length === 0 ? '' : '*'}`;
}

function encodeUnsafe(text: string): string {
  return text.replace(UNSAFE, (character) =>
    [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}

/**
 * Reads the input `invalidation-paths`, one path per line. What a URL cannot hold is encoded, what is encoded stays.
 * @throws DeployError INPUT_INVALID for what CloudFront would refuse, or would not take as it is meant.
 */
export function parseInvalidationPaths(lines: readonly string[]): string[] | undefined {
  if (lines.length === 0) return undefined;
  const paths = new Set(lines.map(parsePath));
  const wildcards = [...paths].filter((path) => path.endsWith('*')).length;
  if (paths.size > MOST_GIVEN) throw refused(`has ${paths.size} paths, and CloudFront takes ${MOST_GIVEN}`);
  if (wildcards > MOST_WILDCARDS)
    throw refused(`has ${wildcards} paths with *, and CloudFront takes ${MOST_WILDCARDS} at once`);
  return [...paths];
}

function parsePath(line: string): string {
  const told = `'${plain(line, 100)}'`;
  if (!line.startsWith('/')) throw refused(`${told} does not begin with a slash`);
  if (/[\s,;]\//.test(line)) throw refused(`${told} is more than one path`);
  if (/\*(?!$)/.test(line)) throw refused(`${told} has a * in its middle, and CloudFront takes it at the end alone`);
  const path = line.replace(/%(?![0-9A-Fa-f]{2})/g, '%25').replace(UNSAFE, keepEscapes);
  if (path.length > LONGEST_PATH) throw refused(`a path has more than ${LONGEST_PATH} characters`);
  return path;
}

/** In what a user gives, `%` begins an escape and `?` a query, as they do in a URL. */
function keepEscapes(character: string): string {
  return character === '%' || character === '?' ? character : encodeUnsafe(character);
}

function refused(problem: string): DeployError {
  return new DeployError('INPUT_INVALID', `invalidation-paths: ${problem}.`, {
    hint: "Give one path per line, as in the URL, such as '/docs/index.html' or '/docs/*'.",
  });
}
