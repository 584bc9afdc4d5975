import type { Bucket } from './bucket.ts';
import { s3Error } from './errors.ts';
import type { Identities, Principal } from './identities.ts';
import type { Context } from './patterns.ts';

/** What the operations work on. */
export interface CloudState {
  readonly region: string;
  readonly account: string;
  readonly identities: Identities;
  readonly buckets: Map<string, Bucket>;
  /** Bytes that every part but the last must have. */
  minimumPartSize: number;
  /** Milliseconds since the epoch, with the cloud's time offset. */
  now(): number;
}

/** The bucket and key of a request, and the region whose endpoint it went to. */
export interface Address {
  bucket: string | undefined;
  key: string;
  region: string;
}

export interface Answer {
  status: number;
  headers?: Record<string, string | undefined>;
  body?: string | Buffer;
}

/** A request whose sender is known, on its way to an operation. */
export interface Call {
  state: CloudState;
  operation: string;
  bucket: Bucket;
  key: string;
  query: Map<string, string>;
  /** Lower-case names; trailers included. */
  headers: Record<string, string>;
  body: Buffer;
  principal: Principal;
  /** Condition keys that any action of this request is asked with. */
  context: Context;
}

/** Percent-decodes to text; what is not UTF-8 is no key that S3 takes. */
export function decodeUri(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw s3Error('InvalidURI', { URI: text });
  }
}

export function parseQuery(query: string): Map<string, string> {
  const pairs = query.split('&').filter(Boolean);
  return new Map(
    pairs.map((pair) => {
      const [name = '', ...value] = pair.split('=');
      return [decodeUri(name), decodeUri(value.join('=').replaceAll('+', ' '))];
    }),
  );
}

const AWS_HOST = /^(?:(.+)\.)?s3(?:\.dualstack)?(?:[.-]([a-z]{2}(?:-[a-z]+)+-\d))?\.amazonaws\.com$/;

/**
 * Bucket and key of a request: the bucket stands in the host (`bucket.s3.eu-central-1.amazonaws.com`) or first in the
 * path. The rest of the path is the key as it is: `..` and `//` are characters like any other.
 */
export function parseAddress(host: string, path: string, region: string): Address {
  const [, hostBucket, hostRegion] = AWS_HOST.exec(host.replace(/:\d+$/, '')) ?? [];
  const addressed = hostRegion ?? (host.endsWith('.amazonaws.com') ? 'us-east-1' : region);
  if (hostBucket) return { bucket: hostBucket, key: decodeUri(path.slice(1)), region: addressed };
  const slash = path.indexOf('/', 1);
  const bucket = decodeUri(slash < 0 ? path.slice(1) : path.slice(1, slash));
  return { bucket: bucket || undefined, key: slash < 0 ? '' : decodeUri(path.slice(slash + 1)), region: addressed };
}

/** Operations by method and by the query parameter that picks them; the first that fits. */
const BUCKET_OPERATIONS: [method: string, parameter: string | undefined, operation: string][] = [
  ['HEAD', undefined, 'HeadBucket'],
  ['GET', 'location', 'GetBucketLocation'],
  ['GET', 'versioning', 'GetBucketVersioning'],
  ['GET', 'object-lock', 'GetObjectLockConfiguration'],
  ['GET', 'encryption', 'GetBucketEncryption'],
  ['GET', 'notification', 'GetBucketNotificationConfiguration'],
  ['GET', 'uploads', 'ListMultipartUploads'],
  ['GET', 'versions', 'ListObjectVersions'],
  ['GET', 'list-type', 'ListObjectsV2'],
  ['POST', 'delete', 'DeleteObjects'],
];

const OBJECT_OPERATIONS: typeof BUCKET_OPERATIONS = [
  ['PUT', 'partNumber', 'UploadPart'],
  ['PUT', 'tagging', 'PutObjectTagging'],
  ['PUT', undefined, 'PutObject'],
  ['GET', 'uploadId', 'ListParts'],
  ['GET', 'tagging', 'GetObjectTagging'],
  ['GET', undefined, 'GetObject'],
  ['HEAD', undefined, 'HeadObject'],
  ['DELETE', 'uploadId', 'AbortMultipartUpload'],
  ['DELETE', undefined, 'DeleteObject'],
  ['POST', 'uploads', 'CreateMultipartUpload'],
  ['POST', 'uploadId', 'CompleteMultipartUpload'],
];

/** Subresources of S3 that this cloud does not play; to take them for plain reads and writes would be a lie. */
const NOT_PLAYED = [
  'acl',
  'attributes',
  'cors',
  'legal-hold',
  'lifecycle',
  'policy',
  'renameObject',
  'restore',
  'retention',
  'select',
  'torrent',
  'website',
];

/** The name of the operation as the SDK has it, or `Unknown`. */
export function nameOperation(
  method: string,
  { bucket, key }: Address,
  query: Map<string, string>,
  headers: Record<string, string>,
): string {
  if (!bucket) return method === 'GET' ? 'ListBuckets' : 'Unknown';
  if (NOT_PLAYED.some((name) => query.has(name))) return 'Unknown';
  const operations = key ? OBJECT_OPERATIONS : BUCKET_OPERATIONS;
  const name = operations.find(([m, parameter]) => m === method && (!parameter || query.has(parameter)))?.[2];
  if (headers['x-amz-copy-source'] !== undefined) return name === 'PutObject' ? 'CopyObject' : 'Unknown';
  return name ?? 'Unknown';
}
