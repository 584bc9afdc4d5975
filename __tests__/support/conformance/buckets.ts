import {
  GetBucketLocationCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { expect } from '@jest/globals';
import { type Case, outcome } from './scene.ts';

/** What a deploy asks a bucket about itself, and what it asks of it beside the bytes. */
export const bucketCases: Case[] = [
  {
    name: 'a new bucket has no versions and no Object Lock',
    async run({ s3, bucket: Bucket }) {
      expect((await s3.send(new GetBucketVersioningCommand({ Bucket }))).Status).toBeUndefined();
      expect(await outcome(s3.send(new GetObjectLockConfigurationCommand({ Bucket })))).toBe(
        '404 ObjectLockConfigurationNotFoundError',
      );
    },
  },
  {
    name: 'GetBucketLocation names the region',
    async run({ s3, bucket: Bucket, cloud }) {
      expect((await s3.send(new GetBucketLocationCommand({ Bucket }))).LocationConstraint).toBe(cloud.region);
    },
  },
  {
    name: 'HeadBucket names the region, to who may look and who may not',
    except: { ceph: 'sends no x-amz-bucket-region' },
    async run(scene) {
      const { bucket: Bucket, cloud, s3 } = scene;
      expect((await s3.send(new HeadBucketCommand({ Bucket }))).BucketRegion).toBe(cloud.region);
      const denied = await (await scene.user()).send(new HeadBucketCommand({ Bucket })).catch((error) => error);
      expect(denied.$response.headers['x-amz-bucket-region']).toBe(cloud.region);
      expect(denied.$metadata.httpStatusCode).toBe(403);
    },
  },
  {
    name: 'another owner than the expected one is 403',
    except: { ceph: 'x-amz-expected-bucket-owner is ignored' },
    async run({ s3, bucket: Bucket, cloud }) {
      const head = (ExpectedBucketOwner: string) =>
        outcome(s3.send(new HeadBucketCommand({ Bucket, ExpectedBucketOwner })));
      expect([await head(cloud.account), await head('999999999999')]).toEqual(['200', '403']);
      const put = new PutObjectCommand({ Bucket, Key: 'a', Body: 'x', ExpectedBucketOwner: '999999999999' });
      expect(await outcome(s3.send(put))).toBe('403 AccessDenied');
    },
  },
  {
    name: 'tags are kept and counted',
    async run({ s3, bucket: Bucket }) {
      const at = { Bucket, Key: 'a' };
      await s3.send(new PutObjectCommand({ ...at, Body: 'x', Tagging: 'one=1&two%20words=a%20b' }));
      expect((await s3.send(new GetObjectTaggingCommand(at))).TagSet).toEqual(
        expect.arrayContaining([
          { Key: 'one', Value: '1' },
          { Key: 'two words', Value: 'a b' },
        ]),
      );
      expect((await s3.send(new HeadObjectCommand(at))).$metadata.httpStatusCode).toBe(200);
    },
  },
  {
    name: 'encryption with the keys of the store is answered as asked for',
    except: { ceph: 'SSE-S3 is accepted, not stored and not answered' },
    async run({ s3, bucket: Bucket }) {
      const put = new PutObjectCommand({ Bucket, Key: 'a', Body: 'x', ServerSideEncryption: 'AES256' });
      expect((await s3.send(put)).ServerSideEncryption).toBe('AES256');
    },
  },
  {
    name: 'encryption with a KMS key makes the ETag something else than the MD5',
    except: { ceph: 'the ETag stays the MD5' },
    async run({ s3, bucket: Bucket }) {
      const put = new PutObjectCommand({ Bucket, Key: 'a', Body: 'x', ServerSideEncryption: 'aws:kms' });
      const { ETag, ServerSideEncryption } = await s3.send(put);
      expect(ServerSideEncryption).toBe('aws:kms');
      expect(ETag).toMatch(/^"[0-9a-f]{32}"$/);
      expect(ETag).not.toBe('"9dd4e461268c8034f5c8564e155c67a6"');
      expect((await s3.send(new HeadObjectCommand({ Bucket, Key: 'a' }))).ETag).toBe(ETag);
    },
  },
];
