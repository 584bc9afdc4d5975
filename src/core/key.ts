import { DeployError } from '../errors.ts';
import { plain } from './text.ts';

/** The part of every key that comes before a file's path: empty for the whole bucket, else it ends in exactly one `/`. */
export type Prefix = '' | `${string}/`;

/** Where a deploy goes. */
export interface Destination {
  readonly bucket: string;
  readonly prefix: Prefix;
}

/** The first path segment of what the action itself keeps below the prefix: never a page, a deletion or a count. */
const OWN_SEGMENT = '.s3-deploy';

/** S3's limit for a key, in bytes of UTF-8. https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html */
const KEY_BYTES = 1024;

/** Bucket names of AWS; https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html */
const AWS_BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
/** What S3-compatible stores take besides: upper case, underscores, and a tenant before a colon (Ceph); an ARN is none. */
const STORE_BUCKET = /^(?!arn:)\w[\w.:-]{1,253}\w$/;

/**
 * Reads the inputs `bucket` (`name`, `name/path` or `s3://name/path`) and `prefix`.
 * @param compatible true when an `endpoint` is given, whose store may allow names that AWS does not.
 * @throws DeployError INPUT_INVALID for a name or path that no bucket can have, and for a path and prefix that disagree.
 */
export function parseDestination(bucketInput: string, prefixInput: string, compatible: boolean): Destination {
  const [bucket = '', ...rest] = bucketInput.replace(/^s3:\/\//, '').split('/');
  const allowed = compatible ? STORE_BUCKET : AWS_BUCKET;
  if (!allowed.test(bucket) || bucket.includes('..')) {
    throw new DeployError('INPUT_INVALID', `bucket: '${plain(bucket)}' is not a bucket name.`, {
      hint: 'Give the name alone (my-site), with a path (my-site/docs) or as s3://my-site/docs; not an ARN or a URL.',
    });
  }
  const path = parsePrefix('bucket', rest.join('/'));
  const prefix = parsePrefix('prefix', prefixInput);
  if (path !== '' && prefix !== '' && path !== prefix) {
    throw new DeployError('INPUT_INVALID', `bucket carries the path '${path}', but prefix says '${prefix}'.`, {
      hint: 'Give the path once: in bucket or in prefix.',
    });
  }
  return { bucket, prefix: prefix === '' ? path : prefix };
}

function parsePrefix(input: string, value: string): Prefix {
  if (value === '') return '';
  const name = value.endsWith('/') ? value.slice(0, -1) : value;
  const refuse = (why: string): never => {
    throw new DeployError('INPUT_INVALID', `${input}: the path '${plain(value)}' ${why}.`, {
      hint: "A path is like 'docs' or 'sites/docs'; leave it out for the root of the bucket.",
    });
  };
  if (name === '' || name.startsWith('/')) refuse('begins with a slash');
  if (!name.isWellFormed() || /[\u0000-\u001f\u007f-\u009f]/.test(name)) refuse('holds a control character');
  const segments = name.split('/');
  if (segments.includes('')) refuse('holds an empty segment (//)');
  if (segments.includes('..') || segments.includes('.')) refuse("holds a segment '.' or '..'");
  if (segments.some((segment) => segment.startsWith(OWN_SEGMENT))) refuse(`holds '${OWN_SEGMENT}', which is ours`);
  if (Buffer.byteLength(name) > KEY_BYTES - 64) refuse('is too long for keys below it');
  return `${name}/`;
}

/** Whether a path below the prefix belongs to the action itself (`.s3-deploy…`). */
export function isOwnPath(path: string): boolean {
  return path.startsWith(OWN_SEGMENT);
}

/** Whether a key below the prefix does. */
export function isOwnKey(prefix: Prefix, key: string): boolean {
  return key.startsWith(OWN_SEGMENT, prefix.length);
}

/** The folder of the objects that a probe puts below the prefix, and removes again. */
export function probeFolder(prefix: Prefix): Prefix {
  return `${prefix}${OWN_SEGMENT}-probe/`;
}

/** The key of the manifest below a prefix. */
export function manifestKey(prefix: Prefix): string {
  return `${prefix}${OWN_SEGMENT}/manifest`;
}

/** The folder of the notes in which shards tell what they have put. */
export function shardFolder(prefix: Prefix): Prefix {
  return `${prefix}${OWN_SEGMENT}/shards/`;
}

/** The key of the object that shows whether the store refuses to write over what is there. */
export function appendKey(prefix: Prefix): string {
  return `${prefix}${OWN_SEGMENT}/append-only`;
}

/** The key of a file: its path, `/`-separated and relative to the source, below the prefix. */
export function toKey(prefix: Prefix, path: string): string {
  return `${prefix}${path}`;
}

/**
 * Why S3 cannot hold a key, or undefined when it can. HTTP clients and servers resolve `.` and `..` segments away, so
 * that such a key would land elsewhere; no file system yields them as names.
 */
export function keyProblem(key: string): string | undefined {
  if (!key.isWellFormed()) return 'its name is not valid Unicode';
  if (Buffer.byteLength(key) > KEY_BYTES) return `its key has ${Buffer.byteLength(key)} bytes, S3 takes ${KEY_BYTES}`;
  if (key === 'soap') return "S3 refuses the key 'soap'";
  return undefined;
}

/** UTF-16 puts characters beyond its 65,536 before some that UTF-8 puts them behind. */
const ORDERED_OTHERWISE = /[\ud800-\uffff]/;

/** Orders keys as S3 does: by UTF-8 bytes. */
export function compareKeys(a: string, b: string): number {
  if (ORDERED_OTHERWISE.test(a) && ORDERED_OTHERWISE.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The index of the first of some keys, in their order, that comes after another one. */
export function firstAfter(keys: readonly string[], after: string): number {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(keys[middle] as string, after) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Whether every key comes before or after this one in UTF-16 as it does in UTF-8. */
export function ordersAlike(key: string): boolean {
  return !ORDERED_OTHERWISE.test(key);
}
