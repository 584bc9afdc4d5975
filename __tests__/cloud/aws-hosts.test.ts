import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from '../support/cloud/cloud.ts';
import type { AccessKeys } from '../support/test-cloud.ts';
import { allow, policy } from './clients.ts';

let cloud: LoopbackCloud;
let keys: AccessKeys;
let folder: string;
beforeAll(async () => {
  cloud = await startCloud({ hosts: 'aws' });
  await cloud.createBucket('web');
  await cloud.createBucket('dotted.name');
  await cloud.createBucket('far', { region: 'us-east-1' });
  keys = await cloud.createUser('ann', policy(allow('s3:*')));
  // Where the child finds the SDK, and Git does not find the child.
  folder = await mkdtemp(join(import.meta.dirname, '../../node_modules/.child-'));
});
afterAll(async () => {
  await cloud.close();
  await rm(folder, { recursive: true });
});

/** Runs a module in a child process that knows no endpoint but AWS's own; answers what it calls `answer` with. */
async function inChild(code: string): Promise<unknown> {
  const script = join(folder, `${Math.random().toString(36).slice(2)}.mjs`);
  const prelude = `
    import { S3Client, PutObjectCommand, HeadBucketCommand, GetObjectCommand } from '@aws-sdk/client-s3';
    import { STSClient, GetCallerIdentityCommand } from '@aws-sdk/client-sts';
    const s3 = (config) => new S3Client({ region: 'eu-central-1', maxAttempts: 1, ...config });
    const told = (promise) => promise.then((value) => value, (error) => ({
      name: error.name, message: error.message, code: error.code, status: error.$metadata?.httpStatusCode,
      region: error.$response?.headers['x-amz-bucket-region'], Endpoint: error.Endpoint, Region: error.Region,
    }));
    const answer = async (value) => console.log(JSON.stringify(await value));
  `;
  await writeFile(script, prelude + code);
  const env = {
    ...cloud.awsEnvironment(),
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
    AWS_EC2_METADATA_DISABLED: 'true',
  };
  const { stdout } = await promisify(execFile)(process.execPath, [script], { env });
  return JSON.parse(stdout);
}

test('the SDK finds the bucket behind its host name', async () => {
  const code = `await answer(s3().send(new PutObjectCommand({ Bucket: 'web', Key: 'a/b c.txt', Body: 'hello' })));`;
  expect(await inChild(code)).toMatchObject({ ETag: '"5d41402abc4b2a76b9719d911017c592"' });
  expect(cloud.requests.at(-1)).toMatchObject({ operation: 'PutObject', bucket: 'web', key: 'a/b c.txt' });
  expect(cloud.requests.at(-1)?.headers.host).toBe('web.s3.eu-central-1.amazonaws.com');
  expect((await cloud.objects('web')).get('a/b c.txt')?.body.toString()).toBe('hello');
});

test('a name with dots is asked for in the path', async () => {
  await inChild(`await answer(s3().send(new PutObjectCommand({ Bucket: 'dotted.name', Key: 'x', Body: 'x' })));`);
  expect(cloud.requests.at(-1)).toMatchObject({ bucket: 'dotted.name', key: 'x', status: 200 });
  expect(cloud.requests.at(-1)?.headers.host).toBe('s3.eu-central-1.amazonaws.com');
});

test('the wrong region is a redirect that names the right one', async () => {
  const code = `
    const put = new PutObjectCommand({ Bucket: 'far', Key: 'x', Body: 'x' });
    await answer([await told(s3().send(put)), await told(s3().send(new HeadBucketCommand({ Bucket: 'far' })))]);
  `;
  expect(await inChild(code)).toMatchObject([
    { name: 'PermanentRedirect', status: 301, Endpoint: 'far.s3.us-east-1.amazonaws.com' },
    { status: 301, region: 'us-east-1' },
  ]);
});

test('a signature for the wrong region is told so', async () => {
  const code = `
    const client = s3({ region: 'us-east-1', endpoint: 'https://s3.eu-central-1.amazonaws.com' });
    await answer(told(client.send(new PutObjectCommand({ Bucket: 'web', Key: 'x', Body: 'x' }))));
  `;
  expect(await inChild(code)).toMatchObject({
    name: 'AuthorizationHeaderMalformed',
    status: 400,
    Region: 'eu-central-1',
  });
});

test('the SDK follows to the right region when it may', async () => {
  const code = `
    const client = s3({ followRegionRedirects: true });
    await answer(told(client.send(new PutObjectCommand({ Bucket: 'far', Key: 'followed', Body: 'x' }))));
  `;
  await inChild(code);
  expect((await cloud.objects('far')).has('followed')).toBe(true);
});

test('STS answers in its region, unless it is not active there', async () => {
  const code = (region: string) =>
    `await answer(told(new STSClient({ region: '${region}', maxAttempts: 1 }).send(new GetCallerIdentityCommand())));`;
  expect(await inChild(code('eu-central-1'))).toMatchObject({ Arn: 'arn:aws:iam::123456789012:user/ann' });
  expect(cloud.requests.at(-1)?.headers.host).toBe('sts.eu-central-1.amazonaws.com');
  cloud.disabledStsRegions.add('ap-south-1');
  expect(await inChild(code('ap-south-1'))).toMatchObject({ name: 'RegionDisabledException', status: 403 });
});

test.each(['request', 'body', 'response'] as const)(
  'a connection that is reset at the %s is reset at once',
  async (at) => {
    cloud.faults.add({ operation: 'PutObject', answer: { kind: 'reset', at } });
    const code = `
    const started = performance.now();
    const put = new PutObjectCommand({ Bucket: 'web', Key: 'reset-${at}', Body: Buffer.alloc(200_000, 'x') });
    await answer({ ...await told(s3().send(put)), ms: performance.now() - started });
  `;
    const { code: error, status, ms } = (await inChild(code)) as { code: string; status: number; ms: number };
    expect(error).toMatch(/ECONNRESET|EPIPE/);
    expect(status).toBeUndefined();
    expect(ms).toBeLessThan(1_000);
    expect((await cloud.objects('web')).has(`reset-${at}`)).toBe(at === 'response');
  },
);

test('policies see that it was TLS', async () => {
  cloud.setUserPolicy(
    'ann',
    policy({ ...allow('s3:PutObject'), Condition: { Bool: { 'aws:SecureTransport': 'true' } } }),
  );
  const code = `await answer(told(s3().send(new PutObjectCommand({ Bucket: 'web', Key: 'tls', Body: 'x' }))));`;
  expect(await inChild(code)).toMatchObject({ ETag: expect.any(String) });
  cloud.setUserPolicy('ann', policy(allow('s3:*')));
});

test('nothing else can be reached, and this machine still can', async () => {
  const code = `
    import http from 'node:http';
    import net from 'node:net';
    const plain = (options) => new Promise((resolve) => net.connect(options).on('error', (e) => resolve(e.message)).on('connect', () => resolve('connected')));
    const get = (url) => fetch(url).then((r) => r.status, (e) => e.cause?.message ?? e.message);
    await answer([
      await plain({ host: '192.0.2.1', port: 80 }),
      await plain({ host: 'example.com', port: 443 }),
      await get('https://example.com/'),
      await get('http://amazonaws.com.evil.example/'),
      await get('${cloud.s3Endpoint}/web/nothing'),
    ]);
  `;
  const refused = expect.stringContaining('A test must not leave this machine');
  expect(await inChild(code)).toEqual([refused, refused, refused, refused, 403]);
});

test('awsEnvironment is for clouds that were started so', async () => {
  const plain = await startCloud({ github: cloud.github });
  expect(() => plain.awsEnvironment()).toThrow("hosts: 'aws'");
  await plain.close();
});
