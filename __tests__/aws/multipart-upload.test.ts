import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Caller } from '../../src/aws/caller.ts';
import { createS3 } from '../../src/aws/clients.ts';
import { S3ObjectStore } from '../../src/aws/object-store.ts';
import type { Pace } from '../../src/aws/retry.ts';
import type { Credentials } from '../../src/aws/session.ts';
import { StoreKnowledge } from '../../src/aws/store-knowledge.ts';
import { profileOf } from '../../src/core/capabilities.ts';
import { eachOf } from '../../src/core/each-of.ts';
import { FINGERPRINT_CHUNK } from '../../src/core/manifest.ts';
import type { LocalFile } from '../../src/core/model.ts';
import { withBody } from '../../src/site/body.ts';
import { allow, policy } from '../cloud/clients.ts';
import { type LoopbackCloud, startCloud } from '../support/cloud/cloud.ts';

const MIB = 1024 ** 2;
const BUCKET = 'site';
const PACE: Pace = { now: () => performance.now(), sleep: (ms) => wait(Math.min(ms, 20)), random: Math.random };

let cloud: LoopbackCloud;
let keys: Credentials;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'parts-'));
  cloud = await startCloud();
  cloud.minimumPartSize = 1;
  await cloud.createBucket(BUCKET);
  keys = await cloud.createUser('deploy', policy(allow('s3:*')));
});
afterAll(async () => {
  await cloud.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  cloud.faults.clear();
  cloud.clearRequests();
});

/** A store whose parts are of so many bytes, and what its calls were. */
function storeOf({ isAws = true, part = MIB, threshold = (3 * MIB) / 2 } = {}) {
  const caller = new Caller(PACE);
  const credentials = async () => keys;
  const address = { region: cloud.region, endpoint: cloud.s3Endpoint, forcePathStyle: true };
  const s3 = createS3(address, credentials, caller.connections, caller.clock);
  const knowledge = new StoreKnowledge(profileOf(isAws ? undefined : 'https://s3.example.org'), () => undefined);
  const sizes = { threshold, part, mostParts: 10_000 };
  const store = new S3ObjectStore(s3, caller, { bucket: BUCKET, credentials, isAws, sizes, storage: {}, knowledge });
  return {
    caller,
    put: (key: string, file: LocalFile) =>
      withBody(folder, file, (body) => store.put(key, body, { contentType: 'video/mp4' })),
  };
}

function fileOf(path: string, content: Buffer): LocalFile & { content: Buffer } {
  writeFileSync(join(folder, path), content);
  const { ino: inode, mtimeMs: modified } = statSync(join(folder, path));
  return { path, size: content.length, inode, modified, content };
}

const partsSent = () => cloud.requests.filter(({ operation }) => operation === 'UploadPart');

describe('parts', () => {
  test.each([
    [true, 'x-amz-checksum-sha256', 'sha256'],
    [false, 'content-md5', 'md5'],
  ])('are signed by their SHA-256, and checked: on AWS %s, by %s', async (isAws, header, algorithm) => {
    const file = fileOf('film', randomBytes(3 * MIB + 7));
    await storeOf({ isAws }).put('film', file);
    expect((await cloud.objects(BUCKET)).get('film')?.body.equals(file.content)).toBe(true);
    const sent = partsSent().sort((a, b) => Number(a.query.partNumber) - Number(b.query.partNumber));
    const pieces = [0, 1, 2, 3].map((i) => file.content.subarray(i * MIB, (i + 1) * MIB));
    expect(sent.map(({ headers }) => headers['x-amz-content-sha256'])).toEqual(
      pieces.map((piece) => createHash('sha256').update(piece).digest('hex')),
    );
    expect(sent.map(({ headers }) => headers[header])).toEqual(
      pieces.map((piece) => createHash(algorithm).update(piece).digest('base64')),
    );
    expect(sent.filter(({ headers }) => headers['transfer-encoding'] !== undefined)).toEqual([]);
  });

  test('arrive byte for byte, whatever they are answered, and none carries those of another', async () => {
    const files = Array.from({ length: 12 }, (_, i) => fileOf(`${i}`, randomBytes(MIB + (i % 4) * MIB + i * 1000 + 1)));
    cloud.faults.addMix({
      seed: 5,
      rate: 0.3,
      answers: [
        [3, { kind: 'error', status: 503, code: 'SlowDown', applied: true }],
        [2, { kind: 'error', status: 500, code: 'InternalError' }],
        [2, { kind: 'error', status: 400, code: 'BadDigest' }],
        [3, { kind: 'delay', ms: 30 }],
        [1, { kind: 'html', applied: true }],
      ],
    });
    const { put, caller } = storeOf();
    await eachOf(files, 4, async (file) => {
      await put(`faulty/${file.path}`, file);
    });
    const objects = await cloud.objects(BUCKET);
    expect(files.filter(({ path, content }) => !objects.get(`faulty/${path}`)?.body.equals(content))).toEqual([]);
    expect(caller.tally.retries).toBeGreaterThan(10);
    expect(partsSent().length).toBeGreaterThan(30);
  }, 60_000);

  test('and what goes up whole is sent again from its beginning', async () => {
    const file = fileOf('whole', randomBytes(MIB + 5));
    const { put, caller } = storeOf({ threshold: 2 * MIB });
    cloud.faults.add({ operation: 'PutObject', answer: { kind: 'error', status: 500, code: 'InternalError' } });
    cloud.faults.add({ operation: 'PutObject', answer: { kind: 'error', status: 503, code: 'SlowDown' } });
    await put('whole', file);
    expect((await cloud.objects(BUCKET)).get('whole')?.body.equals(file.content)).toBe(true);
    expect(caller.tally.retries).toBe(2);
    const digests = cloud.requests.map(({ headers }) => headers['x-amz-checksum-sha256']);
    expect(new Set(digests)).toEqual(new Set([createHash('sha256').update(file.content).digest('base64')]));
  });
});

describe('parts of the default size, on AWS', () => {
  const sizes = { part: FINGERPRINT_CHUNK, threshold: FINGERPRINT_CHUNK };
  let { put, caller }: ReturnType<typeof storeOf> = {} as never;
  beforeAll(() => {
    ({ put, caller } = storeOf(sizes));
  });
  const arrived = async (key: string) => (await cloud.objects(BUCKET)).get(key)?.body;

  test.each([1, MIB - 1, MIB, MIB + 17, 3 * MIB])(
    'are sent while they are read, with their SHA-256 behind them: two and %d bytes more',
    async (more) => {
      const file = fileOf('film', randomBytes(2 * FINGERPRINT_CHUNK + more));
      await put('film', file);
      expect((await arrived('film'))?.equals(file.content)).toBe(true);
      const sent = partsSent().sort((a, b) => Number(a.query.partNumber) - Number(b.query.partNumber));
      const pieces = [0, 1, 2].map((i) => file.content.subarray(i * FINGERPRINT_CHUNK, (i + 1) * FINGERPRINT_CHUNK));
      expect(sent.map(({ headers }) => headers['x-amz-trailer'])).toEqual(Array(3).fill('x-amz-checksum-sha256'));
      expect(sent.map(({ headers }) => headers['x-amz-decoded-content-length'])).toEqual(
        pieces.map(({ length }) => String(length)),
      );
      expect(sent.map(({ headers }) => headers['transfer-encoding'])).toEqual(Array(3).fill(undefined));
    },
  );

  test('arrive byte for byte, whatever they are answered', async () => {
    const files = [1, 2, 3].map((i) => fileOf(`${i}`, randomBytes(3 * FINGERPRINT_CHUNK + i * 1000)));
    cloud.faults.addMix({
      seed: 11,
      rate: 0.4,
      answers: [
        [3, { kind: 'error', status: 503, code: 'SlowDown', applied: true }],
        [2, { kind: 'error', status: 500, code: 'InternalError' }],
        [2, { kind: 'error', status: 400, code: 'BadDigest' }],
        [1, { kind: 'html', applied: true }],
      ],
    });
    const retries = caller.tally.retries;
    await Promise.all(files.map((file) => put(`mixed/${file.path}`, file)));
    for (const { path, content } of files) expect((await arrived(`mixed/${path}`))?.equals(content)).toBe(true);
    expect(caller.tally.retries - retries).toBeGreaterThan(5);
  }, 60_000);

  test('of a file that changes meanwhile end before their last byte, and leave nothing', async () => {
    const file = fileOf('changing', randomBytes(3 * FINGERPRINT_CHUNK));
    const release = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    cloud.faults.add({
      operation: 'CreateMultipartUpload',
      answer: { kind: 'wait', until: release.promise, onReached: () => reached.resolve() },
    });
    const putting = put('changing', file);
    await reached.promise;
    writeFileSync(join(folder, 'changing'), randomBytes(3 * FINGERPRINT_CHUNK));
    release.resolve();
    await expect(putting).rejects.toMatchObject({ code: 'SOURCE_INVALID' });
    expect(await arrived('changing')).toBeUndefined();
    expect(cloud.requests.map(({ operation }) => operation)).toContain('AbortMultipartUpload');
  });

  test('that are refused before they are read end at once, and are not sent to their end', async () => {
    const file = fileOf('refused', randomBytes(2 * FINGERPRINT_CHUNK));
    cloud.faults.add({
      operation: 'UploadPart',
      times: Infinity,
      answer: { kind: 'error', status: 403, code: 'AccessDenied' },
    });
    const begun = performance.now();
    await expect(put('refused', file)).rejects.toMatchObject({ failure: { code: 'AccessDenied' } });
    expect(performance.now() - begun).toBeLessThan(5_000);
  });

  test('of another size are read before they are sent, as they are for other stores', async () => {
    const file = fileOf('other', randomBytes(11 * MIB));
    await storeOf({ part: 5 * MIB, threshold: 5 * MIB }).put('other', file);
    await storeOf({ ...sizes, isAws: false }).put('elsewhere', file);
    expect((await arrived('other'))?.equals(file.content)).toBe(true);
    expect((await arrived('elsewhere'))?.equals(file.content)).toBe(true);
    expect(partsSent().map(({ headers }) => headers['x-amz-trailer'])).toEqual(Array(5).fill(undefined));
  });
});
