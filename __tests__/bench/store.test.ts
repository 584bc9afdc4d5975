import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Chunks } from '../../bench/store/chunks.ts';
import { type Store, startStore } from '../../bench/store.ts';

const PACE = { ms: 0, listMs: 0 };
let folder: string;
let store: Store;
let s3: S3Client;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 's3-deploy-store-'));
  store = await startStore(folder, { pace: PACE, verify: true, tls: false, cores: undefined });
  s3 = new S3Client({
    endpoint: store.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: { accessKeyId: 'AKIA', secretAccessKey: 'secret' },
  });
});

afterAll(async () => {
  s3.destroy();
  await store.close();
  rmSync(folder, { recursive: true });
});

beforeEach(async () => {
  await store.clear();
});

const put = (Key: string, Body: string | Buffer, more = {}) =>
  s3.send(new PutObjectCommand({ Bucket: 'b', Key, Body, ...more }));
const md5 = (data: string | Buffer) => createHash('md5').update(data);

test('answers the MD5 of what it got, in one piece and in many', async () => {
  for (const body of [Buffer.alloc(0), 'a page', Buffer.alloc(3_000_000, 'picture')]) {
    expect((await put('a', body)).ETag).toBe(`"${md5(body).digest('hex')}"`);
  }
});

test('refuses a body that is not what its digest says, and counts it', async () => {
  const wrong = { ContentMD5: md5('another').digest('base64') };
  await expect(put('a', 'a page', wrong)).rejects.toMatchObject({ name: 'BadDigest' });
  await expect(put('a', 'a page', { ChecksumCRC32: 'AAAAAA==' })).rejects.toMatchObject({ name: 'BadDigest' });
  expect(await store.count()).toMatchObject({ objects: 0, requests: 2, counts: { PutObject: 2, BadDigest: 2 } });
});

test('holds a body against its SHA-256, as a checksum', async () => {
  const sha256 = (body: string) => createHash('sha256').update(body).digest('base64');
  const wrong = put('a', 'a page', { ChecksumSHA256: sha256('another') });
  await expect(wrong).rejects.toMatchObject({ name: 'BadDigest' });
  await put('a', 'a page', { ChecksumSHA256: sha256('a page') });
});

test('holds a body against the SHA-256 behind it', async () => {
  const send = (checksum: string) =>
    new Promise((resolve, reject) => {
      const headers = {
        'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
        'x-amz-trailer': 'x-amz-checksum-sha256',
      };
      request(`${store.endpoint}/b/a`, { method: 'PUT', headers }, (answer) => resolve(answer.resume().statusCode))
        .on('error', reject)
        .end(`2\r\na \r\n4\r\npage\r\n0\r\n${checksum}\r\n`);
    });
  const sha256 = (body: string) => createHash('sha256').update(body).digest('base64');
  expect(await send(`x-amz-checksum-sha256:${sha256('a page')}\r\n`)).toBe(200);
  expect(await send(`x-amz-checksum-sha256:${sha256('another')}\r\n`)).toBe(400);
  expect(await send('')).toBe(400);
});

test('holds a body against its signed SHA-256', async () => {
  const status = await new Promise((resolve, reject) => {
    const headers = { 'x-amz-content-sha256': '0'.repeat(64) };
    request(`${store.endpoint}/b/a`, { method: 'PUT', headers }, (answer) => resolve(answer.resume().statusCode))
      .on('error', reject)
      .end('a page');
  });
  expect(status).toBe(400);
});

test('takes a body in chunks, as clients send it that do not know how long it is', async () => {
  await new Promise((resolve, reject) => {
    const put = request(`${store.endpoint}/b/a`, { method: 'PUT' }, (answer) => answer.resume().on('end', resolve));
    put.on('error', reject).write('one ');
    put.end('two');
  });
  const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket: 'b' }));
  expect(Contents).toMatchObject([{ Key: 'a', Size: 7, ETag: `"${md5('one two').digest('hex')}"` }]);
});

test('lists in pages, below a prefix and from where it is told', async () => {
  for (const key of ['a/1', 'a/2', 'a/3', 'b/1']) await put(key, key);
  const page = (more: object) => s3.send(new ListObjectsV2Command({ Bucket: 'b', Prefix: 'a/', ...more }));
  const keys = ({ Contents = [] }: Awaited<ReturnType<typeof page>>) => Contents.map(({ Key }) => Key);
  const first = await page({ MaxKeys: 2 });
  expect([keys(first), first.IsTruncated]).toEqual([['a/1', 'a/2'], true]);
  const second = await page({ ContinuationToken: first.NextContinuationToken });
  expect([keys(second), second.IsTruncated]).toEqual([['a/3'], false]);
  expect(keys(await page({ StartAfter: 'a/1' }))).toEqual(['a/2', 'a/3']);
});

test('keeps an object that is there from a put on the condition that nothing is', async () => {
  const { ETag } = await put('a', 'first', { IfNoneMatch: '*' });
  await expect(put('a', 'second', { IfNoneMatch: '*' })).rejects.toMatchObject({ name: 'PreconditionFailed' });
  await expect(put('a', 'second', { IfMatch: '"other"' })).rejects.toMatchObject({ name: 'PreconditionFailed' });
  await put('a', 'second', { IfMatch: ETag });
});

test('puts parts together, and tells of uploads that are left open', async () => {
  const target = { Bucket: 'b', Key: 'film' };
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(target));
  const parts = ['one', 'two'];
  const digests = parts.map((part) => md5(part).digest());
  // The last one first, and with an MD5, which the store makes of parts for who sends one.
  for (const [nth, Body] of [...parts.entries()].reverse()) {
    const ContentMD5 = digests[nth]?.toString('base64');
    await s3.send(new UploadPartCommand({ ...target, UploadId, PartNumber: nth + 1, Body, ContentMD5 }));
  }
  expect((await store.count()).openUploads).toBe(1);
  const { ETag } = await s3.send(new CompleteMultipartUploadCommand({ ...target, UploadId }));
  expect(ETag).toBe(`"${md5(Buffer.concat(digests)).digest('hex')}-2"`);
  expect(await store.count()).toMatchObject({ openUploads: 0, objects: 1 });
});

test('puts back what was there', async () => {
  await put('a', 'before');
  await store.save('then');
  await put('b', 'after');
  expect(await store.restore('then')).toMatchObject({ objects: 1 });
});

test('refuses what is too much, and says how much', async () => {
  await store.setPace({ ...PACE, perSecond: 10 });
  const answers = await Promise.allSettled(Array.from({ length: 20 }, (_, nth) => put(`${nth}`, 'a page')));
  await store.setPace(PACE);
  const refused = answers.filter(({ status }) => status === 'rejected').length;
  expect(refused).toBeGreaterThan(10);
  expect(await store.count()).toMatchObject({ requests: 20, counts: { SlowDown: refused }, objects: 20 - refused });
});

test('lets requests wait for their turn', async () => {
  await store.setPace({ ms: 50, listMs: 0, slots: 2 });
  const started = performance.now();
  await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((key) => put(key, 'a page')));
  await store.setPace(PACE);
  expect(performance.now() - started).toBeGreaterThan(140);
});

test('takes frames apart wherever they are cut', () => {
  const framed = Buffer.from('6;chunk-signature=00\r\nhello \r\n5\r\nworld\r\n0\r\nx-amz-trailer:1\r\n\r\nGET /');
  for (const length of [1, 2, 3, 7, framed.length]) {
    const chunks = new Chunks();
    let data = '';
    let rest = '';
    for (let at = 0; at < framed.length; at += length) {
      const piece = framed.subarray(at, at + length);
      if (chunks.done) rest += piece;
      else rest += chunks.push(piece, (some) => (data += some)) ?? '';
    }
    expect([data, chunks.done, rest]).toEqual(['hello world', true, 'GET /']);
  }
});
