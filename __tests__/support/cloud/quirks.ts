import type { Answer, Call } from './call.ts';
import { ServiceError, s3Error } from './errors.ts';

/** Ways in which S3-compatible stores differ from AWS; each is one that a store has been seen to have. */
export interface Quirks {
  /** Any header of the SDK's checksums is one too many, as at Google. */
  readonly checksumHeaders?: 'refused';
  /** Old MinIO and OVH want the one digest, others have no such operation. */
  readonly batchDelete?: 'wants Content-MD5' | 400 | 405 | 501;
  /** `encoding-type` is not looked at, and control characters go into the XML as they are: DigitalOcean, IONOS. */
  readonly listings?: 'not encoded';
  /** Of PutObject and CompleteMultipartUpload. Ceph ignores it for the latter. */
  readonly ifNoneMatch?: 'ignored' | 'ignored for parts' | 'not implemented';
  /** Of PutObject; Ceph compares it with its quotes. */
  readonly ifMatch?: 'ignored' | 'not implemented' | 'with its quotes';
  /** The answer to CompleteMultipartUpload has an empty ETag, as Ceph's. */
  readonly completion?: 'empty ETag';
  /** Fastly has none. */
  readonly multipart?: 400 | 405 | 501;
  /** Scaleway: 1,000. */
  readonly mostParts?: number;
  /** R2 wants all but the last to be of one size. */
  readonly parts?: 'of equal size';
  /** R2's of uploads in parts are random; other stores have something that is no MD5, or only looks like one. */
  readonly etags?: 'random in parts' | 'random' | 'no MD5';
  /** R2 and Backblaze do not know the header. */
  readonly acls?: 'not implemented';
  readonly tagging?: 'not implemented';
  /** No answer tells where the bucket is. */
  readonly region?: 'not told';
  /** The header is ignored. */
  readonly redirects?: 'not kept';
  /** A body that does not fit its Content-MD5 is stored. */
  readonly contentMd5?: 'ignored';
  /** No object can be copied. */
  readonly copies?: 501;
}

const MULTIPART =
  /^(CreateMultipartUpload|UploadPart|CompleteMultipartUpload|AbortMultipartUpload|ListMultipartUploads)$/;
const CHECKSUM = /^(x-amz-checksum-|x-amz-sdk-checksum-algorithm$|x-amz-trailer$)/;
const WRITES = /^(PutObject|CompleteMultipartUpload)$/;

/** Refuses what a store with the quirks of the bucket does not know. */
export function refuseUnknown({ operation, bucket, headers, query }: Call): void {
  const { quirks } = bucket.options;
  if (quirks === undefined) return;
  const lacks = (header: string) => s3Error('NotImplemented', { Header: header });
  const extra = Object.keys(headers).find((name) => CHECKSUM.test(name));
  if (quirks.checksumHeaders === 'refused' && extra !== undefined)
    throw new ServiceError(400, 'ExcessHeaderValues', 'Cannot have more than one digest value.', { Header: extra });
  if (operation === 'DeleteObjects' && quirks.batchDelete !== undefined) {
    if (typeof quirks.batchDelete === 'number') throw unknownOperation(quirks.batchDelete);
    if (headers['content-md5'] === undefined)
      throw new ServiceError(400, 'MissingContentMD5', 'Missing required header for this request: Content-Md5.');
  }
  if (MULTIPART.test(operation) && quirks.multipart !== undefined) throw unknownOperation(quirks.multipart);
  if (operation === 'CopyObject' && quirks.copies !== undefined) throw unknownOperation(quirks.copies);
  if (WRITES.test(operation)) {
    if (quirks.ifNoneMatch === 'not implemented' && headers['if-none-match'] !== undefined)
      throw lacks('If-None-Match');
    if (quirks.ifMatch === 'not implemented' && headers['if-match'] !== undefined) throw lacks('If-Match');
  }
  if (quirks.acls === 'not implemented' && headers['x-amz-acl'] !== undefined) throw lacks('x-amz-acl');
  if (quirks.tagging === 'not implemented' && (headers['x-amz-tagging'] !== undefined || query.has('tagging')))
    throw lacks('x-amz-tagging');
  const part = Number(query.get('partNumber') ?? 0);
  if (part > (quirks.mostParts ?? Number.POSITIVE_INFINITY))
    throw s3Error(
      'InvalidArgument',
      { ArgumentName: 'partNumber' },
      `Part number must not be above ${quirks.mostParts}`,
    );
}

function unknownOperation(status: 400 | 405 | 501): ServiceError {
  if (status === 400)
    return new ServiceError(
      400,
      'NotImplemented',
      'A parameter you provided implies functionality that is not implemented.',
    );
  return s3Error(status === 405 ? 'MethodNotAllowed' : 'NotImplemented');
}

/** The conditions of a write that a store with the quirks of the bucket looks at. */
export function conditionsSeen({ operation, bucket, headers }: Call): { ifNoneMatch?: string; ifMatch?: string } {
  const { ifNoneMatch, ifMatch } = bucket.options.quirks ?? {};
  const { 'if-none-match': none, 'if-match': match } = headers;
  const ignoresNone =
    ifNoneMatch === 'ignored' || (ifNoneMatch === 'ignored for parts' && operation === 'CompleteMultipartUpload');
  return {
    ...(none !== undefined && !ignoresNone && { ifNoneMatch: none }),
    ...(match !== undefined && ifMatch !== 'ignored' && { ifMatch: match }),
  };
}

/** The answer as a store with the quirks of the bucket gives it. */
export function withQuirks(answer: Answer, { operation, bucket }: Call): Answer {
  const { quirks } = bucket.options;
  if (quirks?.listings === 'not encoded' && operation === 'ListObjectsV2') {
    const raw = (_: string, code: string) => String.fromCharCode(Number.parseInt(code, 16));
    return { ...answer, body: String(answer.body).replace(/&#x([0-9a-f]+);/g, raw) };
  }
  if (quirks?.completion === 'empty ETag' && operation === 'CompleteMultipartUpload')
    return { ...answer, body: String(answer.body).replace(/<ETag>.*<\/ETag>/, '<ETag></ETag>') };
  return answer;
}
