import { createHash } from 'node:crypto';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  type CopyObjectCommandInput,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from '../support/cloud/cloud.ts';
import { allow, policy, s3Client } from './clients.ts';

const Bucket = 'web';
const KEY = 'arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab';
let cloud: LoopbackCloud;
let s3: S3Client;
beforeAll(async () => {
  cloud = await startCloud();
  await cloud.createBucket(Bucket);
  await cloud.createBucket('encrypted', { kmsKey: KEY });
  s3 = s3Client(cloud, await cloud.createUser('ann'));
});
beforeEach(() => cloud.setUserPolicy('ann', policy(allow(['s3:*', 'kms:*']))));
afterAll(() => cloud.close());

const outcome = (promise: Promise<unknown>) =>
  promise.then(
    () => 'fine',
    (error) => /perform: (\S+)/.exec(error.message)?.[1] ?? error.name,
  );

describe('a copy', () => {
  const SOURCE = 'a b/ü+.txt';
  const copy = (input: Partial<CopyObjectCommandInput> = {}) =>
    s3.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `web/${encodeURIComponent(SOURCE)}`, ...input }));
  const head = (Key: string) => s3.send(new HeadObjectCommand({ Bucket, Key }));

  beforeEach(() =>
    cloud.putObject(Bucket, SOURCE, 'text', {
      'Content-Type': 'text/plain',
      'Cache-Control': 'no-cache',
      'x-amz-meta-a': '1',
      'x-amz-tagging': 'k=v',
    }),
  );

  test('takes content, headers and tags along', async () => {
    const { CopyObjectResult } = await copy();
    const object = await head('copy');
    expect(object).toMatchObject({
      ContentType: 'text/plain',
      CacheControl: 'no-cache',
      Metadata: { a: '1' },
      TagCount: 1,
    });
    expect(CopyObjectResult?.ETag).toBe(object.ETag);
    expect((await cloud.objects(Bucket)).get('copy')?.body.toString()).toBe('text');
  });

  test('with REPLACE has the headers of the request alone', async () => {
    await copy({ MetadataDirective: 'REPLACE', ContentType: 'text/html', Metadata: { b: '2' } });
    const object = await head('copy');
    expect(object).toMatchObject({ ContentType: 'text/html', Metadata: { b: '2' } });
    expect(object.CacheControl).toBeUndefined();
  });

  test('onto itself changes headers, or is refused', async () => {
    expect(await outcome(copy({ Key: SOURCE }))).toBe('InvalidRequest');
    expect(await outcome(copy({ Key: SOURCE, MetadataDirective: 'REPLACE', CacheControl: 'max-age=1' }))).toBe('fine');
    expect(await head(SOURCE)).toMatchObject({ CacheControl: 'max-age=1', ContentLength: 4 });
  });

  test('can be made conditional', async () => {
    const { ETag } = await head(SOURCE);
    expect(await outcome(copy({ CopySourceIfMatch: ETag }))).toBe('fine');
    expect(await outcome(copy({ CopySourceIfMatch: '"other"' }))).toBe('PreconditionFailed');
  });

  test.each([
    ['web/missing', 'NoSuchKey'],
    ['nowhere/x', 'NoSuchBucket'],
    ['web', 'InvalidArgument'],
  ])('of %s is %s', async (CopySource, expected) => {
    expect(await outcome(copy({ CopySource }))).toBe(expected);
  });
});

test('tags are kept and replaced', async () => {
  await s3.send(new PutObjectCommand({ Bucket, Key: 'tagged', Body: 'x', Tagging: 'a=1&b=%26' }));
  const tags = async () => (await s3.send(new GetObjectTaggingCommand({ Bucket, Key: 'tagged' }))).TagSet;
  expect(await tags()).toEqual([
    { Key: 'a', Value: '1' },
    { Key: 'b', Value: '&' },
  ]);
  const Tagging = { TagSet: [{ Key: 'c', Value: '<3>' }] };
  await s3.send(new PutObjectTaggingCommand({ Bucket, Key: 'tagged', Tagging }));
  expect(await tags()).toEqual(Tagging.TagSet);
});

describe('KMS', () => {
  const put = (input: object = {}) =>
    s3.send(
      new PutObjectCommand({
        Bucket,
        Key: 'k',
        Body: 'x',
        ServerSideEncryption: 'aws:kms',
        SSEKMSKeyId: KEY,
        ...input,
      }),
    );
  const only = (...actions: string[]) => cloud.setUserPolicy('ann', policy(allow('s3:*'), allow(actions, KEY)));
  const md5 = `"${createHash('md5').update('x').digest('hex')}"`;

  test('makes an ETag that is no MD5', async () => {
    const { ETag, ServerSideEncryption, SSEKMSKeyId } = await put();
    expect({ ServerSideEncryption, SSEKMSKeyId }).toEqual({ ServerSideEncryption: 'aws:kms', SSEKMSKeyId: KEY });
    expect(ETag).toMatch(/^"[0-9a-f]{32}"$/);
    expect(ETag).not.toBe(md5);
  });

  test('names a key by its id as well', async () => {
    expect((await put({ SSEKMSKeyId: KEY.split('/')[1] })).SSEKMSKeyId).toBe(KEY);
  });

  test('is the default where the bucket says so', async () => {
    const put = (input: object) =>
      s3.send(new PutObjectCommand({ Bucket: 'encrypted', Key: 'k', Body: 'x', ...input }));
    expect((await put({})).SSEKMSKeyId).toBe(KEY);
    expect((await put({ ServerSideEncryption: 'AES256' })).ETag).toBe(md5);
  });

  test('wants its own permissions', async () => {
    only('kms:Decrypt');
    expect(await outcome(put())).toBe('kms:GenerateDataKey');
    only('kms:GenerateDataKey');
    expect(await outcome(put())).toBe('fine');
    const get = new GetObjectCommand({ Bucket, Key: 'k' });
    expect(await outcome(s3.send(get))).toBe('kms:Decrypt');
    expect(await outcome(s3.send(new HeadObjectCommand({ Bucket, Key: 'k' })))).toBe('fine');
    expect(await outcome(s3.send(new HeadObjectCommand({ Bucket, Key: 'k', ChecksumMode: 'ENABLED' })))).not.toBe(
      'fine',
    );
    only('kms:Decrypt');
    expect(await outcome(s3.send(get))).toBe('fine');
  });

  test('wants both of them for an upload in parts', async () => {
    const Key = 'parts';
    const begin = () =>
      s3.send(
        new CreateMultipartUploadCommand({
          Bucket,
          Key,
          ChecksumAlgorithm: 'CRC32',
          ServerSideEncryption: 'aws:kms',
          SSEKMSKeyId: KEY,
        }),
      );
    only('kms:GenerateDataKey');
    const { UploadId } = await begin();
    const part = () => s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: 'x' }));
    expect(await outcome(part())).toBe('kms:Decrypt');
    only('kms:GenerateDataKey', 'kms:Decrypt');
    const { ETag, ChecksumCRC32 } = await part();
    const MultipartUpload = { Parts: [{ PartNumber: 1, ETag, ChecksumCRC32 }] };
    await s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload }));
    expect((await cloud.objects(Bucket)).get(Key)?.headers.etag).toMatch(/^"[0-9a-f]{32}-1"$/);
  });

  test('has one key that everybody may use', async () => {
    cloud.setUserPolicy('ann', policy(allow('s3:*')));
    const { SSEKMSKeyId } = await put({ SSEKMSKeyId: undefined });
    expect(SSEKMSKeyId).toMatch(/alias\/aws\/s3$/);
    expect(await outcome(s3.send(new GetObjectCommand({ Bucket, Key: 'k' })))).toBe('fine');
  });
});
