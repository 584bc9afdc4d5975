import { createHash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from '../support/cloud/cloud.ts';
import type { Quirks } from '../support/cloud/quirks.ts';
import { s3Client } from './clients.ts';

let cloud: LoopbackCloud;
let s3: S3Client;
let number = 0;
beforeAll(async () => {
  cloud = await startCloud();
  cloud.minimumPartSize = 1;
  s3 = s3Client(cloud, cloud.ownerKeys, {
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
});
afterAll(() => cloud.close());

/** A bucket of a store with these quirks. */
async function bucketWith(quirks: Quirks): Promise<string> {
  const name = `quirky-${++number}`;
  await cloud.createBucket(name, { quirks, acls: true });
  return name;
}

const put = (Bucket: string, more: Partial<PutObjectCommandInput> = {}) =>
  s3.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'abc', ...more }));
const head = (Bucket: string) => s3.send(new HeadObjectCommand({ Bucket, Key: 'a' }));
const refusal = (call: Promise<unknown>) =>
  call.then(
    () => 'allowed',
    ({ name, $metadata }) => `${$metadata.httpStatusCode} ${name}`,
  );
const deleteAll = (Bucket: string, more = {}) =>
  s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: 'a' }] }, ...more }));
const md5 = (text: string) => createHash('md5').update(text).digest('hex');

async function upload(Bucket: string, parts: string[], more = {}, onto = 'a') {
  const target = { Bucket, Key: onto };
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(target));
  const Parts = [];
  for (const [index, Body] of parts.entries()) {
    const PartNumber = index + 1;
    const { ETag } = await s3.send(new UploadPartCommand({ ...target, UploadId, PartNumber, Body }));
    Parts.push({ PartNumber, ETag });
  }
  return s3.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts }, ...more }));
}

test('refuses the headers of checksums, and nothing without them', async () => {
  const Bucket = await bucketWith({ checksumHeaders: 'refused' });
  expect(await refusal(put(Bucket))).toBe('allowed');
  expect(await refusal(put(Bucket, { ChecksumAlgorithm: 'CRC32' }))).toBe('400 ExcessHeaderValues');
  expect(await refusal(deleteAll(Bucket))).toBe('400 ExcessHeaderValues');
});

test('wants Content-MD5 on batch deletes', async () => {
  const Bucket = await bucketWith({ batchDelete: 'wants Content-MD5' });
  expect(await refusal(deleteAll(Bucket))).toBe('400 MissingContentMD5');
  expect(await refusal(deleteAll(Bucket, { ChecksumAlgorithm: 'MD5' }))).toBe('allowed');
});

test.each([
  [400, 'NotImplemented'],
  [405, 'MethodNotAllowed'],
  [501, 'NotImplemented'],
] as const)('has no batch deletes, no uploads in parts: %d', async (status, code) => {
  const Bucket = await bucketWith({ batchDelete: status, multipart: status });
  const target = { Bucket, Key: 'a' };
  expect(await refusal(deleteAll(Bucket, { ChecksumAlgorithm: 'MD5' }))).toBe(`${status} ${code}`);
  expect(await refusal(s3.send(new CreateMultipartUploadCommand(target)))).toBe(`${status} ${code}`);
  expect(await refusal(s3.send(new AbortMultipartUploadCommand({ ...target, UploadId: 'x' })))).toBe(
    `${status} ${code}`,
  );
});

test('has listings that are not encoded, with control characters as they are', async () => {
  const Bucket = await bucketWith({ listings: 'not encoded' });
  for (const Key of ['%46+ä', 'x\x01y']) await put(Bucket, { Key });
  const answer = await s3.send(new ListObjectsV2Command({ Bucket, EncodingType: 'url' }));
  expect(answer.EncodingType).toBeUndefined();
  expect(answer.Contents?.map(({ Key }) => Key)).toEqual(['%46+ä', 'x\x01y']);
});

test.each<[Quirks, string, string]>([
  [{}, '412 PreconditionFailed', '412 PreconditionFailed'],
  [{ ifNoneMatch: 'ignored' }, 'allowed', 'allowed'],
  [{ ifNoneMatch: 'ignored for parts' }, '412 PreconditionFailed', 'allowed'],
  [{ ifNoneMatch: 'not implemented' }, '501 NotImplemented', '501 NotImplemented'],
])('If-None-Match with %j', async (quirks, whole, inParts) => {
  const Bucket = await bucketWith(quirks);
  await put(Bucket);
  expect(await refusal(put(Bucket, { IfNoneMatch: '*' }))).toBe(whole);
  expect(await refusal(upload(Bucket, ['abc'], { IfNoneMatch: '*' }))).toBe(inParts);
});

test.each<[quirks: Quirks, quoted: string, bare: string, wrong: string]>([
  [{}, 'allowed', 'allowed', '412 PreconditionFailed'],
  [{ ifMatch: 'ignored' }, 'allowed', 'allowed', 'allowed'],
  [{ ifMatch: 'with its quotes' }, '412 PreconditionFailed', 'allowed', '412 PreconditionFailed'],
  [{ ifMatch: 'not implemented' }, '501 NotImplemented', '501 NotImplemented', '501 NotImplemented'],
])('If-Match with %j', async (quirks, quoted, bare, wrong) => {
  const Bucket = await bucketWith(quirks);
  await put(Bucket);
  expect(await refusal(put(Bucket, { IfMatch: `"${md5('abc')}"` }))).toBe(quoted);
  expect(await refusal(put(Bucket, { IfMatch: md5('abc') }))).toBe(bare);
  expect(await refusal(put(Bucket, { IfMatch: `"${md5('other')}"` }))).toBe(wrong);
});

test('answers an empty ETag when parts become one object, and the right one to a HEAD', async () => {
  const Bucket = await bucketWith({ completion: 'empty ETag' });
  expect((await upload(Bucket, ['abc'])).ETag).toBeFalsy();
  expect((await head(Bucket)).ETag).toMatch(/^"[0-9a-f]{32}-1"$/);
});

test('allows so many parts', async () => {
  const Bucket = await bucketWith({ mostParts: 2 });
  expect(await refusal(upload(Bucket, ['a', 'b']))).toBe('allowed');
  expect(await refusal(upload(Bucket, ['a', 'b', 'c']))).toBe('400 InvalidArgument');
});

test('wants parts of equal size, but for the last', async () => {
  const Bucket = await bucketWith({ parts: 'of equal size' });
  for (const parts of [['abc'], ['abc', 'a'], ['ab', 'ab'], ['ab', 'cd', 'e']])
    expect([parts, await refusal(upload(Bucket, parts))]).toEqual([parts, 'allowed']);
  for (const parts of [
    ['a', 'abc'],
    ['abc', 'a', 'abc'],
  ])
    expect([parts, await refusal(upload(Bucket, parts))]).toEqual([parts, '400 InvalidPart']);
});

test.each<[quirks: Quirks, whole: RegExp, inParts: RegExp, isMd5: boolean]>([
  [{}, /^"[0-9a-f]{32}"$/, /^"[0-9a-f]{32}-2"$/, true],
  [{ etags: 'random in parts' }, /^"[0-9a-f]{32}"$/, /^"[0-9a-f]{32}-2"$/, true],
  [{ etags: 'random' }, /^"[0-9a-f]{32}"$/, /^"[0-9a-f]{32}-2"$/, false],
  [{ etags: 'no MD5' }, /^"[\w-]{11}"$/, /^"[0-9a-f]{32}-2"$/, false],
])('ETags with %j', async (quirks, whole, inParts, isMd5) => {
  const Bucket = await bucketWith(quirks);
  const { ETag } = await put(Bucket);
  expect(ETag).toMatch(whole);
  expect(ETag === `"${md5('abc')}"`).toBe(isMd5);
  const [first, second] = [await upload(Bucket, ['a', 'b']), await upload(Bucket, ['a', 'b'])];
  expect(first.ETag).toMatch(inParts);
  expect(first.ETag === second.ETag).toBe(quirks.etags === undefined);
});

test('knows no ACLs, tags, copies', async () => {
  const Bucket = await bucketWith({ acls: 'not implemented', tagging: 'not implemented', copies: 501 });
  expect(await refusal(put(Bucket))).toBe('allowed');
  expect(await refusal(put(Bucket, { ACL: 'public-read' }))).toBe('501 NotImplemented');
  expect(await refusal(put(Bucket, { Tagging: 'a=b' }))).toBe('501 NotImplemented');
  expect(await refusal(s3.send(new GetObjectTaggingCommand({ Bucket, Key: 'a' })))).toBe('501 NotImplemented');
  expect(await refusal(s3.send(new CopyObjectCommand({ Bucket, Key: 'b', CopySource: `${Bucket}/a` })))).toBe(
    '501 NotImplemented',
  );
});

test('tells no region', async () => {
  const answer = async (quirks: Quirks) => s3.send(new HeadBucketCommand({ Bucket: await bucketWith(quirks) }));
  expect((await answer({})).BucketRegion).toBe('eu-central-1');
  expect((await answer({ region: 'not told' })).BucketRegion).toBeUndefined();
});

test('keeps no redirects', async () => {
  const Bucket = await bucketWith({ redirects: 'not kept' });
  await put(Bucket, { WebsiteRedirectLocation: '/b' });
  expect((await head(Bucket)).WebsiteRedirectLocation).toBeUndefined();
});

test('stores what does not fit its Content-MD5', async () => {
  const wrong = { ContentMD5: createHash('md5').update('other').digest('base64') };
  expect(await refusal(put(await bucketWith({}), wrong))).toBe('400 BadDigest');
  expect(await refusal(put(await bucketWith({ contentMd5: 'ignored' }), wrong))).toBe('allowed');
});
