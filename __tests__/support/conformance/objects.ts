import { createHash } from 'node:crypto';
import { GetObjectCommand, HeadBucketCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { expect } from '@jest/globals';
import { type Case, outcome } from './scene.ts';

const md5 = (body: string | Uint8Array) => createHash('md5').update(body).digest('hex');

/** Putting and getting: bodies, headers, conditions of a GET, what is not there. */
export const objectCases: Case[] = [
  {
    name: 'a body comes back byte for byte, and its ETag is the quoted MD5 everywhere',
    async run({ s3, bucket: Bucket }) {
      const Body = Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 31) % 256));
      const ETag = `"${md5(Body)}"`;
      const at = { Bucket, Key: 'a.bin' };
      expect(await s3.send(new PutObjectCommand({ ...at, Body }))).toMatchObject({ ETag });
      expect(await s3.send(new HeadObjectCommand(at))).toMatchObject({ ETag, ContentLength: 70_000 });
      const got = await s3.send(new GetObjectCommand(at));
      expect(got).toMatchObject({ ETag, ContentLength: 70_000 });
      expect(Buffer.compare(await got.Body!.transformToByteArray(), Body)).toBe(0);
    },
  },
  {
    name: 'an object may be empty',
    async run({ s3, bucket: Bucket, cloud }) {
      await s3.send(new PutObjectCommand({ Bucket, Key: 'empty', Body: Buffer.alloc(0) }));
      expect((await cloud.objects(Bucket)).get('empty')!.body).toHaveLength(0);
    },
  },
  {
    name: 'headers come back as they were put, and a second put leaves none of the first',
    async run({ s3, bucket: Bucket }) {
      const headers = {
        ContentType: 'text/html; charset=utf-8',
        CacheControl: 'public, max-age=0, must-revalidate',
        ContentEncoding: 'gzip',
        ContentDisposition: 'attachment; filename="a b.html"',
        ContentLanguage: 'de-AT',
        WebsiteRedirectLocation: '/elsewhere/',
        Metadata: { 'one-two': 'x=1; y', three: '3' },
      };
      const at = { Bucket, Key: 'page' };
      await s3.send(new PutObjectCommand({ ...at, Body: 'x', ...headers }));
      expect(await s3.send(new HeadObjectCommand(at))).toMatchObject(headers);
      await s3.send(new PutObjectCommand({ ...at, Body: 'x', ContentType: 'text/plain' }));
      const after = await s3.send(new HeadObjectCommand(at));
      expect(after).toMatchObject({ ContentType: 'text/plain', Metadata: {} });
      expect(after.CacheControl ?? after.ContentEncoding ?? after.WebsiteRedirectLocation).toBeUndefined();
    },
  },
  {
    name: 'objects() and putObject() of the test cloud speak of the same objects',
    async run({ s3, bucket: Bucket, cloud }) {
      await cloud.putObject(Bucket, 'a', 'body', { 'Cache-Control': 'no-store', 'x-amz-meta-who': 'me' });
      expect(await s3.send(new HeadObjectCommand({ Bucket, Key: 'a' }))).toMatchObject({ Metadata: { who: 'me' } });
      const { body, headers } = (await cloud.objects(Bucket)).get('a')!;
      expect(body.toString()).toBe('body');
      expect(headers).toMatchObject({
        'cache-control': 'no-store',
        'x-amz-meta-who': 'me',
        etag: `"${md5('body')}"`,
      });
    },
  },
  {
    name: 'Last-Modified is the time of the put',
    async run({ s3, bucket: Bucket }) {
      await s3.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' }));
      const { LastModified } = await s3.send(new HeadObjectCommand({ Bucket, Key: 'a' }));
      expect(Math.abs(LastModified!.getTime() - Date.now())).toBeLessThan(5_000);
    },
  },
  {
    name: 'a range is answered with 206, one behind the end with 416',
    async run({ s3, bucket: Bucket, cloud }) {
      await cloud.putObject(Bucket, 'a', '0123456789');
      const get = (Range: string) => s3.send(new GetObjectCommand({ Bucket, Key: 'a', Range }));
      const part = await get('bytes=2-4');
      expect([part.$metadata.httpStatusCode, part.ContentRange]).toEqual([206, 'bytes 2-4/10']);
      expect(await part.Body!.transformToString()).toBe('234');
      expect(await outcome(get('bytes=20-30'))).toBe('416 InvalidRange');
    },
  },
  {
    name: 'If-None-Match and If-Match of a GET are answered with 304 and 412',
    async run({ s3, bucket: Bucket, cloud }) {
      await cloud.putObject(Bucket, 'a', 'x');
      const get = (conditions: object) => outcome(s3.send(new GetObjectCommand({ Bucket, Key: 'a', ...conditions })));
      expect(await get({ IfNoneMatch: `"${md5('x')}"` })).toMatch(/^304/);
      expect(await get({ IfNoneMatch: `"${md5('y')}"` })).toBe('200');
      expect(await get({ IfMatch: `"${md5('y')}"` })).toBe('412 PreconditionFailed');
      expect(await get({ IfMatch: `"${md5('x')}"` })).toBe('200');
    },
  },
  {
    name: 'what is not there is 404, a key and a bucket alike',
    async run({ s3, bucket: Bucket }) {
      const missing = { Bucket: `${Bucket}-missing`, Key: 'a' };
      expect(await outcome(s3.send(new GetObjectCommand({ Bucket, Key: 'a' })))).toBe('404 NoSuchKey');
      expect(await outcome(s3.send(new HeadObjectCommand({ Bucket, Key: 'a' })))).toBe('404');
      expect(await outcome(s3.send(new PutObjectCommand({ ...missing, Body: 'x' })))).toBe('404 NoSuchBucket');
      expect(await outcome(s3.send(new HeadBucketCommand(missing)))).toBe('404');
      expect(await outcome(s3.send(new HeadBucketCommand({ Bucket })))).toBe('200');
    },
  },
  {
    name: 'a key is 1024 bytes long at most, as UTF-8',
    async run({ s3, bucket: Bucket }) {
      const put = (Key: string) => outcome(s3.send(new PutObjectCommand({ Bucket, Key, Body: 'x' })));
      expect(await put('ü'.repeat(512))).toBe('200');
      expect(await put(`${'ü'.repeat(512)}a`)).toMatch(/^400/);
    },
  },
];
