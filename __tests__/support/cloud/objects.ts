import { randomBytes } from 'node:crypto';
import { authorize, authorizeKms, kmsKeyArn, missing } from './authorization.ts';
import type { Version } from './bucket.ts';
import type { Answer, Call } from './call.ts';
import { type Checksum, checkChecksum, checkContentMd5, digest, md5 } from './checksums.ts';
import { s3Error } from './errors.ts';
import { conditionsSeen, type Quirks } from './quirks.ts';

/** What a PUT may say that a GET repeats, x-amz-meta-* aside. */
const STORED = [
  'cache-control',
  'content-disposition',
  'content-language',
  'content-type',
  'expires',
  'x-amz-website-redirect-location',
];

const STORAGE_CLASSES =
  /^(STANDARD|STANDARD_IA|ONEZONE_IA|INTELLIGENT_TIERING|REDUCED_REDUNDANCY|GLACIER|GLACIER_IR|DEEP_ARCHIVE|EXPRESS_ONEZONE)$/;

const isDropped = (name: string, quirks: Quirks | undefined) =>
  name === 'x-amz-website-redirect-location' && quirks?.redirects === 'not kept';

/** The time of a write; S3 keeps whole seconds. */
export const writeTime = (call: Call) => Math.floor(call.state.now() / 1000) * 1000;

/** What the request wants an object to be, its right to want it checked. For PutObject, CopyObject and multipart starts. */
export function describeObject(call: Call): Pick<Version, 'headers' | 'tags' | 'kmsKey'> {
  const { headers: sent, bucket } = call;
  if (Buffer.byteLength(call.key) > 1024) {
    throw s3Error('KeyTooLongError', { Size: String(Buffer.byteLength(call.key)), MaxSizeAllowed: '1024' });
  }
  if (call.key === 'soap') throw s3Error('InvalidArgument', { ArgumentName: 'key' }, 'The key soap is reserved.');
  authorize(call, 's3:PutObject');
  const tags = parseTags(sent['x-amz-tagging']);
  if (sent['x-amz-tagging'] !== undefined) authorize(call, 's3:PutObjectTagging');
  checkAcl(call);

  const headers: Record<string, string> = { 'content-type': 'binary/octet-stream' };
  let metadataSize = 0;
  for (const [name, value] of Object.entries(sent)) {
    if (STORED.includes(name) && value !== '' && !isDropped(name, bucket.options.quirks)) headers[name] = value;
    if (name.startsWith('x-amz-meta-')) {
      headers[name] = value;
      metadataSize += name.length - 'x-amz-meta-'.length + value.length;
    }
  }
  if (metadataSize > 2048) throw s3Error('MetadataTooLarge', { Size: String(metadataSize), MaxSizeAllowed: '2048' });
  // The framing of the transfer is no property of the object.
  const encodings = (sent['content-encoding'] ?? '').split(',').map((one) => one.trim());
  const encoding = encodings.filter((one) => one && one !== 'aws-chunked').join(',');
  if (encoding) headers['content-encoding'] = encoding;

  const storageClass = sent['x-amz-storage-class'] ?? 'STANDARD';
  if (!STORAGE_CLASSES.test(storageClass)) throw s3Error('InvalidStorageClass');
  if (storageClass !== 'STANDARD') headers['x-amz-storage-class'] = storageClass;

  const { algorithm, key } = encryption(sent, bucket.options.kmsKey);
  headers['x-amz-server-side-encryption'] = algorithm;
  if (algorithm === 'AES256') return { headers, tags };
  const kmsKey = kmsKeyArn(call, key);
  authorizeKms(call, 'kms:GenerateDataKey', kmsKey);
  headers['x-amz-server-side-encryption-aws-kms-key-id'] = kmsKey;
  return { headers, tags, kmsKey };
}

function encryption(sent: Record<string, string>, bucketKey: string | undefined): { algorithm: string; key: string } {
  const algorithm = sent['x-amz-server-side-encryption'];
  const key = sent['x-amz-server-side-encryption-aws-kms-key-id'];
  if (algorithm !== undefined && !['AES256', 'aws:kms', 'aws:kms:dsse'].includes(algorithm)) {
    throw s3Error(
      'InvalidArgument',
      { ArgumentName: 'x-amz-server-side-encryption', ArgumentValue: algorithm },
      'The encryption method specified is not supported',
    );
  }
  if (key !== undefined && !algorithm?.startsWith('aws:kms')) {
    throw s3Error(
      'InvalidArgument',
      { ArgumentName: 'x-amz-server-side-encryption' },
      'Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms',
    );
  }
  if (algorithm === undefined) return { algorithm: bucketKey ? 'aws:kms' : 'AES256', key: bucketKey ?? '' };
  return { algorithm, key: key ?? bucketKey ?? 'alias/aws/s3' };
}

function checkAcl(call: Call): void {
  const acl = call.headers['x-amz-acl'];
  const grants = Object.keys(call.headers).some((name) => name.startsWith('x-amz-grant-'));
  if (acl === undefined && !grants) return;
  authorize(call, 's3:PutObjectAcl');
  if (!call.bucket.options.acls && (grants || acl !== 'bucket-owner-full-control')) {
    throw s3Error('AccessControlListNotSupported');
  }
}

/** `a=1&b=2`, URL-encoded. */
export function parseTags(header: string | undefined): [string, string][] {
  const tags = [...new URLSearchParams(header ?? '')] as [string, string][];
  const invalid = tags.some(([name, value]) => !name || name.length > 128 || value.length > 256);
  if (invalid || new Set(tags.map(([name]) => name)).size < tags.length) {
    throw s3Error(
      'InvalidArgument',
      { ArgumentName: 'x-amz-tagging' },
      "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
    );
  }
  if (tags.length > 10) throw s3Error('InvalidTag', {}, 'Object tags cannot be greater than 10');
  return tags;
}

/** As Ceph compares: what is kept has no quotes, what is sent may have some. */
const isItself = (given: string, etag: string) => given === etag.replaceAll('"', '');
const sameEtag = (given: string, etag: string) => given.replace(/^"|"$/g, '') === etag.replace(/^"|"$/g, '');

/**
 * The conditions of a write. `If-None-Match: *` wants nothing there; `If-Match` wants this ETag there and, as it tells
 * what is there, s3:GetObject. A missing key is then a 404.
 */
export function checkWriteConditions(call: Call): void {
  const { ifNoneMatch, ifMatch } = conditionsSeen(call);
  const existing = call.bucket.live(call.key);
  if (ifNoneMatch !== undefined) {
    if (ifNoneMatch !== '*') throw s3Error('NotImplemented', { Header: 'If-None-Match' });
    if (existing) throw s3Error('PreconditionFailed', { Condition: 'If-None-Match' });
  }
  if (ifMatch === undefined) return;
  if (ifMatch !== '*') authorize(call, 's3:GetObject');
  if (!existing) missing(call, 'NoSuchKey');
  const same = call.bucket.options.quirks?.ifMatch === 'with its quotes' ? isItself : sameEtag;
  if (ifMatch !== '*' && !same(ifMatch, existing.etag)) {
    throw s3Error('PreconditionFailed', { Condition: 'If-Match' });
  }
}

/** The MD5 in quotes, or, for what KMS encrypts, something that only looks like one; other stores have other things. */
export function makeEtag({ bucket }: Call, body: Buffer, kmsKey: string | undefined): string {
  const { etags } = bucket.options.quirks ?? {};
  if (etags === 'no MD5') return `"${randomBytes(8).toString('base64url')}"`;
  return `"${kmsKey || etags === 'random' ? randomBytes(16).toString('hex') : md5(body).toString('hex')}"`;
}

/** Headers that answer every write. */
export function writeHeaders(call: Call, version: Version): Record<string, string | undefined> {
  const { algorithm, value, type } = version.checksum ?? {};
  return {
    etag: version.etag,
    'x-amz-server-side-encryption': version.headers['x-amz-server-side-encryption'],
    'x-amz-server-side-encryption-aws-kms-key-id': version.kmsKey,
    ...(algorithm && { [`x-amz-checksum-${algorithm}`]: value, 'x-amz-checksum-type': type }),
    'x-amz-version-id': call.bucket.isVersioned ? version.id : undefined,
  };
}

/** Stores what a write made, under the bucket's retention. */
export function store(call: Call, object: Omit<Version, 'id' | 'key' | 'modified' | 'isMarker'>): Version {
  const modified = writeTime(call);
  const lock = call.bucket.options.objectLock;
  const lockedUntil = lock && modified + lock.days * 86_400_000;
  return call.bucket.put({ ...object, key: call.key, modified, lockedUntil, isMarker: false });
}

export function putObject(call: Call): Answer {
  const { headers, body } = call;
  const object = describeObject(call);
  checkContentMd5(call);
  let checksum: Checksum | undefined = checkChecksum(headers, body);
  if (call.bucket.options.objectLock && !checksum && headers['content-md5'] === undefined) {
    const message =
      'Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters';
    throw s3Error('InvalidRequest', {}, message);
  }
  // Since December 2024 S3 computes one when the client sends none.
  checksum ??= { algorithm: 'crc64nvme', value: digest('crc64nvme', body).toString('base64'), type: 'FULL_OBJECT' };
  checkWriteConditions(call);
  const version = store(call, { ...object, body, etag: makeEtag(call, body, object.kmsKey), checksum });
  return { status: 200, headers: writeHeaders(call, version) };
}
