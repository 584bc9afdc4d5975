import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { AssumeRoleWithWebIdentityCommand, GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from '../support/cloud/cloud.ts';
import type { FaultAnswer } from '../support/cloud/faults.ts';
import { s3Client, stsClient } from './clients.ts';

const Bucket = 'web';
let cloud: LoopbackCloud;
let s3: S3Client;
beforeAll(async () => {
  cloud = await startCloud();
  await cloud.createBucket(Bucket);
  s3 = s3Client(cloud, cloud.ownerKeys, { requestHandler: { requestTimeout: 300, throwOnRequestTimeout: true } });
});
beforeEach(async () => {
  cloud.faults.clear();
  cloud.clearRequests();
  await cloud.putObject(Bucket, 'there', 'content');
});
afterAll(() => cloud.close());

const put = (Key = 'x', Body: string | Buffer = 'hello') => s3.send(new PutObjectCommand({ Bucket, Key, Body }));
const outcome = (promise: Promise<unknown>) =>
  promise.then(
    () => 'fine',
    // The SDK wraps errors of another realm, Jest's, in one that has the message alone.
    (error) => error.code ?? (error.name === 'Error' ? error.message : error.name),
  );
const stored = async (key: string) => (await cloud.objects(Bucket)).get(key)?.body.toString();

test.each<[FaultAnswer, string | RegExp, boolean]>([
  [{ kind: 'error', status: 503, code: 'SlowDown' }, 'SlowDown', false],
  [{ kind: 'error', status: 500, code: 'InternalError', applied: true }, 'InternalError', true],
  [{ kind: 'error', status: 409, code: 'ConditionalRequestConflict' }, 'ConditionalRequestConflict', false],
  [{ kind: 'error', status: 400, code: 'RequestTimeout' }, 'RequestTimeout', false],
  [{ kind: 'reset', at: 'request' }, /ECONNRESET|EPIPE/, false],
  [{ kind: 'reset', at: 'body' }, /ECONNRESET|EPIPE/, false],
  [{ kind: 'reset', at: 'response' }, /ECONNRESET|EPIPE/, true],
  [{ kind: 'silence' }, 'ETIMEDOUT', false],
  [{ kind: 'silence', applied: true }, 'ETIMEDOUT', true],
  [{ kind: 'delay', ms: 50 }, 'fine', true],
  [{ kind: 'trickle', bytes: 100, ms: 1 }, 'fine', true],
  [{ kind: 'trickle', bytes: 10, ms: 20 }, 'ETIMEDOUT', true],
  [{ kind: 'html' }, 'fine', false],
  [{ kind: 'html', status: 502 }, /./, false],
  [{ kind: 'empty' }, 'fine', false],
  [{ kind: 'empty', applied: true }, 'fine', true],
  [{ kind: 'etag' }, 'fine', true],
  [{ kind: 'checksum' }, 'fine', true],
])('a PUT meets %j: %s, and is carried out: %s', async (answer, expected, applied) => {
  const key = `put-${JSON.stringify(answer)}`;
  cloud.faults.add({ operation: 'PutObject', answer });
  expect(await outcome(put(key, Buffer.alloc(200_000, 'x')))).toMatch(expected);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect((await stored(key)) !== undefined).toBe(applied);
  expect(cloud.requests.at(-1)?.fault).toBe(answer.kind);
  expect(await outcome(put(key))).toBe('fine');
});

describe('what the SDK makes of an answer that is not S3', () => {
  test('a page with 200 is a PUT without an ETag and an empty listing', async () => {
    cloud.faults.add({ times: 2, answer: { kind: 'html' } });
    expect((await put()).ETag).toBeUndefined();
    expect((await s3.send(new ListObjectsV2Command({ Bucket }))).KeyCount).toBeUndefined();
  });

  test('an empty 200 as well', async () => {
    cloud.faults.add({ answer: { kind: 'empty' } });
    expect((await put()).ETag).toBeUndefined();
  });

  test('a wrong ETag or checksum is taken for right', async () => {
    cloud.faults.add({ answer: { kind: 'etag', value: '"wrong"' } });
    expect((await put()).ETag).toBe('"wrong"');
    const { ChecksumCRC32 } = await put();
    cloud.faults.add({ answer: { kind: 'checksum' } });
    expect((await put()).ChecksumCRC32).not.toBe(ChecksumCRC32);
  });

  test('half a document is an error', async () => {
    cloud.faults.add({ operation: 'ListObjectsV2', answer: { kind: 'truncate' } });
    expect(await outcome(s3.send(new ListObjectsV2Command({ Bucket })))).not.toBe('fine');
  });

  test('a GET that breaks off in the middle', async () => {
    await cloud.putObject(Bucket, 'long', Buffer.alloc(1_000_000));
    cloud.faults.add({ operation: 'GetObject', answer: { kind: 'reset', at: 'response' } });
    const read = s3
      .send(new GetObjectCommand({ Bucket, Key: 'long' }))
      .then(({ Body }) => Body?.transformToByteArray());
    expect(await outcome(read)).toBe('ECONNRESET');
  });
});

describe('a fault is for', () => {
  test('its operation and key, as often as it says, after so many', async () => {
    const answer: FaultAnswer = { kind: 'error', status: 503, code: 'SlowDown' };
    cloud.faults.add({ operation: 'PutObject', key: /^a\//, after: 1, times: 2, answer });
    expect(await outcome(put('b/1'))).toBe('fine');
    expect(await outcome(s3.send(new DeleteObjectCommand({ Bucket, Key: 'a/1' })))).toBe('fine');
    const outcomes = [];
    for (const key of ['a/1', 'a/2', 'a/3', 'a/4']) outcomes.push(await outcome(put(key)));
    expect(outcomes).toEqual(['fine', 'SlowDown', 'SlowDown', 'fine']);
    expect(cloud.requests.filter(({ fault }) => fault).map(({ key, status, code }) => [key, status, code])).toEqual([
      ['a/2', 503, 'SlowDown'],
      ['a/3', 503, 'SlowDown'],
    ]);
  });

  test('a share of the requests, the same in every run', async () => {
    const run = async () => {
      cloud.faults.clear();
      cloud.faults.add({ times: Infinity, rate: 0.4, answer: { kind: 'error', status: 500, code: 'InternalError' } });
      const outcomes = [];
      for (let i = 0; i < 100; i++) outcomes.push(await outcome(put(`k${i}`)));
      return outcomes;
    };
    const first = await run();
    expect(await run()).toEqual(first);
    const hits = first.filter((one) => one !== 'fine').length;
    expect(hits).toBeGreaterThan(25);
    expect(hits).toBeLessThan(55);
  });

  test('STS, too', async () => {
    const sts = stsClient(cloud, { credentials: cloud.ownerKeys });
    cloud.faults.add({
      operation: 'GetCallerIdentity',
      answer: { kind: 'error', status: 403, code: 'InvalidClientTokenId' },
    });
    expect(await outcome(sts.send(new GetCallerIdentityCommand()))).toBe('InvalidClientTokenId');
    expect(await outcome(sts.send(new GetCallerIdentityCommand()))).toBe('fine');
    const answer: FaultAnswer = { kind: 'error', status: 400, code: 'IDPCommunicationError', message: 'Gone' };
    cloud.faults.add({ operation: 'AssumeRoleWithWebIdentity', times: 4, answer });
    const input = {
      RoleArn: `arn:aws:iam::${cloud.account}:role/x`,
      RoleSessionName: 'run',
      WebIdentityToken: 'some.jwt',
    };
    expect(await outcome(sts.send(new AssumeRoleWithWebIdentityCommand(input)))).toMatch(/^IDPCommunicationError/);
    cloud.faults.clear();
    for (const at of ['request', 'body', 'response'] as const) {
      cloud.faults.add({ operation: 'GetCallerIdentity', answer: { kind: 'reset', at } });
      expect(await outcome(sts.send(new GetCallerIdentityCommand()))).toMatch(/ECONNRESET|EPIPE|aborted/);
    }
  });
});

test('faults that hit are counted by kind', async () => {
  const before = cloud.faults.injected.etag ?? 0;
  cloud.faults.add({ times: 2, answer: { kind: 'etag' } });
  for (let i = 0; i < 3; i++) await put();
  expect(cloud.faults.injected.etag).toBe(before + 2);
});

test('every request is on record', async () => {
  await put('dir/key');
  await s3.send(new ListObjectsV2Command({ Bucket, Prefix: 'dir/' }));
  await fetch(`${cloud.s3Endpoint}/web/there`);
  expect(cloud.requests).toMatchObject([
    { operation: 'PutObject', bucket: 'web', key: 'dir/key', status: 200, principal: 'arn:aws:iam::123456789012:root' },
    { operation: 'ListObjectsV2', key: undefined, query: { prefix: 'dir/' }, status: 200 },
    { operation: 'GetObject', key: 'there', status: 403, code: 'AccessDenied', principal: 'anonymous' },
  ]);
  expect(cloud.requests[0]?.headers['content-length']).toBe('5');
  expect([cloud.count(), cloud.count('PutObject')]).toEqual([3, 1]);
  cloud.clearRequests();
  expect(cloud.count()).toBe(0);
});
