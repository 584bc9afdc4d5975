import { createHash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from '../support/cloud/cloud.ts';
import { allow, policy, s3Client } from './clients.ts';

const [Bucket, Key] = ['web', 'big/file'];
let cloud: LoopbackCloud;
let s3: S3Client;
beforeAll(async () => {
  cloud = await startCloud();
  expect(cloud.minimumPartSize).toBe(5 * 1024 * 1024);
  await cloud.createBucket(Bucket);
  s3 = s3Client(cloud, await cloud.createUser('ann', policy(allow('s3:PutObject'))));
});
beforeEach(() => {
  cloud.minimumPartSize = 4;
  cloud.setUserPolicy('ann', policy(allow('s3:PutObject')));
});
afterAll(() => cloud.close());

const md5 = (data: string | Buffer) => createHash('md5').update(data).digest();
const outcome = (promise: Promise<unknown>) =>
  promise.then(
    () => 'fine',
    (error) => error.name,
  );

async function begin(input: Partial<CreateMultipartUploadCommandInput> = {}) {
  const command = new CreateMultipartUploadCommand({ Bucket, Key, ContentType: 'video/mp4', ...input });
  return (await s3.send(command)).UploadId!;
}

async function upload(UploadId: string, bodies: string[]): Promise<CompletedPart[]> {
  return Promise.all(
    bodies.map(async (Body, i) => {
      const part = await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: i + 1, Body }));
      return { PartNumber: i + 1, ETag: part.ETag!, ChecksumCRC32: part.ChecksumCRC32! };
    }),
  );
}

const complete = (UploadId: string, Parts: CompletedPart[], input: object = {}) =>
  s3.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts }, ...input }));

test("parts become one object, whose ETag is the MD5 of the parts' MD5s", async () => {
  const UploadId = await begin({ CacheControl: 'no-cache', ChecksumAlgorithm: 'CRC32' });
  expect(await cloud.openUploads(Bucket)).toEqual([Key]);
  const { ETag, ChecksumType, ChecksumCRC32 } = await complete(UploadId, await upload(UploadId, ['aaaa', 'bbbb', 'c']));
  expect(ETag).toBe(`"${md5(Buffer.concat(['aaaa', 'bbbb', 'c'].map(md5))).toString('hex')}-3"`);
  expect([ChecksumType, ChecksumCRC32?.slice(-2)]).toEqual(['COMPOSITE', '-3']);
  const stored = (await cloud.objects(Bucket)).get(Key);
  expect(stored?.body.toString()).toBe('aaaabbbbc');
  expect(stored?.headers).toMatchObject({ 'content-type': 'video/mp4', 'cache-control': 'no-cache', etag: ETag });
  expect(await cloud.openUploads(Bucket)).toEqual([]);
});

test('a whole-object checksum is held against the whole', async () => {
  const id = await begin({ ChecksumAlgorithm: 'CRC32', ChecksumType: 'FULL_OBJECT' });
  const parts = await upload(id, ['1234', '56789']);
  const right = Buffer.from('cbf43926', 'hex').toString('base64');
  expect(await outcome(complete(id, parts, { ChecksumType: 'FULL_OBJECT', ChecksumCRC32: 'AAAAAA==' }))).toBe(
    'BadDigest',
  );
  expect((await complete(id, parts, { ChecksumType: 'FULL_OBJECT', ChecksumCRC32: right })).ChecksumCRC32).toBe(right);
  const read = await s3Client(cloud, cloud.ownerKeys).send(
    new GetObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }),
  );
  expect(read.ChecksumCRC32).toBe(right);
});

test('parts that do not fit are refused', async () => {
  const id = await begin({ ChecksumAlgorithm: 'CRC32' });
  const [one, two, three] = (await upload(id, ['aaaa', 'bb', 'cc'])) as [CompletedPart, CompletedPart, CompletedPart];
  expect(await outcome(complete(id, [one, two, three]))).toBe('EntityTooSmall');
  expect(await outcome(complete(id, [two, one]))).toBe('InvalidPartOrder');
  expect(await outcome(complete(id, [one, { ...two, ETag: '"x"' }]))).toBe('InvalidPart');
  expect(await outcome(complete(id, [one, { ...two, PartNumber: 7 }]))).toBe('InvalidPart');
  expect(await outcome(complete(id, [one, { ...two, ChecksumCRC32: 'AAAAAA==' }]))).toBe('InvalidPart');
  expect(await outcome(complete(id, [one, { PartNumber: 2, ETag: two.ETag! }]))).toBe('InvalidRequest');
  expect(await outcome(complete(id, []))).toBe('MalformedXML');
  expect(await outcome(complete('nonsense', [one]))).toBe('NoSuchUpload');
  expect(await outcome(complete(id, [one, two]))).toBe('fine');
  expect(await outcome(complete(id, [one, two]))).toBe('NoSuchUpload');
});

test('a part that is damaged on the way is refused', async () => {
  const UploadId = await begin({ ChecksumAlgorithm: 'CRC32' });
  const part = { Bucket, Key, UploadId, PartNumber: 1, Body: 'aaaa' };
  expect(await outcome(s3.send(new UploadPartCommand({ ...part, ChecksumCRC32: 'AAAAAA==' })))).toBe('BadDigest');
  expect(await outcome(s3.send(new UploadPartCommand({ ...part, PartNumber: 10_001 })))).toBe('InvalidArgument');
  const mixed = s3.send(new UploadPartCommand({ ...part, ChecksumAlgorithm: 'SHA256' }));
  await expect(mixed).rejects.toThrow('expected checksum Type: crc32, actual checksum Type: sha256');
  const bare = s3Client(cloud, cloud.ownerKeys, { requestChecksumCalculation: 'WHEN_REQUIRED' });
  await expect(bare.send(new UploadPartCommand(part))).rejects.toThrow('actual checksum Type: null');
  const undeclared = s3.send(new UploadPartCommand({ ...part, UploadId: await begin() }));
  await expect(undeclared).rejects.toThrow('expected checksum Type: null');
});

test('completion can be made conditional', async () => {
  await cloud.putObject(Bucket, Key, 'there');
  const id = await begin({ ChecksumAlgorithm: 'CRC32' });
  const parts = await upload(id, ['aaaa']);
  expect(await outcome(complete(id, parts, { IfNoneMatch: '*' }))).toBe('PreconditionFailed');
  expect(await outcome(complete(id, parts))).toBe('fine');
});

test('an upload may be aborted by who began it, and by who has the permission', async () => {
  const abort = (client: S3Client, UploadId: string) =>
    outcome(client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })));
  const [mine, other, third] = [await begin(), await begin(), await begin()];
  const bob = s3Client(cloud, await cloud.createUser('bob', policy(allow('s3:PutObject'))));
  const cleaner = s3Client(cloud, await cloud.createUser('cleaner', policy(allow('s3:AbortMultipartUpload'))));
  expect(await abort(bob, other)).toBe('AccessDenied');
  expect(await abort(cleaner, other)).toBe('fine');
  expect(await abort(s3, mine)).toBe('fine');
  cloud.setUserPolicy('ann', undefined);
  expect(await abort(s3, third)).toBe('fine');
  expect(await abort(cleaner, third)).toBe('NoSuchUpload');
});

test('parts and uploads are listed', async () => {
  cloud.setUserPolicy('ann', policy(allow(['s3:PutObject', 's3:ListBucketMultipartUploads'])));
  const UploadId = await begin();
  for (const PartNumber of [1, 2]) {
    await s3Client(cloud, cloud.ownerKeys, { requestChecksumCalculation: 'WHEN_REQUIRED' }).send(
      new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body: 'aaaa' }),
    );
  }
  const { Parts } = await s3.send(new ListPartsCommand({ Bucket, Key, UploadId }));
  expect(Parts).toMatchObject([
    { PartNumber: 1, Size: 4, ETag: `"${md5('aaaa').toString('hex')}"` },
    { PartNumber: 2, Size: 4 },
  ]);
  const { Uploads } = await s3.send(new ListMultipartUploadsCommand({ Bucket, Prefix: 'big/' }));
  expect(Uploads?.map((one) => one.UploadId)).toContain(UploadId);
});
