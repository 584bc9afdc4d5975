import { DeployError } from '../errors.ts';
import { type HeaderOptions, headersFor, phaseOf, sameHeaders } from './headers.ts';
import { compareKeys, isOwnPath, type Prefix, toKey } from './key.ts';
import { type Entry, headersFingerprint, keyHash, type Manifest } from './manifest.ts';
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
  Unchanged,
  Upload,
} from './model.ts';
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
export interface Digest {
  /** `contentFingerprint`. */
  readonly content: string;
  /** The ETag that S3 gives these bytes, in the form of the object's; undefined where that is no digest. */
  readonly etag: string | undefined;
}

/** A manifest as it was found. */
export interface KnownManifest extends Manifest {
  /** When it was written, by the clock of the store: what is written later is not what it remembers. */
  readonly lastModified: number;
}

/** What a plan is made of beside the files. */
export interface Known {
  /** The objects below the prefix, by key. */
  readonly objects: ReadonlyMap<string, RemoteObject>;
  readonly manifest: KnownManifest | undefined;
  /** By path, for those that `toDigest` names. */
  readonly digests: ReadonlyMap<string, Digest>;
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
  const wanted = new Set<string>();
  for (const file of files) {
    const key = toKey(options.prefix, file.path);
    wanted.add(key);
    const object = known.objects.get(key);
    if (object !== undefined && !options.overwrite) {
      existing.push({ key, why: 'exists' });
      continue;
    }
    const headers = headersFor(file.path, options);
    const verdict = compare(file, object, headers, known, options);
    if (typeof verdict === 'object') unchanged.push(verdict);
    else {
      const content = known.digests.get(file.path)?.content;
      const there = { ...(object !== undefined && { object }), ...(content !== undefined && { content }) };
      uploads.get(phaseOf(file.path))?.push({ file, key, reason: verdict, headers, ...there });
    }
  }
  const stale = staleObjects(known, wanted, options);
  const fates = stale.map((one) => ({ ...one, why: keptBecause(one, known.manifest, options) }));
  const deletions = fates.filter(({ why }) => why === undefined).map(({ object }) => object);
  checkDeletions(deletions.length, known.objects.size, options.maxDelete);
  return {
    phases: PHASES.map((name): Phase => ({ name, uploads: uploads.get(name) ?? [] })),
    deletions,
    kept: existing.concat(fates.flatMap(({ object, why }) => (why === undefined ? [] : [{ key: object.key, why }]))),
    unchanged,
    stale,
    revived: unchanged
      .filter(({ key }) => known.manifest?.entries.get(keyHash(key))?.staleSince !== undefined)
      .map(({ key }) => key),
    adopted: unchanged.filter(({ key }) => known.headers.has(key)).map(({ key }) => key),
    verified: known.headers.size > 0 || [...uploads.values()].some(({ length }) => length > 0),
  };
}

/**
 * The removal of everything below a prefix. A percentage limits what a deploy takes for stale and does not count here; a
 * number does.
 * @throws DeployError TOO_MANY_DELETIONS.
 */
export function planRemoval(
  objects: ReadonlyMap<string, RemoteObject>,
  options: Pick<PlanOptions, 'prefix' | 'deleteExclude' | 'maxDelete'>,
): Plan {
  const excluded = (key: string) => options.deleteExclude(key.slice(options.prefix.length));
  const deletions = [...objects.values()].filter(({ key }) => !excluded(key)).sort((a, b) => compareKeys(a.key, b.key));
  if (options.maxDelete.kind === 'count') checkDeletions(deletions.length, objects.size, options.maxDelete);
  const kept = [...objects.keys()].filter(excluded).map((key): Kept => ({ key, why: 'excluded' }));
  return { phases: [], deletions, kept, unchanged: [], stale: [], revived: [], adopted: [], verified: false };
}

/** The files whose content decides, with the ETag of their object: those that have one of the same size. */
export function toDigest(
  files: readonly LocalFile[],
  known: Pick<Known, 'objects' | 'manifest'>,
  options: Pick<PlanOptions, 'prefix' | 'overwrite'>,
): { file: LocalFile; like: string | undefined }[] {
  if (!options.overwrite) return [];
  return files.flatMap((file): { file: LocalFile; like: string | undefined }[] => {
    const object = known.objects.get(toKey(options.prefix, file.path));
    if (object === undefined || object.size !== file.size) return [];
    if (remembered(object, known.manifest)?.content !== undefined) return [{ file, like: undefined }];
    return CONTENT_ETAG.test(object.etag) ? [{ file, like: object.etag }] : [];
  });
}

/** The objects whose headers nobody remembers, though their content is right: they are asked for, once. */
export function toAsk(
  files: readonly LocalFile[],
  known: Pick<Known, 'objects' | 'manifest' | 'digests'>,
  prefix: Prefix,
): RemoteObject[] {
  return files.flatMap((file) => {
    const object = known.objects.get(toKey(prefix, file.path));
    const etag = known.digests.get(file.path)?.etag;
    return object !== undefined && etag === object.etag && remembered(object, known.manifest)?.content === undefined
      ? [object]
      : [];
  });
}

/** The objects below the prefix by key, without the action's own and without the prefix's own folder marker. */
export async function indexObjects(list: AsyncIterable<RemoteObject>, prefix: Prefix): Promise<ObjectIndex> {
  const objects = new Map<string, RemoteObject>();
  const own: RemoteObject[] = [];
  for await (const object of list) {
    const path = object.key.slice(prefix.length);
    if (isOwnPath(path)) own.push(object);
    else if (path !== '') objects.set(object.key, object);
  }
  return { objects, own };
}

export interface ObjectIndex {
  readonly objects: Map<string, RemoteObject>;
  /** The action's own: never a page, a deletion or a count. */
  readonly own: readonly RemoteObject[];
}

/** The entry of an object that is still the one that was put: even the same bytes, put again, may have other headers. */
function remembered(object: RemoteObject, manifest: KnownManifest | undefined): Entry | undefined {
  const entry = manifest?.entries.get(keyHash(object.key));
  const same = entry?.etag === object.etag && object.lastModified <= (manifest?.lastModified ?? 0);
  return same ? entry : undefined;
}

function compare(
  file: LocalFile,
  object: RemoteObject | undefined,
  headers: ObjectHeaders,
  known: Known,
  options: PlanOptions,
): Unchanged | Upload['reason'] {
  if (object === undefined) return 'new';
  if (object.size !== file.size) return 'content';
  const digest = known.digests.get(file.path);
  if (digest === undefined) return 'unverified';
  const { key, etag } = object;
  const { content } = digest;
  const fingerprint = headersFingerprint(headers, options.storage);
  const entry = remembered(object, known.manifest);
  if (entry?.content !== undefined) {
    if (entry.content !== content) return 'content';
    return entry.headers === fingerprint ? { key, etag, content, headers: fingerprint, owned: entry.owned } : 'headers';
  }
  if (digest.etag === undefined) return 'unverified';
  if (digest.etag !== etag) return 'content';
  const there = known.headers.get(key);
  // What cannot be asked for is left as it is, and not remembered as right.
  if (there === undefined) return { key, etag, content, headers: undefined, owned: false };
  // Nor does a HEAD tell of tags, of an ACL or of a key: who asks for them gets them, by a copy in place.
  const asStored = Object.keys(options.storage).length === 0;
  return asStored && sameHeaders(headers, there)
    ? { key, etag, content, headers: fingerprint, owned: false }
    : 'headers';
}

/** What the source does not have, and since when: an object that somebody has put since is not what was stale. */
function staleObjects({ objects, manifest }: Known, wanted: ReadonlySet<string>, { now }: PlanOptions): Stale[] {
  return [...objects.values()]
    .filter(({ key }) => !wanted.has(key))
    .sort((a, b) => compareKeys(a.key, b.key))
    .map((object) => ({ object, since: remembered(object, manifest)?.staleSince ?? now }));
}

function keptBecause(
  { object, since }: Stale,
  manifest: KnownManifest | undefined,
  options: PlanOptions,
): Kept['why'] | undefined {
  if (options.delete === 'off') return 'delete off';
  if (options.deleteExclude(object.key.slice(options.prefix.length))) return 'excluded';
  if (options.delete === 'owned' && !remembered(object, manifest)?.owned) return 'not ours';
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
  stored: readonly { key: string; etag: string; content: string; headers: ObjectHeaders; reason: Upload['reason'] }[],
  before: KnownManifest | undefined,
  by: Manifest['by'],
  options: Pick<PlanOptions, 'storage' | 'delete'>,
): Manifest {
  const entries = new Map<string, Entry>();
  for (const { key, etag, content, headers } of stored) {
    const fingerprint = headersFingerprint(headers, options.storage);
    entries.set(keyHash(key), { etag, content, headers: fingerprint, owned: true, staleSince: undefined });
  }
  for (const { key, etag, content, headers, owned } of plan.unchanged) {
    const name = keyHash(key);
    // What an earlier round put is found unchanged by the next one, unless somebody has written it since.
    const ours = owned || entries.get(name)?.etag === etag;
    if (headers !== undefined) entries.set(name, { etag, content, headers, owned: ours, staleSince: undefined });
    else if (!ours) entries.delete(name);
  }
  for (const { object, since } of plan.stale) {
    const name = keyHash(object.key);
    const entry = remembered(object, before);
    // Of a stranger nothing needs to be known but how long it has been waiting for its deletion.
    if (entry !== undefined) entries.set(name, { ...entry, staleSince: since });
    else if (options.delete === 'all')
      entries.set(name, { etag: object.etag, content: undefined, headers: undefined, owned: false, staleSince: since });
  }
  return { by, entries };
}
