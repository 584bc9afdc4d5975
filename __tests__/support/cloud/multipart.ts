import { randomBytes } from 'node:crypto';
import { authorize, authorizeKms } from './authorization.ts';
import { newId, type Part, type Upload } from './bucket.ts';
import type { Answer, Call } from './call.ts';
import { CHECKSUM_ALGORITHMS, type Checksum, checkChecksum, checkContentMd5, digest, md5 } from './checksums.ts';
import { s3Error } from './errors.ts';
import { checkWriteConditions, describeObject, makeEtag, store, writeHeaders, writeTime } from './objects.ts';
import { children, childText, parseXml, S3_NAMESPACE, type XmlElement, xml } from './xml.ts';

export const senderArn = ({ principal }: Call) => (principal.kind === 'anonymous' ? 'anonymous' : principal.arn);

export function findUpload(call: Call): Upload {
  const id = call.query.get('uploadId') ?? '';
  const upload = call.bucket.uploads.get(id);
  if (!upload || upload.key !== call.key) throw s3Error('NoSuchUpload', { UploadId: id });
  return upload;
}

export function createMultipartUpload(call: Call): Answer {
  const object = describeObject(call);
  const asked = call.headers['x-amz-checksum-algorithm']?.toLowerCase();
  const algorithm = CHECKSUM_ALGORITHMS.find((one) => one === asked);
  if (asked !== undefined && !algorithm) {
    throw s3Error(
      'InvalidRequest',
      {},
      'Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]',
    );
  }
  const type =
    (call.headers['x-amz-checksum-type'] as Checksum['type'] | undefined) ??
    (algorithm === 'crc64nvme' ? 'FULL_OBJECT' : 'COMPOSITE');
  const upload: Upload = {
    id: newId(),
    key: call.key,
    initiator: senderArn(call),
    begun: writeTime(call),
    checksum: algorithm && { algorithm, type },
    parts: new Map(),
    object,
  };
  call.bucket.uploads.set(upload.id, upload);
  const headers = {
    'x-amz-server-side-encryption': object.headers['x-amz-server-side-encryption'],
    'x-amz-server-side-encryption-aws-kms-key-id': object.kmsKey,
    'x-amz-checksum-algorithm': algorithm?.toUpperCase(),
    'x-amz-checksum-type': algorithm && type,
  };
  const content = { Bucket: call.bucket.name, Key: call.key, UploadId: upload.id };
  return { status: 200, headers, body: xml('InitiateMultipartUploadResult', content, S3_NAMESPACE) };
}

export function uploadPart(call: Call): Answer {
  const number = Number(call.query.get('partNumber'));
  if (!Number.isInteger(number) || number < 1 || number > 10_000) {
    throw s3Error(
      'InvalidArgument',
      { ArgumentName: 'partNumber' },
      'Part number must be an integer between 1 and 10000, inclusive',
    );
  }
  authorize(call, 's3:PutObject');
  const upload = findUpload(call);
  // S3 decrypts the key of the upload to encrypt a part with it.
  authorizeKms(call, 'kms:Decrypt', upload.object.kmsKey);
  authorizeKms(call, 'kms:GenerateDataKey', upload.object.kmsKey);
  checkContentMd5(call);
  const checksum = checkChecksum(call.headers, call.body);
  checkAlgorithm(upload, checksum);
  const etag = makeEtag(call, call.body, upload.object.kmsKey);
  upload.parts.set(number, { number, body: call.body, etag, modified: writeTime(call), checksum });
  const headers = {
    etag,
    'x-amz-server-side-encryption': upload.object.headers['x-amz-server-side-encryption'],
    'x-amz-server-side-encryption-aws-kms-key-id': upload.object.kmsKey,
    ...(checksum && { [`x-amz-checksum-${checksum.algorithm}`]: checksum.value }),
  };
  return { status: 200, headers };
}

/**
 * A part has the kind of checksum that its upload was begun with: it must where the parts' checksums make the whole,
 * and may elsewhere. S3 was seen to refuse any checksum in an upload that was begun without, and so do we.
 */
function checkAlgorithm({ checksum: wanted }: Upload, given: Checksum | undefined): void {
  if (given ? given.algorithm === wanted?.algorithm : wanted?.type !== 'COMPOSITE') return;
  const [expected, actual] = [wanted?.algorithm ?? 'null', given?.algorithm ?? 'null'];
  const message = `Checksum Type mismatch occurred, expected checksum Type: ${expected}, actual checksum Type: ${actual}`;
  throw s3Error('InvalidRequest', {}, message);
}

export const CHECKSUM_TAGS = {
  crc32: 'ChecksumCRC32',
  crc32c: 'ChecksumCRC32C',
  crc64nvme: 'ChecksumCRC64NVME',
  sha1: 'ChecksumSHA1',
  sha256: 'ChecksumSHA256',
} as const;

/** The parts that the request lists, each held against what was uploaded. */
function listedParts(call: Call, upload: Upload): Part[] {
  const document = parseXml(call.body.toString(), 'CompleteMultipartUpload');
  const elements = document ? children(document, 'Part') : [];
  if (elements.length === 0 || elements.length > 10_000) throw s3Error('MalformedXML');
  const numbers = elements.map((element) => Number(childText(element, 'PartNumber')));
  if (numbers.some((number, i) => i > 0 && number <= numbers[i - 1]!)) {
    throw s3Error('InvalidPartOrder', { UploadId: upload.id });
  }
  return elements.map((element, index) => {
    const number = numbers[index]!;
    const part = upload.parts.get(number);
    const etag = childText(element, 'ETag')?.replaceAll('"', '') ?? '';
    if (!part || part.etag.replaceAll('"', '') !== etag) {
      throw s3Error('InvalidPart', { UploadId: upload.id, PartNumber: String(number), ETag: etag });
    }
    checkPartChecksum(upload, element, part);
    if (index < elements.length - 1 && part.body.length < call.state.minimumPartSize) {
      throw s3Error('EntityTooSmall', {
        ProposedSize: String(part.body.length),
        MinSizeAllowed: String(call.state.minimumPartSize),
        PartNumber: String(number),
        ETag: etag,
      });
    }
    return part;
  });
}

function checkPartChecksum({ checksum, id }: Upload, element: XmlElement, part: Part): void {
  if (!checksum) return;
  const listed = childText(element, CHECKSUM_TAGS[checksum.algorithm]);
  if (listed === undefined && checksum.type === 'COMPOSITE') {
    const message = `The upload was created using a ${checksum.algorithm} checksum. The complete request must include the checksum for each part. It was missing for part ${part.number} in the request.`;
    throw s3Error('InvalidRequest', {}, message);
  }
  if (listed !== undefined && listed !== part.checksum?.value) {
    throw s3Error('InvalidPart', { UploadId: id, PartNumber: String(part.number) });
  }
}

function wholeChecksum({ checksum }: Upload, parts: Part[], body: Buffer): Checksum {
  const { algorithm, type } = checksum ?? { algorithm: 'crc64nvme', type: 'FULL_OBJECT' };
  if (type === 'FULL_OBJECT') return { algorithm, type, value: digest(algorithm, body).toString('base64') };
  const digests = parts.map((part) => Buffer.from(part.checksum?.value ?? '', 'base64'));
  return { algorithm, type, value: `${digest(algorithm, Buffer.concat(digests)).toString('base64')}-${parts.length}` };
}

function areEqual(parts: readonly Part[]): boolean {
  const [first, ...rest] = parts.map((part) => part.body.length);
  return rest.every((length, index) => (index < rest.length - 1 ? length === first : length <= (first ?? 0)));
}

/** Whether the ETag of the whole has nothing to do with its parts: encrypted with KMS, or in such a store. */
function looksRandom({ bucket }: Call, upload: Upload): boolean {
  return upload.object.kmsKey !== undefined || bucket.options.quirks?.etags !== undefined;
}

export function completeMultipartUpload(call: Call): Answer {
  authorize(call, 's3:PutObject');
  const upload = findUpload(call);
  authorizeKms(call, 'kms:Decrypt', upload.object.kmsKey);
  const parts = listedParts(call, upload);
  const body = Buffer.concat(parts.map((part) => part.body));
  if (call.bucket.options.quirks?.parts === 'of equal size' && !areEqual(parts))
    throw s3Error('InvalidPart', {}, 'All non-trailing parts must have the same length.');
  const checksum = wholeChecksum(upload, parts, body);
  const announced = call.headers[`x-amz-checksum-${checksum.algorithm}`];
  if (announced !== undefined && announced.replace(/-\d+$/, '') !== checksum.value.replace(/-\d+$/, '')) {
    throw s3Error('BadDigest', {}, `The ${checksum.algorithm} you specified did not match the calculated checksum.`);
  }
  checkWriteConditions(call);

  const base = looksRandom(call, upload)
    ? randomBytes(16).toString('hex')
    : md5(Buffer.concat(parts.map((part) => md5(part.body)))).toString('hex');
  const version = store(call, { ...upload.object, body, etag: `"${base}-${parts.length}"`, checksum });
  call.bucket.uploads.delete(upload.id);
  const { etag, ...headers } = writeHeaders(call, version);
  const content = {
    Location: `https://${call.bucket.name}.s3.${call.state.region}.amazonaws.com/${encodeURIComponent(call.key)}`,
    Bucket: call.bucket.name,
    Key: call.key,
    ETag: version.etag,
    [CHECKSUM_TAGS[checksum.algorithm]]: checksum.value,
    ChecksumType: checksum.type,
  };
  for (const name of Object.keys(headers)) if (name.startsWith('x-amz-checksum-')) delete headers[name];
  return { status: 200, headers, body: xml('CompleteMultipartUploadResult', content, S3_NAMESPACE) };
}

/** Its initiator may always abort an upload; everybody else needs the permission. */
export function abortMultipartUpload(call: Call): Answer {
  const upload = call.bucket.uploads.get(call.query.get('uploadId') ?? '');
  if (upload?.initiator !== senderArn(call)) authorize(call, 's3:AbortMultipartUpload');
  call.bucket.uploads.delete(findUpload(call).id);
  return { status: 204 };
}
