import { authorize, bucketArn } from './authorization.ts';
import type { Answer, Call } from './call.ts';
import { CHECKSUM_TAGS, findUpload, senderArn } from './multipart.ts';
import { S3_NAMESPACE, xml } from './xml.ts';

export function listParts(call: Call): Answer {
  const upload = call.bucket.uploads.get(call.query.get('uploadId') ?? '');
  if (upload?.initiator !== senderArn(call)) authorize(call, 's3:ListMultipartUploadParts');
  const { id, parts } = findUpload(call);
  const marker = Number(call.query.get('part-number-marker') ?? 0);
  const max = Math.min(1000, Number(call.query.get('max-parts') ?? 1000));
  const after = [...parts.values()].filter((part) => part.number > marker).sort((a, b) => a.number - b.number);
  const page = after.slice(0, max);
  const content = {
    Bucket: call.bucket.name,
    Key: call.key,
    UploadId: id,
    PartNumberMarker: marker,
    NextPartNumberMarker: page.at(-1)?.number ?? 0,
    MaxParts: max,
    IsTruncated: after.length > page.length,
    Part: page.map(({ number, etag, modified, body, checksum }) => ({
      PartNumber: number,
      LastModified: new Date(modified).toISOString(),
      ETag: etag,
      Size: body.length,
      ...(checksum && { [CHECKSUM_TAGS[checksum.algorithm]]: checksum.value }),
    })),
  };
  return { status: 200, body: xml('ListPartsResult', content, S3_NAMESPACE) };
}

export function listMultipartUploads(call: Call): Answer {
  authorize(call, 's3:ListBucketMultipartUploads', bucketArn(call.bucket.name));
  const prefix = call.query.get('prefix') ?? '';
  const encode = call.query.get('encoding-type') === 'url' ? encodeURIComponent : (key: string) => key;
  const uploads = [...call.bucket.uploads.values()].filter((upload) => upload.key.startsWith(prefix));
  const content = {
    Bucket: call.bucket.name,
    KeyMarker: '',
    UploadIdMarker: '',
    Prefix: encode(prefix),
    MaxUploads: 1000,
    IsTruncated: false,
    Upload: uploads.map(({ id, key, begun }) => ({
      Key: encode(key),
      UploadId: id,
      StorageClass: 'STANDARD',
      Initiated: new Date(begun).toISOString(),
    })),
  };
  return { status: 200, body: xml('ListMultipartUploadsResult', content, S3_NAMESPACE) };
}
