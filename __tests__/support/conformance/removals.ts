import { createHash } from 'node:crypto';
import { CopyObjectCommand, DeleteObjectCommand, DeleteObjectsCommand, HeadObjectCommand } from '@aws-sdk/client-s3';
import { expect } from '@jest/globals';
import { type Case, outcome } from './scene.ts';

const md5 = (body: string) => createHash('md5').update(body).digest('hex');

/** Copies and deletions. */
export const removalCases: Case[] = [
  {
    name: 'an object copied onto itself gets new headers and keeps its ETag; without new ones it is refused',
    async run({ s3, bucket: Bucket, cloud }) {
      const Key = 'ü +%46/a';
      await cloud.putObject(Bucket, Key, 'x', { 'cache-control': 'no-store', 'x-amz-meta-old': '1' });
      const at = { Bucket, Key, CopySource: `${Bucket}/${encodeURIComponent(Key)}` };
      const fresh = { MetadataDirective: 'REPLACE', ContentType: 'text/css', CacheControl: 'max-age=1' } as const;
      await s3.send(new CopyObjectCommand({ ...at, ...fresh }));
      const after = await s3.send(new HeadObjectCommand({ Bucket, Key }));
      expect(after).toMatchObject({ ETag: `"${md5('x')}"`, ContentType: 'text/css', CacheControl: 'max-age=1' });
      expect(after.Metadata).toEqual({});
      expect(await outcome(s3.send(new CopyObjectCommand(at)))).toBe('400 InvalidRequest');
    },
  },
  {
    name: 'a copy of a missing key is NoSuchKey',
    async run({ s3, bucket: Bucket }) {
      const copy = new CopyObjectCommand({ Bucket, Key: 'b', CopySource: `${Bucket}/a` });
      expect(await outcome(s3.send(copy))).toBe('404 NoSuchKey');
    },
  },
  {
    name: 'a delete is 204, whether the key was there or not',
    async run({ s3, bucket: Bucket, cloud }) {
      await cloud.putObject(Bucket, 'a', 'x');
      const drop = () => outcome(s3.send(new DeleteObjectCommand({ Bucket, Key: 'a' })));
      expect([await drop(), await drop()]).toEqual(['204', '204']);
      expect((await cloud.objects(Bucket)).size).toBe(0);
    },
  },
  {
    name: 'a batch deletes what it names and no more, missing keys included; quiet, it names none',
    async run({ s3, bucket: Bucket, cloud }) {
      const keys = ['a', 'a b', 'a+b', 'a%2Bb', 'ü', '<&>"\'', 'kept'];
      for (const key of keys) await cloud.putObject(Bucket, key, 'x');
      const send = (Objects: { Key: string }[], Quiet: boolean) =>
        s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet } }));
      const some = keys.slice(0, 5).map((Key) => ({ Key }));
      const loud = await send([...some, { Key: 'missing' }], false);
      expect(loud.Deleted?.map(({ Key }) => Key).sort()).toEqual([...keys.slice(0, 5), 'missing'].sort());
      const quiet = await send([{ Key: keys[5]! }], true);
      expect([quiet.Deleted ?? [], quiet.Errors ?? []]).toEqual([[], []]);
      expect([...(await cloud.objects(Bucket)).keys()]).toEqual(['kept']);
    },
  },
  {
    name: 'a batch of more than 1000 is refused',
    async run({ s3, bucket: Bucket }) {
      const Objects = Array.from({ length: 1001 }, (_, index) => ({ Key: String(index) }));
      expect(await outcome(s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } })))).toMatch(/^400/);
    },
  },
];
