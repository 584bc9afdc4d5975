import { GetObjectCommand, HeadBucketCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from '../support/cloud/cloud.ts';
import type { AccessKeys } from '../support/test-cloud.ts';
import { allow, policy, s3Client } from './clients.ts';

let cloud: LoopbackCloud;
let keys: AccessKeys;
beforeAll(async () => {
  cloud = await startCloud();
  keys = await cloud.createUser('ann', policy(allow('s3:*')));
  await cloud.createBucket('web');
});
afterEach(() => {
  cloud.time = 0;
});
afterAll(() => cloud.close());

interface Sent {
  method: string;
  path: string;
  query: Record<string, string>;
  headers: Record<string, string>;
  body: string;
}

/** What the SDK signs for a PUT, unsent, so that a test can tamper with it. */
async function signedPut(credentials: AccessKeys, key = 'a.txt', region = cloud.region): Promise<Sent> {
  let caught: Sent | undefined;
  const requestHandler = {
    async handle(request: Sent) {
      caught = request;
      throw new Error('caught');
    },
  };
  const client = s3Client(cloud, credentials, { requestHandler: requestHandler as never, region });
  await client.send(new PutObjectCommand({ Bucket: 'web', Key: key, Body: 'hello' })).catch(() => {});
  return caught!;
}

async function send({ method, path, query, headers, body }: Sent) {
  const url = `${cloud.s3Endpoint}${path}?${new URLSearchParams(query)}`;
  const { host: _, 'content-length': __, ...rest } = headers;
  const answer = await fetch(url, { method, headers: rest, body });
  const text = await answer.text();
  return { status: answer.status, code: /<Code>(.*)<\/Code>/.exec(text)?.[1], text };
}

test.each(['plain.txt', "a b/ü(1)+~*!'.txt", 'a//b/../c', '%41', 'emoji-😀', 'q?x=1&y#z', 'semi;colon=@:,$'])(
  "accepts the SDK's signature for %s",
  async (key) => {
    const s3 = s3Client(cloud, keys);
    await s3.send(new PutObjectCommand({ Bucket: 'web', Key: key, Body: key }));
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: 'web', Key: key }));
    expect(await Body?.transformToString()).toBe(key);
    expect([...(await cloud.objects('web')).keys()]).toContain(key);
  },
);

test('accepts a captured request as it was', async () => {
  expect(await send(await signedPut(keys))).toMatchObject({ status: 200 });
});

test.each<[string, (sent: Sent) => void, number, string]>([
  ['another path', (s) => (s.path = '/web/b.txt'), 403, 'SignatureDoesNotMatch'],
  ['another query', (s) => (s.query.versionId = 'x'), 403, 'SignatureDoesNotMatch'],
  ['another method', (s) => (s.method = 'POST'), 403, 'SignatureDoesNotMatch'],
  ['another signed header', (s) => (s.headers['x-amz-user-agent'] = 'evil'), 403, 'SignatureDoesNotMatch'],
  ['one more x-amz header', (s) => (s.headers['x-amz-acl'] = 'public-read'), 403, 'AccessDenied'],
  ['another body', (s) => (s.body = 'hellO'), 400, 'XAmzContentSHA256Mismatch'],
  [
    'another payload hash',
    (s) => (s.headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD'),
    403,
    'SignatureDoesNotMatch',
  ],
  ['no payload hash', (s) => delete s.headers['x-amz-content-sha256'], 400, 'InvalidRequest'],
  [
    'another service',
    (s) => (s.headers.authorization = s.headers.authorization!.replace('/s3/', '/sts/')),
    400,
    'AuthorizationHeaderMalformed',
  ],
  [
    'a broken header',
    (s) => (s.headers.authorization = 'AWS4-HMAC-SHA256 nonsense'),
    400,
    'AuthorizationHeaderMalformed',
  ],
  ['an old algorithm', (s) => (s.headers.authorization = 'AWS ann:c2ln'), 400, 'AuthorizationHeaderMalformed'],
  ['no signature', (s) => delete s.headers.authorization, 403, 'AccessDenied'],
])('refuses %s', async (_, tamper, status, code) => {
  const sent = await signedPut(keys);
  tamper(sent);
  expect(await send(sent)).toMatchObject({ status, code });
});

test('a path is signed as AWS encodes it, however it was sent', async () => {
  const sent = await signedPut(keys, '(x)');
  sent.path = sent.path.replace('%28', '(');
  expect((await send(sent)).status).toBe(200);
});

test('says what it computed, as AWS does, when the secret is wrong', async () => {
  const { status, code, text } = await send(await signedPut({ ...keys, secretAccessKey: 'wrong' }));
  expect({ status, code }).toEqual({ status: 403, code: 'SignatureDoesNotMatch' });
  expect(text).toContain(`<AWSAccessKeyId>${keys.accessKeyId}</AWSAccessKeyId>`);
  expect(text).toContain('<StringToSign>AWS4-HMAC-SHA256&#xa;');
  expect(text).toContain('<CanonicalRequest>PUT&#xa;/web/a.txt&#xa;');
});

test('does not know a key that nobody has', async () => {
  const sent = await signedPut({ accessKeyId: 'AKIAXXXXXXXXXXXXXXXX', secretAccessKey: 'x' });
  expect(await send(sent)).toMatchObject({ status: 403, code: 'InvalidAccessKeyId' });
});

test('names the right region to a signature for a wrong one', async () => {
  const { status, code, text } = await send(await signedPut(keys, 'a.txt', 'us-east-1'));
  expect({ status, code }).toEqual({ status: 400, code: 'AuthorizationHeaderMalformed' });
  expect(text).toContain("the region 'us-east-1' is wrong; expecting 'eu-central-1'");
  expect(text).toContain('<Region>eu-central-1</Region>');
});

test.each([
  [14, 200],
  [-14, 200],
  [16, 403],
  [-16, 403],
])('a clock %d minutes off gets %d', async (minutes, status) => {
  const sent = await signedPut(keys);
  cloud.time = minutes * 60_000;
  const answer = await send(sent);
  expect(answer.status).toBe(status);
  if (status === 403) expect(answer.code).toBe('RequestTimeTooSkewed');
});

test('the SDK mends a skewed clock by the Date of the answer', async () => {
  cloud.time = 60 * 60_000;
  const s3 = s3Client(cloud, keys, { maxAttempts: 2 });
  await s3.send(new PutObjectCommand({ Bucket: 'web', Key: 'late', Body: 'x' }));
});

test('an expired or foreign session token is refused, and a missing one makes the key unknown', async () => {
  const trust = policy({ Effect: 'Allow', Principal: { AWS: cloud.account }, Action: 'sts:AssumeRole' });
  await cloud.createRole('deploy', { trust, policy: policy(allow('s3:*')) });
  const { AssumeRoleCommand, STSClient } = await import('@aws-sdk/client-sts');
  const admin = await cloud.createUser('chain', policy(allow('sts:AssumeRole')));
  const sts = new STSClient({ endpoint: cloud.stsEndpoint, region: cloud.region, credentials: admin });
  const RoleArn = `arn:aws:iam::${cloud.account}:role/deploy`;
  const { Credentials } = await sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'run' }));
  const { AccessKeyId, SecretAccessKey, SessionToken } = Credentials!;
  const session = { accessKeyId: AccessKeyId!, secretAccessKey: SecretAccessKey!, sessionToken: SessionToken! };
  const code = async (credentials: AccessKeys) => (await send(await signedPut(credentials))).code ?? 'fine';
  expect(await code(session)).toBe('fine');
  expect(await code({ ...session, sessionToken: 'other' } as AccessKeys)).toBe('InvalidToken');
  expect(await code({ accessKeyId: AccessKeyId!, secretAccessKey: SecretAccessKey! })).toBe('InvalidAccessKeyId');
  expect(await code({ ...keys, sessionToken: SessionToken! } as AccessKeys)).toBe('InvalidToken');
  cloud.expireSessions();
  const expired = await send(await signedPut(session));
  expect(expired).toMatchObject({ status: 400, code: 'ExpiredToken' });
  expect(expired.text).toContain(`<Token-0>${SessionToken}</Token-0>`);
});

test('HeadBucket tells the region to anybody', async () => {
  const answer = await fetch(`${cloud.s3Endpoint}/web`, { method: 'HEAD' });
  expect([answer.status, answer.headers.get('x-amz-bucket-region')]).toEqual([403, 'eu-central-1']);
  const stranger: S3Client = s3Client(cloud, await cloud.createUser('stranger'));
  const error = await stranger.send(new HeadBucketCommand({ Bucket: 'web' })).catch((e) => e);
  expect(error.$metadata.httpStatusCode).toBe(403);
  expect((await fetch(`${cloud.s3Endpoint}/nowhere`, { method: 'HEAD' })).status).toBe(404);
});
