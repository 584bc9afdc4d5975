import { authorize, bucketArn } from './authorization.ts';
import { compareKeys, type Version } from './bucket.ts';
import type { Answer, Call } from './call.ts';
import { s3Error } from './errors.ts';
import { S3_NAMESPACE, xml } from './xml.ts';

/** As S3 encodes keys in listings: form encoding, with slashes kept. */
const urlEncode = (text: string) => new URLSearchParams([['', text]]).toString().slice(1).replaceAll('%2F', '/');

const encodes = ({ query, bucket }: Call) =>
  query.get('encoding-type') === 'url' && bucket.options.quirks?.listings !== 'not encoded';
const encoder = (call: Call) => (encodes(call) ? urlEncode : (text: string) => text);

/** First index whose key is not before `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareKeys(keys[middle]!, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function integer(call: Call, name: string): number {
  const text = call.query.get(name) ?? '1000';
  if (!/^\d{1,10}$/.test(text)) {
    throw s3Error(
      'InvalidArgument',
      { ArgumentName: name, ArgumentValue: text },
      `Provided ${name} not an integer or within integer range`,
    );
  }
  return Math.min(1000, Number(text));
}

/** Opaque to clients, as S3's are. */
const encodeToken = (key: string) => `1${Buffer.from(key).toString('base64')}`;

function decodeToken(token: string): string {
  if (!/^1[A-Za-z0-9+/]+=*$/.test(token)) {
    throw s3Error(
      'InvalidArgument',
      { ArgumentName: 'continuation-token' },
      'The continuation token provided is incorrect',
    );
  }
  return Buffer.from(token.slice(1), 'base64').toString();
}

export function listObjectsV2(call: Call): Answer {
  const { query, bucket } = call;
  if (query.get('list-type') !== '2') throw s3Error('InvalidArgument', { ArgumentName: 'list-type' });
  const [prefix = '', delimiter = ''] = [query.get('prefix'), query.get('delimiter')];
  authorize(call, 's3:ListBucket', bucketArn(bucket.name), listContext(call));
  const max = integer(call, 'max-keys');
  const token = query.get('continuation-token');
  const after = token === undefined ? (query.get('start-after') ?? '') : decodeToken(token);

  const keys = bucket.keys();
  const contents: Version[] = [];
  const prefixes: string[] = [];
  let last = '';
  let isTruncated = false;
  for (let i = lowerBound(keys, compareKeys(after, prefix) > 0 ? after : prefix); i < keys.length; i++) {
    const key = keys[i]!;
    if (!key.startsWith(prefix)) {
      if (compareKeys(key, prefix) > 0) break;
      continue;
    }
    const version = bucket.live(key);
    if (!version || (after && compareKeys(key, after) <= 0)) continue;
    const cut = delimiter ? key.indexOf(delimiter, prefix.length) : -1;
    const common = cut < 0 ? undefined : key.slice(0, cut + delimiter.length);
    if (common !== undefined && common === prefixes.at(-1)) continue;
    if (contents.length + prefixes.length >= max) {
      isTruncated = max > 0;
      break;
    }
    // A common prefix stands for all keys below it: the next page begins after the last of them.
    last = common === undefined ? key : `${common}\u{10ffff}`;
    if (common === undefined) contents.push(version);
    else prefixes.push(common);
  }

  const encode = encoder(call);
  const owner = query.get('fetch-owner') === 'true' ? { ID: call.state.account } : undefined;
  const content = {
    Name: bucket.name,
    Prefix: encode(prefix),
    Delimiter: query.has('delimiter') ? encode(delimiter) : undefined,
    StartAfter: query.has('start-after') ? encode(query.get('start-after')!) : undefined,
    ContinuationToken: token,
    NextContinuationToken: isTruncated ? encodeToken(last) : undefined,
    KeyCount: contents.length + prefixes.length,
    MaxKeys: max,
    EncodingType: encodes(call) ? 'url' : undefined,
    IsTruncated: isTruncated,
    Contents: contents.map((version) => ({ ...entry(version, encode), Owner: owner })),
    CommonPrefixes: prefixes.map((one) => ({ Prefix: encode(one) })),
  };
  return { status: 200, body: xml('ListBucketResult', content, S3_NAMESPACE) };
}

const listContext = ({ query }: Call) => ({
  's3:prefix': query.get('prefix'),
  's3:delimiter': query.get('delimiter'),
  's3:max-keys': query.get('max-keys'),
});

function entry(version: Version, encode: (key: string) => string) {
  const { key, modified, etag, checksum, body, headers } = version;
  return {
    Key: encode(key),
    LastModified: new Date(modified).toISOString(),
    ETag: etag,
    ChecksumAlgorithm: checksum?.algorithm.toUpperCase(),
    ChecksumType: checksum?.type,
    Size: body.length,
    StorageClass: headers['x-amz-storage-class'] ?? 'STANDARD',
  };
}

/** All versions and delete markers below a prefix, in one page: enough for a test's buckets. */
export function listObjectVersions(call: Call): Answer {
  const { query, bucket } = call;
  authorize(call, 's3:ListBucketVersions', bucketArn(bucket.name), listContext(call));
  const prefix = query.get('prefix') ?? '';
  const encode = encoder(call);
  const versions = bucket
    .keys()
    .filter((key) => key.startsWith(prefix))
    .flatMap((key) => bucket.versions(key));
  const describe = (version: Version) => ({
    VersionId: version.id,
    IsLatest: bucket.current(version.key) === version,
  });
  const content = {
    Name: bucket.name,
    Prefix: encode(prefix),
    KeyMarker: '',
    VersionIdMarker: '',
    MaxKeys: versions.length,
    EncodingType: query.get('encoding-type'),
    IsTruncated: false,
    Version: versions.filter((one) => !one.isMarker).map((one) => ({ ...entry(one, encode), ...describe(one) })),
    DeleteMarker: versions
      .filter((one) => one.isMarker)
      .map((one) => ({ Key: encode(one.key), ...describe(one), LastModified: new Date(one.modified).toISOString() })),
  };
  return { status: 200, body: xml('ListVersionsResult', content, S3_NAMESPACE) };
}
