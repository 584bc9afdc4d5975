import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectLockConfigurationCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from '../support/cloud/cloud.ts';
import { allow, policy, s3Client } from './clients.ts';

let cloud: LoopbackCloud;
let s3: S3Client;
beforeAll(async () => {
  cloud = await startCloud();
  await cloud.createBucket('versioned', { versioning: true });
  await cloud.createBucket('locked', { objectLock: { mode: 'GOVERNANCE', days: 1 } });
  await cloud.createBucket('plain');
  s3 = s3Client(cloud, await cloud.createUser('ann', policy(allow('s3:*'))));
});
afterAll(() => cloud.close());

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => 'fine',
    (error) => error.name,
  );

describe('a versioned bucket', () => {
  const Bucket = 'versioned';
  const put = (Key: string, Body: string) => s3.send(new PutObjectCommand({ Bucket, Key, Body }));
  const read = async (Key: string, VersionId?: string) =>
    (await s3.send(new GetObjectCommand({ Bucket, Key, VersionId }))).Body?.transformToString();

  test('keeps what is overwritten', async () => {
    const [first, second] = [await put('a', 'one'), await put('a', 'two')];
    expect(first.VersionId).not.toBe(second.VersionId);
    expect(await read('a')).toBe('two');
    expect(await read('a', first.VersionId)).toBe('one');
    expect(await failure(read('a', 'nonsense'))).toBe('NoSuchVersion');
    expect((await s3.send(new GetBucketVersioningCommand({ Bucket }))).Status).toBe('Enabled');
  });

  test('hides what is deleted behind a marker', async () => {
    const { VersionId } = await put('b', 'kept');
    const marker = await s3.send(new DeleteObjectCommand({ Bucket, Key: 'b' }));
    expect(marker.DeleteMarker).toBe(true);
    expect(await failure(read('b'))).toBe('NoSuchKey');
    expect(await read('b', VersionId)).toBe('kept');
    expect(await failure(s3.send(new HeadObjectCommand({ Bucket, Key: 'b', VersionId: marker.VersionId })))).not.toBe(
      'fine',
    );
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: 'b' }));
    expect(Contents).toEqual([]);
    expect((await cloud.objects(Bucket)).has('b')).toBe(false);

    const listed = await s3.send(new ListObjectVersionsCommand({ Bucket, Prefix: 'b' }));
    expect(listed.Versions).toMatchObject([{ Key: 'b', VersionId, IsLatest: false, Size: 4 }]);
    expect(listed.DeleteMarkers).toMatchObject([{ Key: 'b', VersionId: marker.VersionId, IsLatest: true }]);
  });

  test('gives an object back when its marker is deleted', async () => {
    await put('c', 'back');
    const { Deleted } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: 'c' }] } }));
    expect(Deleted).toMatchObject([{ Key: 'c', DeleteMarker: true }]);
    const VersionId = Deleted![0]!.DeleteMarkerVersionId!;
    const again = await s3.send(new DeleteObjectCommand({ Bucket, Key: 'c', VersionId }));
    expect([again.DeleteMarker, again.VersionId]).toEqual([true, VersionId]);
    expect(await read('c')).toBe('back');
  });

  test('forgets a version that is deleted by id', async () => {
    const { VersionId } = await put('d', 'x');
    await s3.send(new DeleteObjectCommand({ Bucket, Key: 'd', VersionId }));
    expect(cloud.bucket(Bucket).versions('d')).toEqual([]);
  });

  test('lets a write that wants nothing there pass after a delete', async () => {
    await put('e', 'x');
    await s3.send(new DeleteObjectCommand({ Bucket, Key: 'e' }));
    await s3.send(new PutObjectCommand({ Bucket, Key: 'e', Body: 'y', IfNoneMatch: '*' }));
    expect(await read('e')).toBe('y');
  });
});

test('a plain bucket answers no version ids', async () => {
  const { VersionId } = await s3.send(new PutObjectCommand({ Bucket: 'plain', Key: 'a', Body: 'x' }));
  expect(VersionId).toBeUndefined();
  expect((await s3.send(new GetBucketVersioningCommand({ Bucket: 'plain' }))).Status).toBeUndefined();
  expect(await failure(s3.send(new GetObjectLockConfigurationCommand({ Bucket: 'plain' })))).toBe(
    'ObjectLockConfigurationNotFoundError',
  );
});

describe('a locked bucket', () => {
  const Bucket = 'locked';

  test('keeps each version for its time', async () => {
    const { VersionId } = await s3.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' }));
    const { ObjectLockMode, ObjectLockRetainUntilDate } = await s3.send(new HeadObjectCommand({ Bucket, Key: 'a' }));
    expect(ObjectLockMode).toBe('GOVERNANCE');
    expect(ObjectLockRetainUntilDate!.getTime()).toBeGreaterThan(Date.now() + 23 * 3_600_000);
    expect(await failure(s3.send(new DeleteObjectCommand({ Bucket, Key: 'a' })))).toBe('fine');
    const remove = (BypassGovernanceRetention = false) =>
      failure(s3.send(new DeleteObjectCommand({ Bucket, Key: 'a', VersionId, BypassGovernanceRetention })));
    expect(await remove()).toBe('AccessDenied');
    expect(await remove(true)).toBe('fine');
  });

  test('wants a digest with every PUT', async () => {
    const bare = s3Client(cloud, cloud.ownerKeys, { requestChecksumCalculation: 'WHEN_REQUIRED' });
    const put = new PutObjectCommand({ Bucket, Key: 'b', Body: 'x' });
    expect(await failure(bare.send(put))).toBe('InvalidRequest');
    expect(await failure(s3.send(put))).toBe('fine');
  });

  test('says so', async () => {
    const { ObjectLockConfiguration } = await s3.send(new GetObjectLockConfigurationCommand({ Bucket }));
    expect(ObjectLockConfiguration?.Rule?.DefaultRetention).toEqual({ Mode: 'GOVERNANCE', Days: 1 });
  });
});
