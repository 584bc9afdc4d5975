import { authorize, authorizeKms, objectArn } from './authorization.ts';
import { type Answer, type Call, decodeUri, parseQuery } from './call.ts';
import { digest } from './checksums.ts';
import { s3Error } from './errors.ts';
import { checkWriteConditions, describeObject, makeEtag, parseTags, store, writeHeaders } from './objects.ts';
import { findVersion } from './reads.ts';
import { children, childText, parseXml, S3_NAMESPACE, xml } from './xml.ts';

/** The call as if it read the source of a copy. `x-amz-copy-source` is `/bucket/key?versionId=id`, URL-encoded. */
function sourceCall(call: Call): Call {
  const [path = '', query = ''] = (call.headers['x-amz-copy-source'] ?? '').replace(/^\//, '').split('?');
  const slash = path.indexOf('/');
  const bucket = call.state.buckets.get(decodeUri(path.slice(0, slash)));
  if (slash < 1)
    throw s3Error('InvalidArgument', { ArgumentName: 'x-amz-copy-source' }, 'Invalid copy source object key');
  if (!bucket) throw s3Error('NoSuchBucket', { BucketName: decodeUri(path.slice(0, slash)) });
  return { ...call, operation: 'GetObject', bucket, key: decodeUri(path.slice(slash + 1)), query: parseQuery(query) };
}

export function copyObject(call: Call): Answer {
  const from = sourceCall(call);
  authorize(from, from.query.has('versionId') ? 's3:GetObjectVersion' : 's3:GetObject');
  const source = findVersion(from);
  authorizeKms(from, 'kms:Decrypt', source.kmsKey);

  const wanted = describeObject(call);
  const replaces = call.headers['x-amz-metadata-directive'] === 'REPLACE';
  const asks = ['x-amz-storage-class', 'x-amz-website-redirect-location', 'x-amz-server-side-encryption'];
  const isItself = from.bucket === call.bucket && from.key === call.key && !from.query.has('versionId');
  if (isItself && !replaces && !asks.some((name) => call.headers[name] !== undefined)) {
    const message =
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.";
    throw s3Error('InvalidRequest', {}, message);
  }
  const condition = call.headers['x-amz-copy-source-if-match'];
  if (condition !== undefined && condition.replaceAll('"', '') !== source.etag.replaceAll('"', '')) {
    throw s3Error('PreconditionFailed', { Condition: 'x-amz-copy-source-If-Match' });
  }
  checkWriteConditions(call);

  let { headers, tags } = wanted;
  if (!replaces) {
    const own = Object.entries(headers).filter(
      ([name]) => name.startsWith('x-amz-') && !name.startsWith('x-amz-meta-'),
    );
    // Storage class, redirect and encryption are the copy's own affair, never the source's.
    const inherited = Object.entries(source.headers).filter(
      ([n]) => !n.startsWith('x-amz-') || n.startsWith('x-amz-meta-'),
    );
    headers = Object.fromEntries([...inherited, ...own]);
  }
  if (call.headers['x-amz-tagging-directive'] !== 'REPLACE') {
    tags = source.tags;
    if (tags.length > 0) {
      authorize(from, 's3:GetObjectTagging');
      authorize(call, 's3:PutObjectTagging');
    }
  }
  const { body } = source;
  const algorithm = source.checksum?.algorithm ?? 'crc64nvme';
  const checksum = { algorithm, value: digest(algorithm, body).toString('base64'), type: 'FULL_OBJECT' } as const;
  const version = store(call, {
    headers,
    tags,
    kmsKey: wanted.kmsKey,
    body,
    etag: makeEtag(call, body, wanted.kmsKey),
    checksum,
  });
  const { etag, ...answered } = writeHeaders(call, version);
  if (from.bucket.isVersioned) answered['x-amz-copy-source-version-id'] = source.id;
  const content = { LastModified: new Date(version.modified).toISOString(), ETag: version.etag };
  return { status: 200, headers: answered, body: xml('CopyObjectResult', content, S3_NAMESPACE) };
}

export function getObjectTagging(call: Call): Answer {
  authorize(call, 's3:GetObjectTagging');
  const Tag = findVersion(call).tags.map(([Key, Value]) => ({ Key, Value }));
  return { status: 200, body: xml('Tagging', { TagSet: { Tag } }, S3_NAMESPACE) };
}

export function putObjectTagging(call: Call): Answer {
  authorize(call, 's3:PutObjectTagging', objectArn(call.bucket.name, call.key));
  const document = parseXml(call.body.toString(), 'Tagging');
  const [set] = document ? children(document, 'TagSet') : [];
  if (!set) throw s3Error('MalformedXML');
  const pairs = children(set, 'Tag').map((tag): [string, string] => [
    childText(tag, 'Key') ?? '',
    childText(tag, 'Value') ?? '',
  ]);
  findVersion(call).tags = parseTags(new URLSearchParams(pairs).toString());
  return { status: 200 };
}
