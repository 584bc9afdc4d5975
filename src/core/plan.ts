import { DeployError } from '../errors.ts';
import { amend, type Entries, type Entry, staleNames } from './entries.ts';
import { type HeaderOptions, headersFor, phaseOf, sameHeaders } from './headers.ts';
import { compareKeys, type Prefix, toKey } from './key.ts';
import { headersFingerprint, keyHash, type Manifest, sameEntry, saysMore } from './manifest.ts';
import type {
  DeleteLimit,
  Kept,
  LocalFile,
  ObjectHeaders,
  Phase,
  PhaseName,
  Plan,
  RemoteObject,
  Stale,
  StorageOptions,
  Stored,
  Unchanged,
  Upload,
} from './model.ts';
import type { Objects } from './object-index.ts';
import { count } from './text.ts';

export interface PlanOptions extends HeaderOptions {
  readonly prefix: Prefix;
  readonly storage: StorageOptions;
  readonly overwrite: boolean;
  readonly delete: DeleteMode;
  readonly deleteExclude: (path: string) => boolean;
  readonly maxDelete: DeleteLimit;
  /** Seconds for which stale objects are kept. */
  readonly deleteGrace: number;
  /** Seconds since the epoch. */
  readonly now: number;
}

/** `owned`: only what an earlier deploy put there. */
export type DeleteMode = 'off' | 'all' | 'owned';

/** What was found out about a file whose object may be the same. */
export type Digest = AsRemembered | ContentDigest;

/**
 * A file has the content that is remembered of its object, and these headers are remembered with it. On a large site that
 * is all that needs to be known of nearly every file, and one of these does for all that have the same headers.
 */
export interface AsRemembered {
  /** `headersFingerprint`. */
  readonly rememberedHeaders: string | undefined;
}

/** What a content is told by. */
export interface ContentDigest {
  /** `contentFingerprint`. */
  readonly content: string;
  /** The ETag that S3 gives these bytes, in the form of the object's; undefined where that is no digest. */
  readonly etag: string | undefined;
}

/** What the content of a file is held against: what is remembered of its object, or else the object's ETag. */
export type Candidate = { readonly entry: Entry } | { readonly etag: string };

/** A manifest as it was found. */
export interface KnownManifest extends Manifest {
  /** When it was written, by the clock of the store: what is written later is not what it remembers. */
  readonly lastModified: number;
}

/** What earlier runs remember. */
export interface Memory {
  readonly manifest: KnownManifest | undefined;
  /** What shards have put since the manifest was written, newest first. */
  readonly notes?: readonly KnownManifest[];
}

/** What a plan is made of beside the files. */
export interface Known extends Memory {
  /** The objects below the prefix, by key. */
  readonly objects: Objects;
  /** By the place of the file in the source, for those that `candidateOf` names. */
  readonly digests: readonly (Digest | undefined)[];
  /** Headers of objects, by key, for those that `toAsk` names; undefined where they cannot be had. */
  readonly headers: ReadonlyMap<string, ObjectHeaders | undefined>;
}

/** Deletions up to this number pass every percentage: a small site may change a lot. */
const ALWAYS_PASS = 10;
const PHASES: readonly PhaseName[] = ['assets', 'pages', 'entry pages'];
/** What S3 makes of content: the MD5, or for an upload in parts the MD5 of the parts' MD5s and their number. */
const CONTENT_ETAG = /^[0-9a-f]{32}(-\d{1,5})?$/;

/**
 * What a deploy will do. Content and headers decide, never time:
 *
 * | object below the prefix                        | content | headers | →                     |
 * | ---------------------------------------------- | ------- | ------- | --------------------- |
 * | none                                           |         |         | upload `new`          |
 * | there, and nothing may be overwritten          |         |         | left alone            |
 * | another size                                   |         |         | upload `content`      |
 * | remembered: its ETag is the manifest's         | same    | same    | unchanged             |
 * |                                                | same    | other   | upload `headers`      |
 * |                                                | other   |         | upload `content`      |
 * | not remembered, its ETag is made of content    | same    | same    | unchanged             |
 * |                                                | same    | other   | upload `headers`      |
 * |                                                | other   |         | upload `content`      |
 * | not remembered, its ETag says nothing          |         |         | upload `unverified`   |
 * | no file                                        |         |         | deletion, or kept     |
 *
 * @throws DeployError TOO_MANY_DELETIONS when the deletions are over `maxDelete`.
 */
export function planDeploy(files: readonly LocalFile[], known: Known, options: PlanOptions): Plan {
  const uploads = new Map<PhaseName, Upload[]>(PHASES.map((name) => [name, []]));
  const unchanged: Unchanged[] = [];
  const existing: Kept[] = [];
  let found = 0;
  const served = servedAs(options);
  for (const [place, file] of files.entries()) {
    const key = toKey(options.prefix, file.path);
    const object = known.objects.get(key);
    const digest = known.digests[place];
    if (object !== undefined) found++;
    if (object !== undefined && !options.overwrite) {
      existing.push({ key, why: 'exists' });
      continue;
    }
    const { headers, fingerprint } = served(file.path);
    const verdict = compare(file, object, digest, { headers, fingerprint }, known, options);
    if (typeof verdict === 'object') unchanged.push(verdict);
    else {
      const content = contentOf(digest, object, known);
      const there = { ...(object !== undefined && { object }), ...(content !== undefined && { content }) };
      uploads.get(phaseOf(file.path))?.push({ file, key, reason: verdict, headers, ...there });
    }
  }
  // Most deploys find nothing stale, and need no second list of all keys to tell.
  const stale = found === known.objects.size ? [] : staleObjects(files, known, options);
  const fates = stale.map((one) => ({ ...one, why: keptBecause(one, known, options) }));
  const deletions = fates.filter(({ why }) => why === undefined).map(({ object }) => object);
  checkDeletions(deletions.length, known.objects.size, options.maxDelete);
  return {
    phases: PHASES.map((name): Phase => ({ name, uploads: uploads.get(name) ?? [] })),
    deletions,
    kept: existing.concat(fates.flatMap(({ object, why }) => (why === undefined ? [] : [{ key: object.key, why }]))),
    unchanged,
    stale,
    revived: revivedAmong(unchanged, known.manifest),
    adopted: unchanged.filter((one) => known.headers.has(one.key) || isNoted(one, known)).map(({ key }) => key),
    verified: known.headers.size > 0 || [...uploads.values()].some(({ length }) => length > 0) || isBusy(known),
  };
}

/**
 * Whether something was written after the manifest, of which nobody has left a note: an earlier deploy may be under way,
 * and the manifest of this one, though it says nothing new, is what stops it.
 */
function isBusy({ objects, manifest, notes = [] }: Known): boolean {
  if (manifest === undefined || notes.length > 0) return false;
  for (const { lastModified } of objects.values()) if (lastModified > manifest.lastModified) return true;
  return false;
}

/** Whether shards have put what is unchanged by now, since the manifest was written. */
function isNoted(object: Unchanged, known: Known): boolean {
  const { manifest, notes = [] } = known;
  if (notes.length === 0) return false;
  const { headers } = object.found ?? remembered(object, known) ?? {};
  return manifest === undefined || entryOf(object, keyHash(object.key), manifest)?.headers !== headers;
}

/** The unchanged keys that the last deploy held for stale. */
function revivedAmong(unchanged: readonly Unchanged[], manifest: KnownManifest | undefined): string[] {
  const stale = staleNames(manifest?.entries ?? new Map());
  return stale.size === 0 ? [] : unchanged.map(({ key }) => key).filter((key) => stale.has(keyHash(key)));
}

/** How an object is served, and what is remembered of that. */
interface Served {
  readonly headers: ObjectHeaders;
  readonly fingerprint: string;
}

/** How each path is to be served. A site has thousands of files, and a dozen kinds of headers. */
function servedAs(options: PlanOptions): (path: string) => Served {
  // By type and Cache-Control, which is all there is without rules.
  const kinds = new Map<string, Map<string | undefined, Served>>();
  return (path) => {
    const headers = headersFor(path, options);
    const { contentType, cacheControl } = headers;
    const kind = options.headerRules.length > 0 ? JSON.stringify(headers) : contentType;
    const alike = kinds.get(kind) ?? new Map<string | undefined, Served>();
    const known = alike.get(cacheControl);
    if (known !== undefined) return known;
    const served = { headers, fingerprint: headersFingerprint(headers, options.storage) };
    kinds.set(kind, alike.set(cacheControl, served));
    return served;
  };
}

/**
 * The removal of everything below a prefix. A percentage limits what a deploy takes for stale and does not count here; a
 * number does.
 * @throws DeployError TOO_MANY_DELETIONS.
 */
export function planRemoval(
  objects: Objects,
  options: Pick<PlanOptions, 'prefix' | 'deleteExclude' | 'maxDelete'>,
): Plan {
  const excluded = (key: string) => options.deleteExclude(key.slice(options.prefix.length));
  const deletions = [...objects.values()].filter(({ key }) => !excluded(key)).sort((a, b) => compareKeys(a.key, b.key));
  if (options.maxDelete.kind === 'count') checkDeletions(deletions.length, objects.size, options.maxDelete);
  const kept = [...objects.keys()].filter(excluded).map((key): Kept => ({ key, why: 'excluded' }));
  return { phases: [], deletions, kept, unchanged: [], stale: [], revived: [], adopted: [], verified: false };
}

/** Whether the content of a file decides, since it has an object of its size, and what it is held against. */
export function candidateOf(file: LocalFile, object: RemoteObject | undefined, memory: Memory): Candidate | undefined {
  if (object === undefined || object.size !== file.size) return undefined;
  const entry = remembered(object, memory);
  if (entry?.content !== undefined) return { entry };
  return CONTENT_ETAG.test(object.etag) ? { etag: object.etag } : undefined;
}

function isAsRemembered(digest: Digest | undefined): digest is AsRemembered {
  return digest !== undefined && 'rememberedHeaders' in digest;
}

/** The objects whose headers nobody remembers, though their content is right: they are asked for, once. */
export function toAsk(
  files: readonly LocalFile[],
  known: Pick<Known, 'objects' | 'digests' | keyof Memory>,
  prefix: Prefix,
): RemoteObject[] {
  return files.flatMap((file, place) => {
    const digest = known.digests[place];
    if (digest === undefined || isAsRemembered(digest)) return [];
    const object = known.objects.get(toKey(prefix, file.path));
    if (object === undefined) return [];
    return digest.etag === object.etag && remembered(object, known)?.content === undefined ? [object] : [];
  });
}

/** The entry of an object that is still the one that was put: even the same bytes, put again, may have other headers. */
function remembered(object: RemoteObject, { manifest, notes = [] }: Memory, known?: string): Entry | undefined {
  if (manifest === undefined && notes.length === 0) return undefined;
  const name = known ?? keyHash(object.key);
  for (const note of notes) {
    const entry = entryOf(object, name, note);
    if (entry !== undefined) return entry;
  }
  return manifest && entryOf(object, name, manifest);
}

function entryOf(object: RemoteObject, name: string, { entries, lastModified }: KnownManifest): Entry | undefined {
  const entry = entries.get(name);
  return entry?.etag === object.etag && object.lastModified <= lastModified ? entry : undefined;
}

function compare(
  file: LocalFile,
  object: RemoteObject | undefined,
  digest: Digest | undefined,
  { headers, fingerprint }: Served,
  known: Known,
  options: PlanOptions,
): Unchanged | Upload['reason'] {
  if (object === undefined) return 'new';
  if (object.size !== file.size) return 'content';
  if (digest === undefined) return 'unverified';
  if (isAsRemembered(digest)) return digest.rememberedHeaders === fingerprint ? object : 'headers';
  const entry = remembered(object, known);
  if (entry?.content !== undefined) {
    if (digest.content !== entry.content) return 'content';
    return entry.headers === fingerprint ? object : 'headers';
  }
  if (digest.etag === undefined) return 'unverified';
  if (digest.etag !== object.etag) return 'content';
  const { content } = digest;
  const there = known.headers.get(object.key);
  // What cannot be asked for is left as it is, and not remembered as right.
  if (there === undefined) return { ...object, found: { content, headers: undefined } };
  // Nor does a HEAD tell of tags, of an ACL or of a key: who asks for them gets them, by a copy in place.
  const asStored = Object.keys(options.storage).length === 0;
  return asStored && sameHeaders(headers, there) ? { ...object, found: { content, headers: fingerprint } } : 'headers';
}

/** The fingerprint of a file, where it was read already. */
function contentOf(digest: Digest | undefined, object: RemoteObject | undefined, memory: Memory): string | undefined {
  if (!isAsRemembered(digest)) return digest?.content;
  return object && remembered(object, memory)?.content;
}

/** What the source does not have, and since when: an object that somebody has put since is not what was stale. */
function staleObjects(files: readonly LocalFile[], known: Known, { now, prefix }: PlanOptions): Stale[] {
  const wanted = new Set(files.map(({ path }) => toKey(prefix, path)));
  return [...known.objects.values()]
    .filter(({ key }) => !wanted.has(key))
    .sort((a, b) => compareKeys(a.key, b.key))
    .map((object) => ({ object, since: remembered(object, known)?.staleSince ?? now }));
}

function keptBecause({ object, since }: Stale, memory: Memory, options: PlanOptions): Kept['why'] | undefined {
  if (options.delete === 'off') return 'delete off';
  if (options.deleteExclude(object.key.slice(options.prefix.length))) return 'excluded';
  if (options.delete === 'owned' && !remembered(object, memory)?.owned) return 'not ours';
  return options.now - since < options.deleteGrace ? 'grace' : undefined;
}

function checkDeletions(deletions: number, objects: number, limit: DeleteLimit): void {
  const allowed =
    limit.kind === 'count' ? limit.value : Math.max(ALWAYS_PASS, Math.floor((objects * limit.value) / 100));
  if (deletions <= allowed) return;
  const share = `${count(deletions, 'object')} of ${count(objects, 'object')} below the prefix`;
  throw new DeployError('TOO_MANY_DELETIONS', `This deploy would delete ${share}; max-delete allows ${allowed}.`, {
    hint:
      'If the build is complete and the deletions are meant, raise max-delete for this run ' +
      `(max-delete: ${deletions}). Otherwise check source-dir and prefix: a build that failed half way looks like this.`,
  });
}

/** What the next deploy will want to know: the manifest after the uploads of a plan, before its deletions. */
export function manifestAfter(
  plan: Plan,
  stored: readonly Pick<Stored, 'key' | 'etag' | 'content' | 'headers' | 'reason'>[],
  before: Memory,
  by: Manifest['by'],
  options: Pick<PlanOptions, 'storage' | 'delete'>,
): Manifest {
  const { manifest, notes = [] } = before;
  const news = new Map<string, Entry>();
  // A site has thousands of files, and a dozen kinds of headers, each of them one object.
  const fingerprints = new Map<ObjectHeaders, string>();
  for (const { key, etag, content, headers } of stored) {
    const fingerprint = fingerprints.get(headers) ?? headersFingerprint(headers, options.storage);
    fingerprints.set(headers, fingerprint);
    news.set(keyHash(key), { etag, content, headers: fingerprint, owned: true, staleSince: undefined });
  }
  const changed = new Set([...stored.map(({ key }) => key), ...plan.revived]);
  const kept: RemoteObject[] = [];
  for (const object of plan.unchanged) {
    const { key, etag, found } = object;
    // As the manifest remembers it: its line stays.
    if (found === undefined && notes.length === 0 && !changed.has(key)) {
      kept.push(object);
      continue;
    }
    const name = keyHash(key);
    const entry = found === undefined ? remembered(object, before, name) : { ...found, owned: false };
    // What an earlier round put is found unchanged by the next one, unless somebody has written it since.
    const owned = entry?.owned || news.get(name)?.etag === etag;
    if (entry?.headers !== undefined) news.set(name, { ...entry, etag, owned, staleSince: undefined });
    else if (!owned) news.delete(name);
  }
  for (const { object, since } of plan.stale) {
    const name = keyHash(object.key);
    const entry = remembered(object, before, name);
    // Of a stranger nothing needs to be known but how long it has been waiting for its deletion.
    if (entry !== undefined) news.set(name, { ...entry, staleSince: since });
    else if (options.delete === 'all')
      news.set(name, { etag: object.etag, content: undefined, headers: undefined, owned: false, staleSince: since });
  }
  if (manifest === undefined || notes.length > 0) return { by, entries: news };
  return { by, entries: amend(manifest.entries, goneFrom(manifest.entries, kept, news), news) };
}

/** The names of entries whose objects are neither kept nor in the news. */
function goneFrom(entries: Entries, kept: readonly RemoteObject[], news: ReadonlyMap<string, Entry>): Set<string> {
  const deleted = new Set([...staleNames(entries)].filter((name) => !news.has(name)));
  let replaced = 0;
  for (const name of news.keys()) if (entries.has(name)) replaced++;
  // All that are kept have an entry: nearly always those that were stale are all that is gone, and it need not be asked
  // by name who is left.
  if (entries.size === kept.length + replaced + deleted.size) return deleted;
  const left = new Set(kept.map(({ key }) => keyHash(key)));
  return new Set([...entries].flatMap(([name]) => (left.has(name) || news.has(name) ? [] : [name])));
}

/**
 * What a shard has to tell the last run, of which it is not the manifest that tells: what it has put, and what it found to
 * be right by other means. Undefined when its note, if it has one, says all of it.
 */
export function noteAfter(
  plan: Plan,
  stored: Parameters<typeof manifestAfter>[1],
  before: Memory,
  by: Manifest['by'],
  options: Pick<PlanOptions, 'storage' | 'delete'>,
): Manifest | undefined {
  const { manifest, notes = [] } = before;
  const put = new Set(stored.map(({ key }) => keyHash(key)));
  const isNews = (name: string, entry: Entry) => put.has(name) || !sameEntry(entry, manifest?.entries.get(name));
  const isNoted = (name: string) => notes.some(({ entries }) => entries.has(name));
  const all = manifestAfter(plan, stored, before, by, options).entries;
  const entries = new Map([...all].filter(([name, entry]) => isNews(name, entry) || isNoted(name)));
  if (entries.size === 0) return undefined;
  const next = { by, entries };
  return plan.verified || saysMore(next, notes[0]) ? next : undefined;
}
