import { DeployError } from '../errors.ts';
import { headersFor, phaseOf } from './headers.ts';
import { compareKeys, isOwnPath, type Prefix, toKey } from './key.ts';
import type {
  CacheControl,
  DeleteLimit,
  Kept,
  LocalFile,
  Phase,
  PhaseName,
  Plan,
  Reason,
  RemoteObject,
  Upload,
} from './model.ts';
import { count } from './text.ts';

export interface PlanOptions {
  readonly prefix: Prefix;
  readonly cacheControl: CacheControl;
  readonly delete: boolean;
  readonly maxDelete: DeleteLimit;
}

/** Deletions up to this number pass every percentage: a small site may change a lot. */
const ALWAYS_PASS = 10;
const PHASES: readonly PhaseName[] = ['assets', 'pages', 'entry pages'];
/** What S3 makes of content: the MD5, or for an upload in parts the MD5 of the parts' MD5s and their number. */
const CONTENT_ETAG = /^[0-9a-f]{32}(-\d{1,5})?$/;

/**
 * What a deploy will do. Content decides, never time: a file is unchanged when the object's ETag is the one that
 * `etags` has for its path (the ETag that S3 would give these bytes); without one there it counts as changed.
 *
 * | object                          | file's ETag | →                   |
 * | ------------------------------- | ----------- | ------------------- |
 * | none                            |             | upload `new`        |
 * | another size                    |             | upload `content`    |
 * | ETag made of content            | equal       | unchanged           |
 * | ETag made of content            | another     | upload `content`    |
 * | ETag is no MD5, or of other parts |           | upload `unverified` |
 * | no file                         |             | deletion, or kept   |
 *
 * @throws DeployError TOO_MANY_DELETIONS when the deletions are over `maxDelete`.
 */
export function planDeploy(
  files: readonly LocalFile[],
  objects: ReadonlyMap<string, RemoteObject>,
  etags: ReadonlyMap<string, string>,
  options: PlanOptions,
): Plan {
  const uploads = new Map<PhaseName, Upload[]>(PHASES.map((name) => [name, []]));
  const wanted = new Set<string>();
  let unchanged = 0;
  for (const file of files) {
    const key = toKey(options.prefix, file.path);
    wanted.add(key);
    const reason = reasonFor(file, objects.get(key), etags.get(file.path));
    if (reason === undefined) unchanged++;
    else
      uploads
        .get(phaseOf(file.path))
        ?.push({ file, key, reason, headers: headersFor(file.path, options.cacheControl) });
  }
  const stale = [...objects.values()].filter(({ key }) => !wanted.has(key)).sort((a, b) => compareKeys(a.key, b.key));
  if (options.delete) checkDeletions(stale.length, objects.size, options.maxDelete);
  return {
    phases: PHASES.map((name): Phase => ({ name, uploads: uploads.get(name) ?? [] })),
    deletions: options.delete ? stale : [],
    kept: options.delete ? [] : stale.map(({ key }): Kept => ({ key, why: 'delete off' })),
    unchanged,
  };
}

/** The files whose ETag decides: those that have an object of the same size. Others need not be read for a plan. */
export function undecided(
  files: readonly LocalFile[],
  objects: ReadonlyMap<string, RemoteObject>,
  prefix: Prefix,
): { file: LocalFile; etag: string }[] {
  return files.flatMap((file) => {
    const object = objects.get(toKey(prefix, file.path));
    return object?.size === file.size && CONTENT_ETAG.test(object.etag) ? [{ file, etag: object.etag }] : [];
  });
}

/** The objects below the prefix by key, without the action's own and without the prefix's own folder marker. */
export async function indexObjects(
  list: AsyncIterable<RemoteObject>,
  prefix: Prefix,
): Promise<Map<string, RemoteObject>> {
  const objects = new Map<string, RemoteObject>();
  for await (const object of list) {
    const path = object.key.slice(prefix.length);
    if (path !== '' && !isOwnPath(path)) objects.set(object.key, object);
  }
  return objects;
}

function reasonFor(file: LocalFile, object: RemoteObject | undefined, etag: string | undefined): Reason | undefined {
  if (object === undefined) return 'new';
  if (object.size !== file.size) return 'content';
  if (etag === undefined) return 'unverified';
  return etag === object.etag ? undefined : 'content';
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
