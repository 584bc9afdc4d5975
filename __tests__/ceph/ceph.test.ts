import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { requireCeph } from '../support/ceph/daemon.ts';
import { type Ceph, startCeph } from '../support/ceph.ts';
import { outcome } from '../support/conformance/scene.ts';

let ceph: Ceph;
let s3: S3Client;
let keys = 0;
beforeAll(async () => {
  ceph = await startCeph();
  await ceph.createBucket('site');
  const Statement = [{ Effect: 'Allow' as const, Action: 's3:PutObject', Resource: 'arn:aws:s3:::site/*' }];
  const credentials = await ceph.createUser('alice', { Version: '2012-10-17', Statement });
  s3 = new S3Client({
    endpoint: ceph.s3Endpoint,
    region: ceph.region,
    forcePathStyle: true,
    credentials,
    maxAttempts: 1,
  });
}, 60_000);
afterAll(() => ceph?.close());

const put = (Body = 'x') => outcome(s3.send(new PutObjectCommand({ Bucket: 'site', Key: String(keys++), Body })));

test('throttled, it answers SlowDown to what is too much', async () => {
  await ceph.throttle(2);
  const throttled = await Promise.all(Array.from({ length: 64 }, () => put()));
  expect(new Set(throttled)).toEqual(new Set(['200', '503 SlowDown']));
  await ceph.throttle();
  expect(new Set(await Promise.all(Array.from({ length: 64 }, () => put())))).toEqual(new Set(['200']));
});

test('requests hang while its disk stands still', async () => {
  ceph.stopOsd();
  let ended = false;
  const hanging = put().finally(() => {
    ended = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(ended).toBe(false);
  ceph.continueOsd();
  expect(await hanging).toBe('200');
});

test('a suspended user is refused, and afterwards has its policy back', async () => {
  await ceph.suspendUser('alice');
  expect(await put()).toBe('403 UserSuspended');
  await ceph.suspendUser('alice', false);
  expect(await put()).toBe('200');
});

test('a quota is kept until it is lifted', async () => {
  await ceph.setQuota(1_000);
  expect(await put('x'.repeat(100_000))).toBe('403 QuotaExceeded');
  await ceph.setQuota(undefined);
  expect(await put('x'.repeat(100_000))).toBe('200');
});

test('it knows every secret that it handed out', async () => {
  const { secretAccessKey } = await ceph.createUser('bob');
  ceph.github.token();
  expect(ceph.secrets).toEqual(expect.arrayContaining([secretAccessKey, ...ceph.github.issued]));
});

test('its daemons die with the process that started them, however that ends', async () => {
  const start = `
    const { startCeph } = await import(${JSON.stringify(path.join(import.meta.dirname, '..', 'support', 'ceph.ts'))});
    const ceph = await startCeph();
    console.log(ceph.s3Endpoint);`;
  const folder = await mkdtemp(path.join(tmpdir(), 'orphans-'));
  const child = spawn(process.execPath, ['--input-type=module', '--eval', start], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [endpoint] = await once(child.stdout.setEncoding('utf8'), 'data');
  expect((await fetch(endpoint)).status).toBe(200);
  child.kill('SIGKILL');
  await once(child, 'close');
  await expect(fetch(endpoint)).rejects.toThrow('fetch failed');
  await rm(folder, { recursive: true });
});

test('without its programs it says what to install', async () => {
  const { PATH } = process.env;
  process.env.PATH = import.meta.dirname;
  await expect(requireCeph()).rejects.toThrow('apt-get install -y --no-install-recommends radosgw');
  process.env.PATH = PATH;
});
