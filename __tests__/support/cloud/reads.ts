import { authorize, authorizeKms, missing } from './authorization.ts';
import type { Version } from './bucket.ts';
import type { Answer, Call } from './call.ts';
import { s3Error } from './errors.ts';

/** The version that a GET or HEAD means. Throws NoSuchKey, NoSuchVersion, or 405 for a delete marker asked by name. */
export function findVersion(call: Call): Version {
  const id = call.query.get('versionId');
  if (id === undefined) {
    const current = call.bucket.current(call.key);
    if (!current) missing(call, 'NoSuchKey');
    if (!current.isMarker) return current;
    authorize(call, 's3:ListBucket', `arn:aws:s3:::${call.bucket.name}`);
    const marker = { 'x-amz-delete-marker': 'true', 'x-amz-version-id': current.id };
    throw s3Error('NoSuchKey', { Key: call.key }, undefined, marker);
  }
  const version = call.bucket.version(call.key, id);
  if (!version) missing(call, 'NoSuchVersion', { VersionId: id });
  if (version.isMarker) {
    throw s3Error('MethodNotAllowed', { Method: 'GET', ResourceType: 'DeleteMarker' }, undefined, {
      'x-amz-delete-marker': 'true',
    });
  }
  return version;
}

/** The headers of a GET of a whole object. */
export function objectHeaders(version: Version, isVersioned: boolean): Record<string, string> {
  return {
    ...version.headers,
    etag: version.etag,
    'last-modified': new Date(version.modified).toUTCString(),
    'accept-ranges': 'bytes',
    'content-length': String(version.body.length),
    ...(version.tags.length > 0 && { 'x-amz-tagging-count': String(version.tags.length) }),
    ...(isVersioned && { 'x-amz-version-id': version.id }),
  };
}

const matches = (header: string, etag: string) =>
  header === '*' || header.split(',').some((one) => one.trim().replace(/^W\/|"/g, '') === etag.replaceAll('"', ''));

/** 304 or 412 when the conditions of a read say so (RFC 9110, 13.2.2). */
function checkReadConditions({ headers }: Call, { etag, modified }: Version): Answer | undefined {
  const failed = (condition: string) => s3Error('PreconditionFailed', { Condition: condition });
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers;
  const unmodifiedSince = Date.parse(headers['if-unmodified-since'] ?? '');
  const modifiedSince = Date.parse(headers['if-modified-since'] ?? '');
  if (ifMatch !== undefined && !matches(ifMatch, etag)) throw failed('If-Match');
  if (ifMatch === undefined && modified > unmodifiedSince) throw failed('If-Unmodified-Since');
  const unchanged = ifNoneMatch === undefined ? modified <= modifiedSince : matches(ifNoneMatch, etag);
  if (!unchanged) return undefined;
  return { status: 304, headers: { etag, 'last-modified': new Date(modified).toUTCString() } };
}

/** First and last byte that a Range header wants; undefined for the whole. */
function parseRange(header: string | undefined, size: number): [number, number] | undefined {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? [];
  if (first === undefined || (first === '' && last === '')) return undefined;
  const from = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const to = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (first !== '' && last !== '' && Number(last) < from) return undefined;
  if (from >= size || (first === '' && Number(last) === 0)) {
    throw s3Error('InvalidRange', { RangeRequested: header ?? '', ActualObjectSize: String(size) });
  }
  return [from, to];
}

/** GetObject and HeadObject. */
export function readObject(call: Call): Answer {
  authorize(call, call.query.has('versionId') ? 's3:GetObjectVersion' : 's3:GetObject');
  const version = findVersion(call);
  const answer = checkReadConditions(call, version);
  if (answer) return answer;
  const range = parseRange(call.headers.range, version.body.length);
  const wantsChecksum = call.headers['x-amz-checksum-mode'] === 'ENABLED';
  // A HEAD touches no content, so it needs the key only for the checksum, which is encrypted with it.
  if (call.operation === 'GetObject' || wantsChecksum) authorizeKms(call, 'kms:Decrypt', version.kmsKey);

  const headers = objectHeaders(version, call.bucket.isVersioned);
  if (version.lockedUntil !== undefined) {
    headers['x-amz-object-lock-mode'] = call.bucket.options.objectLock?.mode ?? 'GOVERNANCE';
    headers['x-amz-object-lock-retain-until-date'] = new Date(version.lockedUntil).toISOString();
  }
  if (wantsChecksum && version.checksum && !range) {
    headers[`x-amz-checksum-${version.checksum.algorithm}`] = version.checksum.value;
    headers['x-amz-checksum-type'] = version.checksum.type;
  }
  if (!range) return { status: 200, headers, body: version.body };
  const body = version.body.subarray(range[0], range[1] + 1);
  headers['content-length'] = String(body.length);
  headers['content-range'] = `bytes ${range[0]}-${range[1]}/${version.body.length}`;
  return { status: 206, headers, body };
}
