import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { expect } from '@jest/globals';
import { allow, type Case, deny, outcome } from './scene.ts';

const DENIED = '403 AccessDenied';

/** Requests that a deploy makes, each answering its outcome. */
const does = (s3: S3Client, Bucket: string) => ({
  put: (Key: string, more = {}) => outcome(s3.send(new PutObjectCommand({ Bucket, Key, Body: 'x', ...more }))),
  get: (Key: string) => outcome(s3.send(new GetObjectCommand({ Bucket, Key }))),
  head: (Key: string) => outcome(s3.send(new HeadObjectCommand({ Bucket, Key }))),
  drop: (Key: string) => outcome(s3.send(new DeleteObjectCommand({ Bucket, Key }))),
  list: (Prefix?: string) => outcome(s3.send(new ListObjectsV2Command({ Bucket, ...(Prefix && { Prefix }) }))),
  copy: (from: string, Key: string) =>
    outcome(s3.send(new CopyObjectCommand({ Bucket, Key, CopySource: `${Bucket}/${from}` }))),
  batch: (...keys: string[]) =>
    s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: keys.map((Key) => ({ Key })) } })),
});

/** Who may do what: users, their policies, and what a denial looks like. */
export const permissionCases: Case[] = [
  {
    name: 'a user without a policy may do nothing',
    async run(scene) {
      await scene.cloud.putObject(scene.bucket, 'a', 'x');
      const { put, get, head, drop, list } = does(await scene.user(), scene.bucket);
      expect([await put('a'), await get('a'), await drop('a'), await list()]).toEqual(Array(4).fill(DENIED));
      expect(await head('a')).toBe('403');
    },
  },
  {
    name: 's3:PutObject on a prefix is enough to put there, in one request or in parts, and for nothing else',
    async run(scene) {
      const { bucket: Bucket, cloud } = scene;
      await cloud.putObject(Bucket, 'www/there', 'x');
      const s3 = await scene.user(allow('s3:PutObject', scene.arn('www/*')));
      const { put, get, head, drop, list, copy, batch } = does(s3, Bucket);
      expect([await put('www/a'), await put('www/deep/b ü+')]).toEqual(['200', '200']);
      const at = { Bucket, Key: 'www/parts' };
      const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ ...at, ChecksumAlgorithm: 'CRC32' }));
      const part = { ...at, UploadId, PartNumber: 1 };
      const { ETag, ChecksumCRC32 } = await s3.send(new UploadPartCommand({ ...part, Body: 'x' }));
      const MultipartUpload = { Parts: [{ PartNumber: 1, ETag, ChecksumCRC32 }] };
      const done = s3.send(new CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload }));
      expect(await outcome(done)).toBe('200');

      expect([await put('other'), await put('www'), await put('WWW/a')]).toEqual([DENIED, DENIED, DENIED]);
      expect([await get('www/there'), await list(), await list('www/')]).toEqual([DENIED, DENIED, DENIED]);
      expect([await drop('www/there'), await copy('www/there', 'www/c')]).toEqual([DENIED, DENIED]);
      expect(await head('www/there')).toBe('403');
      const deleted = await batch('www/there').then(
        ({ Errors = [] }) => Errors[0]?.Code,
        ({ name }) => name,
      );
      expect(deleted).toBe('AccessDenied');
      expect([...(await cloud.objects(Bucket)).keys()]).toContain('www/there');
    },
  },
  {
    name: 'listing uploads is a permission of its own, and so is to abort those of others',
    async run(scene) {
      const { bucket: Bucket } = scene;
      const put = allow('s3:PutObject', scene.arn('*'));
      const [plain, more] = [
        await scene.user(put),
        await scene.user(
          put,
          allow('s3:AbortMultipartUpload', scene.arn('*')),
          allow('s3:ListBucketMultipartUploads', scene.arn()),
        ),
      ];
      const listing = (s3: S3Client) => outcome(s3.send(new ListMultipartUploadsCommand({ Bucket })));
      expect([await listing(plain), await listing(more)]).toEqual([DENIED, '200']);
      const { UploadId } = await scene.s3.send(new CreateMultipartUploadCommand({ Bucket, Key: 'a' }));
      const abort = (s3: S3Client) => outcome(s3.send(new AbortMultipartUploadCommand({ Bucket, Key: 'a', UploadId })));
      expect([await abort(plain), await abort(more)]).toEqual([DENIED, '204']);
    },
  },
  {
    name: 'who began an upload may abort it',
    except: { ceph: 'wants s3:AbortMultipartUpload of everybody' },
    async run(scene) {
      const { bucket: Bucket } = scene;
      const s3 = await scene.user(allow('s3:PutObject', scene.arn('*')));
      const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: 'a' }));
      expect(await outcome(s3.send(new AbortMultipartUploadCommand({ Bucket, Key: 'a', UploadId })))).toBe('204');
    },
  },
  {
    name: 'Deny is above Allow',
    async run(scene) {
      const s3 = await scene.user(
        allow('s3:*', [scene.arn(), scene.arn('*')]),
        deny('s3:PutObject', scene.arn('no/*')),
      );
      const { put, list } = does(s3, scene.bucket);
      expect([await put('yes/a'), await put('no/a'), await list()]).toEqual(['200', DENIED, '200']);
    },
  },
  {
    name: 'actions and resources take * and ?, across slashes',
    async run(scene) {
      const s3 = await scene.user(allow(['s3:Put*', 's3:GetObj?ct'], scene.arn('v?/*.html')));
      const { put, get } = does(s3, scene.bucket);
      expect([await put('v1/a.html'), await put('v2/x/y.html'), await get('v1/a.html')]).toEqual(['200', '200', '200']);
      expect([await put('v10/a.html'), await put('v1/a.css')]).toEqual([DENIED, DENIED]);
    },
  },
  {
    name: 's3:prefix limits what may be listed',
    async run(scene) {
      const limited = (operator: string, value: string | string[]) =>
        scene.user(allow('s3:ListBucket', scene.arn(), { [operator]: { 's3:prefix': value } }));
      const exact = does(await limited('StringEquals', 'docs/'), scene.bucket);
      expect(await exact.list('docs/')).toBe('200');
      expect([await exact.list('docs/a'), await exact.list()]).toEqual([DENIED, DENIED]);
      const like = does(await limited('StringLike', ['docs/*', 'blog/*']), scene.bucket);
      expect([await like.list('docs/'), await like.list('docs/a/b'), await like.list('blog/')]).toEqual(
        Array(3).fill('200'),
      );
      expect([await like.list('docs'), await like.list('other/'), await like.list()]).toEqual(Array(3).fill(DENIED));
    },
  },
  {
    name: 'a missing key is 404 for who may list, and 403 for others',
    async run(scene) {
      const read = allow('s3:GetObject', scene.arn('*'));
      const blind = does(await scene.user(read), scene.bucket);
      expect([await blind.get('a'), await blind.head('a')]).toEqual([DENIED, '403']);
      const seeing = does(await scene.user(read, allow('s3:ListBucket', scene.arn())), scene.bucket);
      expect([await seeing.get('a'), await seeing.head('a')]).toEqual(['404 NoSuchKey', '404']);
    },
  },
  {
    name: 'a copy needs to read the one and to write the other',
    async run(scene) {
      await scene.cloud.putObject(scene.bucket, 'from', 'x');
      const write = allow('s3:PutObject', scene.arn('to'));
      expect(await does(await scene.user(write), scene.bucket).copy('from', 'to')).toBe(DENIED);
      const both = await scene.user(write, allow('s3:GetObject', scene.arn('from')));
      expect(await does(both, scene.bucket).copy('from', 'to')).toBe('200');
      expect(await does(both, scene.bucket).copy('from', 'elsewhere')).toBe(DENIED);
    },
  },
  {
    name: 'a batch tells for each key whether it was denied',
    async run(scene) {
      for (const key of ['www/a', 'other']) await scene.cloud.putObject(scene.bucket, key, 'x');
      // The bucket itself is named for Ceph's sake, which asks for it first.
      const s3 = await scene.user(allow('s3:DeleteObject', [scene.arn(), scene.arn('www/*')]));
      const { Deleted, Errors } = await does(s3, scene.bucket).batch('www/a', 'other');
      expect(Deleted).toMatchObject([{ Key: 'www/a' }]);
      expect(Errors).toMatchObject([{ Key: 'other', Code: 'AccessDenied' }]);
      expect([...(await scene.cloud.objects(scene.bucket)).keys()]).toEqual(['other']);
    },
  },
  {
    name: 'a batch needs s3:DeleteObject on its keys alone',
    except: { ceph: 'wants s3:DeleteObject on the bucket as well, or refuses the whole batch' },
    async run(scene) {
      await scene.cloud.putObject(scene.bucket, 'www/a', 'x');
      const s3 = await scene.user(allow('s3:DeleteObject', scene.arn('www/*')));
      const { Deleted, Errors } = await does(s3, scene.bucket).batch('www/a', 'other');
      expect(Deleted).toMatchObject([{ Key: 'www/a' }]);
      expect(Errors).toMatchObject([{ Key: 'other', Code: 'AccessDenied' }]);
    },
  },
  {
    name: 'conditions on headers are compared with those that were sent',
    async run(scene) {
      const s3 = await scene.user(
        allow('s3:*', scene.arn('*')),
        deny('s3:PutObject', scene.arn('*'), { StringEquals: { 's3:x-amz-acl': 'public-read' } }),
      );
      const { put } = does(s3, scene.bucket);
      expect([await put('a'), await put('a', { ACL: 'bucket-owner-full-control' })]).toEqual(['200', '200']);
      expect(await put('a', { ACL: 'public-read' })).toBe(DENIED);
    },
  },
  {
    name: 'an ACL and tags need permissions besides s3:PutObject',
    except: { ceph: 's3:PutObject is enough for both' },
    async run(scene) {
      const { put } = does(await scene.user(allow('s3:PutObject', scene.arn('*'))), scene.bucket);
      expect([await put('a', { ACL: 'private' }), await put('a', { Tagging: 'a=b' })]).toEqual([DENIED, DENIED]);
      const more = await scene.user(allow(['s3:PutObject', 's3:PutObjectAcl', 's3:PutObjectTagging'], scene.arn('*')));
      const { put: may } = does(more, scene.bucket);
      expect([await may('a', { ACL: 'bucket-owner-full-control' }), await may('a', { Tagging: 'a=b' })]).toEqual([
        '200',
        '200',
      ]);
    },
  },
  {
    name: 'NotAction allows all the rest',
    except: { ceph: 'NotAction allows nothing' },
    async run(scene) {
      const s3 = await scene.user({
        Effect: 'Allow',
        NotAction: 's3:DeleteObject',
        Resource: [scene.arn(), scene.arn('*')],
      });
      const { put, drop } = does(s3, scene.bucket);
      expect([await put('a'), await drop('a')]).toEqual(['200', DENIED]);
    },
  },
];
