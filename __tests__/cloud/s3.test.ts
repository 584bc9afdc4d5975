import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  ChecksumAlgorithm,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketLocationCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from '../support/cloud/cloud.ts';
import { allow, policy, s3Client } from './clients.ts';

const Bucket = 'web';
let cloud: LoopbackCloud;
let s3: S3Client;
beforeAll(async () => {
  cloud = await startCloud();
  await cloud.createBucket(Bucket);
  s3 = s3Client(cloud, await cloud.createUser('ann', policy(allow('s3:*'))));
});
afterAll(() => cloud.close());

const put = (Key: string, input: Partial<PutObjectCommandInput> = {}) =>
  s3.send(new PutObjectCommand({ Bucket, Key, Body: 'hello', ...input }));
const head = (Key: string) => s3.send(new HeadObjectCommand({ Bucket, Key }));
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => 'none',
    (error) => `${error.$metadata.httpStatusCode} ${error.name}`,
  );
const md5 = (text: string | Buffer) => createHash('md5').update(text).digest();

describe('an object', () => {
  test('comes back as it was put, headers and all', async () => {
    const { ETag } = await put('full', {
      ContentType: 'text/html; charset=utf-8',
      CacheControl: 'public, max-age=60',
      ContentDisposition: 'inline',
      ContentEncoding: 'gzip',
      ContentLanguage: 'de',
      Expires: new Date('2030-01-01T00:00:00Z'),
      Metadata: { origin: 'build' },
      StorageClass: 'STANDARD_IA',
      Tagging: 'a=1&b=%20x',
      WebsiteRedirectLocation: '/elsewhere',
    });
    expect(ETag).toBe(`"${md5('hello').toString('hex')}"`);
    const { Body, ...object } = await s3.send(new GetObjectCommand({ Bucket, Key: 'full' }));
    expect(await Body?.transformToString()).toBe('hello');
    expect(object).toMatchObject({
      ETag,
      ContentLength: 5,
      ContentType: 'text/html; charset=utf-8',
      CacheControl: 'public, max-age=60',
      ContentDisposition: 'inline',
      ContentEncoding: 'gzip',
      ContentLanguage: 'de',
      ExpiresString: 'Tue, 01 Jan 2030 00:00:00 GMT',
      Metadata: { origin: 'build' },
      ServerSideEncryption: 'AES256',
      StorageClass: 'STANDARD_IA',
      TagCount: 2,
      WebsiteRedirectLocation: '/elsewhere',
    });
    const stored = (await cloud.objects(Bucket)).get('full');
    expect(stored?.headers).toMatchObject({
      etag: ETag,
      'x-amz-meta-origin': 'build',
      'cache-control': 'public, max-age=60',
    });
  });

  test('without a type is a binary stream', async () => {
    await cloud.putObject(Bucket, 'untyped', 'x');
    expect(await head('untyped')).toMatchObject({ ContentType: 'binary/octet-stream', ContentLength: 1 });
  });

  test('keeps 20 MiB as they are', async () => {
    const Body = Buffer.alloc(20 * 1024 * 1024, 'abcdefg');
    await put('large', { Body });
    expect((await cloud.objects(Bucket)).get('large')?.body.equals(Body)).toBe(true);
  });

  test('is read in ranges', async () => {
    await put('digits', { Body: '0123456789' });
    const read = async (Range: string) => {
      const { Body, ContentRange } = await s3.send(new GetObjectCommand({ Bucket, Key: 'digits', Range }));
      return [await Body?.transformToString(), ContentRange];
    };
    expect(await read('bytes=2-4')).toEqual(['234', 'bytes 2-4/10']);
    expect(await read('bytes=7-')).toEqual(['789', 'bytes 7-9/10']);
    expect(await read('bytes=-3')).toEqual(['789', 'bytes 7-9/10']);
    expect(await read('bytes=8-99')).toEqual(['89', 'bytes 8-9/10']);
    expect(await failure(read('bytes=10-'))).toBe('416 InvalidRange');
  });

  test('is read on conditions', async () => {
    const { ETag } = await put('conditional');
    const read = (input: object) => failure(s3.send(new GetObjectCommand({ Bucket, Key: 'conditional', ...input })));
    expect(await read({ IfMatch: ETag })).toBe('none');
    expect(await read({ IfMatch: '"other"' })).toBe('412 PreconditionFailed');
    expect(await read({ IfNoneMatch: ETag })).toMatch(/^304/);
    expect(await read({ IfNoneMatch: '"other"' })).toBe('none');
    expect(await read({ IfModifiedSince: new Date(Date.now() + 3600_000) })).toMatch(/^304/);
    expect(await read({ IfUnmodifiedSince: new Date(0) })).toBe('412 PreconditionFailed');
  });

  test('that is missing is a 404', async () => {
    expect(await failure(s3.send(new GetObjectCommand({ Bucket, Key: 'nothing' })))).toBe('404 NoSuchKey');
    expect(await failure(head('nothing'))).toBe('404 NotFound');
  });
});

describe('a PUT', () => {
  test.each(Object.values(ChecksumAlgorithm).filter((name) => ['CRC32', 'SHA1', 'SHA256'].includes(name)))(
    "checks and answers the SDK's %s",
    async (ChecksumAlgorithm) => {
      const answer = await put('sum', { ChecksumAlgorithm });
      const name = `Checksum${ChecksumAlgorithm}` as const;
      expect(answer).toMatchObject({ [name]: expect.any(String), ChecksumType: 'FULL_OBJECT' });
      const read = await s3.send(new GetObjectCommand({ Bucket, Key: 'sum', ChecksumMode: 'ENABLED' }));
      expect(read[name as keyof typeof read]).toBe(answer[name as keyof typeof answer]);
    },
  );

  // The check values of "123456789" in the catalogue of parametrised CRC algorithms.
  test.each([
    ['ChecksumCRC32', 'cbf43926'],
    ['ChecksumCRC32C', 'e3069283'],
    ['ChecksumCRC64NVME', 'ae8b14860a799888'],
  ])('computes %s right', async (name, hex) => {
    const value = Buffer.from(hex, 'hex').toString('base64');
    expect(await failure(put('crc', { Body: '123456789', [name]: value }))).toBe('none');
    const wrong = Buffer.from(hex, 'hex').reverse().toString('base64');
    expect(await failure(put('crc', { Body: '123456789', [name]: wrong }))).toBe('400 BadDigest');
    expect(await failure(put('crc', { Body: '123456789', [name]: 'AAAA' }))).toBe('400 InvalidRequest');
  });

  test('without a checksum gets CRC64NVME', async () => {
    const plain = s3Client(cloud, cloud.ownerKeys, { requestChecksumCalculation: 'WHEN_REQUIRED' });
    const answer = await plain.send(new PutObjectCommand({ Bucket, Key: 'none', Body: '123456789' }));
    expect(answer.ChecksumCRC64NVME).toBe(Buffer.from('ae8b14860a799888', 'hex').toString('base64'));
  });

  test('checks Content-MD5', async () => {
    expect(await failure(put('md5', { ContentMD5: md5('hello').toString('base64') }))).toBe('none');
    expect(await failure(put('md5', { ContentMD5: md5('other').toString('base64') }))).toBe('400 BadDigest');
    expect(await failure(put('md5', { ContentMD5: 'nonsense' }))).toBe('400 InvalidDigest');
  });

  test("takes the SDK's chunked stream with a trailing checksum", async () => {
    await put('stream', {
      Body: Readable.from([Buffer.from('hel'), Buffer.from('lo')]),
      ContentLength: 5,
      ContentEncoding: 'br',
    });
    expect(cloud.requests.at(-1)?.headers['x-amz-content-sha256']).toBe('STREAMING-UNSIGNED-PAYLOAD-TRAILER');
    const stored = (await cloud.objects(Bucket)).get('stream');
    expect([stored?.body.toString(), stored?.headers['content-encoding']]).toEqual(['hello', 'br']);
    expect((await head('stream')).ETag).toBe(`"${md5('hello').toString('hex')}"`);
  });

  test('needs a length', async () => {
    cloud.bucket(Bucket).options.policy = policy({ ...allow('s3:PutObject'), Principal: '*' });
    const body = new Blob(['x']).stream();
    const answer = await fetch(`${cloud.s3Endpoint}/web/lengthless`, { method: 'PUT', body, duplex: 'half' });
    cloud.bucket(Bucket).options.policy = undefined;
    expect([answer.status, await answer.text()]).toEqual([411, expect.stringContaining('MissingContentLength')]);
  });

  test('can be made to write only what is not there', async () => {
    await cloud.putObject(Bucket, 'taken', 'x');
    expect(await failure(put('taken', { IfNoneMatch: '*' }))).toBe('412 PreconditionFailed');
    expect(await failure(put('free', { IfNoneMatch: '*' }))).toBe('none');
    expect(await failure(put('free', { IfNoneMatch: '"etag"' }))).toBe('501 NotImplemented');
    const races = Array.from({ length: 16 }, () => failure(put('race', { IfNoneMatch: '*' })));
    expect((await Promise.all(races)).filter((one) => one === 'none')).toHaveLength(1);
  });

  test('can be made to replace only what it knows', async () => {
    const { ETag } = await put('known');
    expect(await failure(put('known', { Body: 'new', IfMatch: ETag }))).toBe('none');
    expect(await failure(put('known', { Body: 'newer', IfMatch: ETag }))).toBe('412 PreconditionFailed');
    expect(await failure(put('unknown', { IfMatch: ETag }))).toBe('404 NoSuchKey');
  });

  test.each<[string, string, Partial<PutObjectCommandInput>, string]>([
    ['a key of 1024 bytes', 'ä'.repeat(512), {}, 'none'],
    ['a longer key', `${'ä'.repeat(512)}x`, {}, '400 KeyTooLongError'],
    ['an ACL', 'x', { ACL: 'public-read' }, '400 AccessControlListNotSupported'],
    ['the one ACL that changes nothing', 'x', { ACL: 'bucket-owner-full-control' }, 'none'],
    ['an unknown storage class', 'x', { StorageClass: 'CHEAP' as never }, '400 InvalidStorageClass'],
    ['an unknown encryption', 'x', { ServerSideEncryption: 'rot13' as never }, '400 InvalidArgument'],
    ['a tag twice', 'x', { Tagging: 'a=1&a=2' }, '400 InvalidArgument'],
    ['eleven tags', 'x', { Tagging: 'a=&b=&c=&d=&e=&f=&g=&h=&i=&j=&k=' }, '400 InvalidTag'],
    ['too much metadata', 'x', { Metadata: { a: 'x'.repeat(2048) } }, '400 MetadataTooLarge'],
    ['the wrong owner', 'x', { ExpectedBucketOwner: '999999999999' }, '403 AccessDenied'],
    ['the right owner', 'x', { ExpectedBucketOwner: '123456789012' }, 'none'],
    ['another bucket', 'x', { Bucket: 'nowhere' }, '404 NoSuchBucket'],
  ])('with %s', async (_, key, input, outcome) => {
    expect(await failure(put(key, input))).toBe(outcome);
  });
});

describe('a delete', () => {
  test('removes, and has no quarrel with what is not there', async () => {
    await put('gone');
    for (let i = 0; i < 2; i++) await s3.send(new DeleteObjectCommand({ Bucket, Key: 'gone' }));
    expect((await cloud.objects(Bucket)).has('gone')).toBe(false);
  });

  test('can be made conditional', async () => {
    const { ETag } = await put('cond');
    const remove = (Key: string, IfMatch?: string) =>
      failure(s3.send(new DeleteObjectCommand({ Bucket, Key, IfMatch })));
    expect(await remove('cond', '"other"')).toBe('412 PreconditionFailed');
    expect(await remove('cond', ETag)).toBe('none');
    expect(await remove('cond', ETag)).toBe('404 NoSuchKey');
    expect(await remove('cond', '*')).toBe('412 PreconditionFailed');
  });

  test('of many keys answers for each', async () => {
    const Objects = ['b&<>"\'', 'b ü', 'b\r\n', 'b-absent'].map((Key) => ({ Key }));
    for (const { Key } of Objects.slice(0, 3)) await cloud.putObject(Bucket, Key, 'x');
    const { Deleted } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    expect(Deleted?.map(({ Key }) => Key)).toEqual(Objects.map(({ Key }) => Key));
    expect([...(await cloud.objects(Bucket)).keys()].filter((key) => key.startsWith('b'))).toEqual([]);
    const quiet = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }));
    expect([quiet.Deleted, quiet.Errors]).toEqual([undefined, undefined]);
    expect(cloud.requests.at(-1)?.operation).toBe('DeleteObjects');
  });

  test.each([
    ['a thousand keys', Array.from({ length: 1000 }, (_, i) => ({ Key: `many-&-${i}` })), 'none'],
    ['one more', Array.from({ length: 1001 }, (_, i) => ({ Key: `many-${i}` })), '400 MalformedXML'],
    ['a control character', [{ Key: 'fine' }, { Key: 'bad\x01key' }], '400 MalformedXML'],
  ])('of %s', async (_, Objects, outcome) => {
    expect(await failure(s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } })))).toBe(outcome);
  });

  test('of many keys wants a digest, MD5 or another', async () => {
    const send = (ChecksumAlgorithm: 'MD5' | 'CRC32') =>
      s3.send(new DeleteObjectsCommand({ Bucket, ChecksumAlgorithm, Delete: { Objects: [{ Key: 'x' }] } } as never));
    expect(await failure(send('MD5'))).toBe('none');
    expect(cloud.requests.at(-1)?.headers['content-md5']).toBeDefined();
    expect(await failure(send('CRC32'))).toBe('none');
    const answer = await fetch(`${cloud.s3Endpoint}/web?delete`, { method: 'POST', body: '<Delete/>' });
    expect([answer.status, await answer.text()]).toEqual([
      400,
      expect.stringContaining('Content-MD5 OR x-amz-checksum-*'),
    ]);
  });
});

test('keys are what they are: dots, slashes, empty segments and control characters', async () => {
  const keys = ['/lead', 'a//b', 'a/./b', 'a/../b', 'tab\there', 'nl\nhere', '\x01', 'ends/', '%2F', '..'];
  await Promise.all(keys.map((key) => put(`odd/${key}`)));
  const stored = [...(await cloud.objects(Bucket)).keys()].filter((key) => key.startsWith('odd/'));
  expect(stored.sort()).toEqual(keys.map((key) => `odd/${key}`).sort());
});

test('a key that is not UTF-8 is no key', async () => {
  const answer = await fetch(`${cloud.s3Endpoint}/web/%ff%fe`);
  expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining('InvalidURI')]);
});

test('the location of a bucket in us-east-1 has no name', async () => {
  await cloud.createBucket('old', { region: 'us-east-1' });
  const send = (client: S3Client, name: string) => client.send(new GetBucketLocationCommand({ Bucket: name }));
  expect((await send(s3, Bucket)).LocationConstraint).toBe('eu-central-1');
  const virginia = s3Client(cloud, cloud.ownerKeys, { region: 'us-east-1' });
  expect((await send(virginia, 'old')).LocationConstraint ?? '').toBe('');
});

test('a bucket of another region is a redirect', async () => {
  await cloud.createBucket('far', { region: 'ap-south-1' });
  const error = await s3.send(new PutObjectCommand({ Bucket: 'far', Key: 'x', Body: 'x' })).catch((e) => e);
  expect(error).toMatchObject({ name: 'PermanentRedirect', Endpoint: 'far.s3.ap-south-1.amazonaws.com' });
  expect(error.$metadata.httpStatusCode).toBe(301);
  const answer = await fetch(`${cloud.s3Endpoint}/far`, { method: 'HEAD', redirect: 'manual' });
  expect([answer.status, answer.headers.get('x-amz-bucket-region')]).toEqual([301, 'ap-south-1']);
});

test('what this cloud does not play is no success', async () => {
  const answer = await fetch(`${cloud.s3Endpoint}/web/x?acl`, { method: 'PUT', body: '' });
  expect(answer.status).toBe(501);
});
