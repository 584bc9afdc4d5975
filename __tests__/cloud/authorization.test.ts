import {
  CopyObjectCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from '../support/cloud/cloud.ts';
import type { PolicyDocument, PolicyStatement } from '../support/test-cloud.ts';
import { allow, deny, policy, s3Client } from './clients.ts';

const Bucket = 'web';
const ALL = 'arn:aws:s3:::web/*';
let cloud: LoopbackCloud;
let s3: S3Client;
beforeAll(async () => {
  cloud = await startCloud();
  await cloud.createBucket(Bucket, { acls: true });
  s3 = s3Client(cloud, await cloud.createUser('ann'));
});
beforeEach(async () => {
  cloud.bucket(Bucket).options.policy = undefined;
  cloud.bucket(Bucket).options.bareDenials = false;
  await cloud.putObject(Bucket, 'docs/there', 'x');
});
afterAll(() => cloud.close());

const may = (...statements: PolicyStatement[]) => cloud.setUserPolicy('ann', policy(...statements));

/** `allowed`, or the action that the denial names, or the code where it names none. */
async function outcome(command: { input: object }): Promise<string> {
  try {
    await s3.send(command as never);
    return 'allowed';
  } catch (error) {
    const { name, message, $metadata } = error as {
      name: string;
      message: string;
      $metadata: { httpStatusCode: number };
    };
    return /perform: (\S+)/.exec(message)?.[1] ?? `${$metadata.httpStatusCode} ${name}`;
  }
}

const Key = 'docs/x';
const Body = 'x';
const ETAG = '"9dd4e461268c8034f5c8564e155c67a6"';

test.each<[string, string[], string, { input: object }]>([
  ['PutObject', ['s3:PutObject'], 'allowed', new PutObjectCommand({ Bucket, Key, Body })],
  ['PutObject', ['s3:GetObject'], 's3:PutObject', new PutObjectCommand({ Bucket, Key, Body })],
  [
    'a tagged PutObject',
    ['s3:PutObject'],
    's3:PutObjectTagging',
    new PutObjectCommand({ Bucket, Key, Body, Tagging: 'a=1' }),
  ],
  [
    'a tagged PutObject',
    ['s3:PutObject', 's3:PutObjectTagging'],
    'allowed',
    new PutObjectCommand({ Bucket, Key, Body, Tagging: 'a=1' }),
  ],
  [
    'PutObject with an ACL',
    ['s3:PutObject'],
    's3:PutObjectAcl',
    new PutObjectCommand({ Bucket, Key, Body, ACL: 'public-read' }),
  ],
  [
    'PutObject with an ACL',
    ['s3:PutObject', 's3:PutObjectAcl'],
    'allowed',
    new PutObjectCommand({ Bucket, Key, Body, ACL: 'public-read' }),
  ],
  [
    'PutObject if none is there',
    ['s3:PutObject'],
    'allowed',
    new PutObjectCommand({ Bucket, Key: 'docs/new', Body, IfNoneMatch: '*' }),
  ],
  [
    'PutObject over an ETag',
    ['s3:PutObject'],
    's3:GetObject',
    new PutObjectCommand({ Bucket, Key: 'docs/there', Body, IfMatch: ETAG }),
  ],
  [
    'PutObject over an ETag',
    ['s3:PutObject', 's3:GetObject'],
    'allowed',
    new PutObjectCommand({ Bucket, Key: 'docs/there', Body, IfMatch: ETAG }),
  ],
  ['GetObject', ['s3:GetObject'], 'allowed', new GetObjectCommand({ Bucket, Key: 'docs/there' })],
  ['GetObject', ['s3:ListBucket'], 's3:GetObject', new GetObjectCommand({ Bucket, Key: 'docs/there' })],
  ['GetObject of nothing', ['s3:GetObject'], 's3:ListBucket', new GetObjectCommand({ Bucket, Key: 'no' })],
  [
    'GetObject of nothing',
    ['s3:GetObject', 's3:ListBucket'],
    '404 NoSuchKey',
    new GetObjectCommand({ Bucket, Key: 'no' }),
  ],
  ['HeadObject of nothing', ['s3:GetObject'], '403 Unknown', new HeadObjectCommand({ Bucket, Key: 'no' })],
  [
    'HeadObject of nothing',
    ['s3:GetObject', 's3:ListBucket'],
    '404 NotFound',
    new HeadObjectCommand({ Bucket, Key: 'no' }),
  ],
  ['HeadBucket', ['s3:ListBucket'], 'allowed', new HeadBucketCommand({ Bucket })],
  ['HeadBucket', ['s3:HeadBucket'], '403 Unknown', new HeadBucketCommand({ Bucket })],
  ['ListObjectsV2', ['s3:ListBucket'], 'allowed', new ListObjectsV2Command({ Bucket })],
  ['ListObjectsV2', ['s3:ListObjectsV2'], 's3:ListBucket', new ListObjectsV2Command({ Bucket })],
  ['DeleteObject', ['s3:DeleteObject'], 'allowed', new DeleteObjectCommand({ Bucket, Key })],
  ['DeleteObject', ['s3:PutObject'], 's3:DeleteObject', new DeleteObjectCommand({ Bucket, Key })],
  [
    'DeleteObject of a version',
    ['s3:DeleteObject'],
    's3:DeleteObjectVersion',
    new DeleteObjectCommand({ Bucket, Key, VersionId: 'null' }),
  ],
  [
    'DeleteObject if anything is there',
    ['s3:DeleteObject'],
    '412 PreconditionFailed',
    new DeleteObjectCommand({ Bucket, Key: 'no', IfMatch: '*' }),
  ],
  [
    'DeleteObject if anything is there',
    ['s3:GetObject'],
    's3:DeleteObject',
    new DeleteObjectCommand({ Bucket, Key: 'no', IfMatch: '*' }),
  ],
  [
    'DeleteObject of an ETag',
    ['s3:DeleteObject'],
    's3:GetObject',
    new DeleteObjectCommand({ Bucket, Key: 'no', IfMatch: ETAG }),
  ],
  [
    'CopyObject',
    ['s3:PutObject'],
    's3:GetObject',
    new CopyObjectCommand({ Bucket, Key, CopySource: 'web/docs/there' }),
  ],
  [
    'CopyObject',
    ['s3:GetObject'],
    's3:PutObject',
    new CopyObjectCommand({ Bucket, Key, CopySource: 'web/docs/there' }),
  ],
  [
    'CopyObject',
    ['s3:GetObject', 's3:PutObject'],
    'allowed',
    new CopyObjectCommand({ Bucket, Key, CopySource: 'web/docs/there' }),
  ],
])('%s with %j: %s', async (_, actions, expected, command) => {
  may(allow(actions, ['arn:aws:s3:::web', ALL]));
  expect(await outcome(command)).toBe(expected);
});

describe('a prefix', () => {
  const list = (Prefix?: string) => outcome(new ListObjectsV2Command({ Bucket, Prefix }));

  test('of a list is asked for by its condition', async () => {
    may({ ...allow('s3:ListBucket', 'arn:aws:s3:::web'), Condition: { StringLike: { 's3:prefix': 'docs/*' } } });
    expect(await list('docs/')).toBe('allowed');
    expect(await list('docs/a')).toBe('allowed');
    expect(await list('docs')).toBe('s3:ListBucket');
    expect(await list()).toBe('s3:ListBucket');
    expect(await outcome(new HeadBucketCommand({ Bucket }))).toBe('403 Unknown');
  });

  test('in that condition hides missing keys below it, too', async () => {
    const Condition = { StringLike: { 's3:prefix': 'docs/*' } };
    may(allow('s3:GetObject', ALL), { ...allow('s3:ListBucket', 'arn:aws:s3:::web'), Condition });
    expect(await outcome(new GetObjectCommand({ Bucket, Key: 'docs/no' }))).toBe('s3:ListBucket');
  });

  test('of keys is the end of the resource', async () => {
    may(allow('s3:PutObject', 'arn:aws:s3:::web/docs/*'));
    expect(await outcome(new PutObjectCommand({ Bucket, Key: 'docs/a/b', Body }))).toBe('allowed');
    expect(await outcome(new PutObjectCommand({ Bucket, Key: 'docs', Body }))).toBe('s3:PutObject');
    expect(await outcome(new PutObjectCommand({ Bucket, Key: 'docs/../x', Body }))).toBe('allowed');
  });
});

test('headers are condition keys', async () => {
  const wants = (key: string, value: string) => ({ Null: {}, StringEquals: { [key]: value } });
  const put = (input: object) => outcome(new PutObjectCommand({ Bucket, Key, Body, ...input }));
  may({ ...allow('s3:PutObject', ALL), Condition: wants('s3:x-amz-server-side-encryption', 'AES256') });
  expect(await put({ ServerSideEncryption: 'AES256' })).toBe('allowed');
  expect(await put({})).toBe('s3:PutObject');
  may({ ...allow(['s3:PutObject', 's3:PutObjectAcl'], ALL), Condition: wants('s3:x-amz-acl', 'private') });
  expect(await put({ ACL: 'private' })).toBe('allowed');
  expect(await put({ ACL: 'public-read' })).toBe('s3:PutObject');
  may({ ...allow('s3:PutObject', ALL), Condition: { Null: { 's3:if-none-match': 'false' } } });
  expect(await put({ Key: 'docs/once', IfNoneMatch: '*' })).toBe('allowed');
  expect(await put({})).toBe('s3:PutObject');
  may({ ...allow('s3:PutObject', ALL), Condition: { Bool: { 'aws:SecureTransport': 'true' } } });
  expect(await put({})).toBe('s3:PutObject');
  may({ ...allow('s3:PutObject', ALL), Condition: { StringEquals: { 'aws:username': 'ann' } } });
  expect(await put({})).toBe('allowed');
});

test('a batch delete is decided key by key', async () => {
  may(allow('s3:DeleteObject', 'arn:aws:s3:::web/docs/*'));
  const Objects = [{ Key: 'docs/a' }, { Key: 'other' }];
  const { Deleted, Errors } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
  expect(Deleted).toEqual([{ Key: 'docs/a' }]);
  expect(Errors).toMatchObject([
    {
      Key: 'other',
      Code: 'AccessDenied',
      Message: expect.stringContaining('perform: s3:DeleteObject on resource: "arn:aws:s3:::web/other"'),
    },
  ]);
});

describe('a denial', () => {
  const message = async () => {
    const error = await s3.send(new PutObjectCommand({ Bucket, Key, Body })).catch((e) => e);
    return `${error.name}: ${error.message}`;
  };
  const sentence =
    'AccessDenied: User: arn:aws:iam::123456789012:user/ann is not authorized to perform: s3:PutObject on resource: "arn:aws:s3:::web/docs/x"';

  test('says who, what, where and why', async () => {
    may(allow('s3:GetObject'));
    expect(await message()).toBe(`${sentence} because no identity-based policy allows the s3:PutObject action`);
    may(allow('s3:*'), deny('s3:PutObject', ALL));
    expect(await message()).toBe(`${sentence} with an explicit deny in an identity-based policy`);
  });

  test('of the bucket says so', async () => {
    may(allow('s3:*'));
    cloud.bucket(Bucket).options.policy = policy({ ...deny('s3:PutObject', ALL), Principal: '*' });
    expect(await message()).toBe(`${sentence} with an explicit deny in a resource-based policy`);
  });

  test('across organisations says nothing', async () => {
    may(allow('s3:GetObject'));
    cloud.bucket(Bucket).options.bareDenials = true;
    expect(await message()).toBe('AccessDenied: Access Denied');
  });
});

describe('a bucket policy', () => {
  const get = (key: string) => fetch(`${cloud.s3Endpoint}/web/${key}`);
  const set = (document: PolicyDocument) => {
    cloud.bucket(Bucket).options.policy = document;
  };

  test('makes objects public', async () => {
    expect((await get('docs/there')).status).toBe(403);
    set(policy({ ...allow('s3:GetObject', ALL), Principal: '*' }));
    const answer = await get('docs/there');
    expect([answer.status, await answer.text()]).toEqual([200, 'x']);
    expect((await get('docs/missing')).status).toBe(403);
    expect(await (await get('docs/missing')).text()).toContain('<Message>Access Denied</Message>');
  });

  test('grants to a user who has nothing else, and to no other', async () => {
    may(allow('s3:GetBucketLocation'));
    set(policy({ ...allow('s3:PutObject', ALL), Principal: { AWS: 'arn:aws:iam::123456789012:user/ann' } }));
    expect(await outcome(new PutObjectCommand({ Bucket, Key, Body }))).toBe('allowed');
    const other = s3Client(cloud, await cloud.createUser('bob'));
    await expect(other.send(new PutObjectCommand({ Bucket, Key, Body }))).rejects.toMatchObject({
      name: 'AccessDenied',
    });
  });

  test('binds even the owner, but not what a test lays down', async () => {
    set(policy({ ...deny('s3:*', ALL), Principal: '*' }));
    const owner = s3Client(cloud, cloud.ownerKeys);
    await expect(owner.send(new PutObjectCommand({ Bucket, Key, Body }))).rejects.toMatchObject({
      name: 'AccessDenied',
    });
    await cloud.putObject(Bucket, 'docs/laid', 'x');
    expect((await cloud.objects(Bucket)).has('docs/laid')).toBe(true);
  });
});

test('a permissions boundary bounds', async () => {
  const keys = await cloud.createUser('bounded', policy(allow('s3:*')), policy(allow('s3:GetObject')));
  const error = await s3Client(cloud, keys)
    .send(new PutObjectCommand({ Bucket, Key, Body }))
    .catch((e) => e);
  expect(error.message).toMatch(/because no permissions boundary allows the s3:PutObject action$/);
});
