import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from './support/cloud/cloud.ts';
import { OWNER, Stage } from './support/deploys.ts';

/** Defects that tools of this kind have shipped, one test each. */
describe('what others got wrong', () => {
  let cloud: LoopbackCloud;
  beforeAll(async () => {
    cloud = await startCloud({ hosts: 'aws' });
  });
  afterAll(() => cloud.close());
  afterEach(() => cloud.faults.clear());

  const denied = { kind: 'error', status: 403, code: 'AccessDenied' } as const;

  test('cleaning `pr-1` leaves `pr-10` to `pr-19` alone', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    const others = Array.from({ length: 10 }, (_, i) => `pr-1${i}/index.html`);
    for (const key of [...others, 'pr-1/index.html']) await stage.put(key);
    expect((await stage.run({ mode: 'remove', prefix: 'pr-1' })).exitCode).toBe(0);
    expect(await stage.keys()).toEqual(others.sort());
  });

  test('a sync of a folder lists and cleans the folder, not the bucket', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    await stage.put('backup/db.sql');
    cloud.clearRequests();
    await stage.run({ prefix: 'www', delete: 'true' });
    expect(await stage.keys()).toContain('backup/db.sql');
    const listings = cloud.requests.filter(({ operation }) => operation === 'ListObjectsV2');
    expect(listings.every(({ query }) => query.prefix?.startsWith('www/'))).toBe(true);
  });

  test('a 403 on every upload is a red step, not a green one with nothing uploaded', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    cloud.faults.add({ operation: 'PutObject', key: /^[^.]/, times: Infinity, answer: denied });
    const run = await stage.run();
    expect(run).toMatchObject({ exitCode: 1, result: { error: { code: 'UPLOAD_FAILED' } } });
    expect(await stage.keys()).toEqual([]);
  });

  test('a page is never served for a moment with the headers of an asset', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    cloud.clearRequests();
    await stage.run();
    const puts = cloud.requests.filter(({ operation, key }) => operation === 'PutObject' && key === 'index.html');
    expect(puts.map(({ headers }) => headers['cache-control'])).toEqual(['public, max-age=0, must-revalidate']);
  });

  test('a missing bucket is not created', async () => {
    const stage = await Stage.withRole(cloud, [{ Effect: 'Allow', Action: 's3:*', Resource: '*' }]);
    cloud.deleteBucket(stage.bucket);
    cloud.clearRequests();
    expect((await stage.run()).result.error.code).toBe('BUCKET_NOT_FOUND');
    expect(cloud.count('CreateBucket')).toBe(0);
    await expect(cloud.objects(stage.bucket)).rejects.toThrow();
  });

  test('a change of the same size with an older time is uploaded', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    await stage.run();
    stage.site.write('robots.txt', 'User-agent: x', new Date('1999-12-31'));
    expect((await stage.run()).result.uploads).toMatchObject([{ key: 'robots.txt', reason: 'content' }]);
  });

  test('links out of the source are not followed, nor loops', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    symlinkSync('/etc/passwd', stage.site.at('passwd.txt'));
    symlinkSync('/etc', stage.site.at('etc'));
    mkdirSync(stage.site.at('loop'));
    symlinkSync('..', join(stage.site.at('loop'), 'again'));
    const run = await stage.run();
    expect(run.exitCode).toBe(0);
    expect(run.log.visible).toContain('3 symbolic links not followed');
    expect((await stage.keys()).length).toBe(5);
  });

  test('objects encrypted with KMS, and objects in parts, are not uploaded again on every run', async () => {
    const stage = await Stage.withRole(cloud, [
      ...OWNER,
      { Effect: 'Allow', Action: ['kms:GenerateDataKey', 'kms:Decrypt'], Resource: '*' },
    ]);
    cloud.bucket(stage.bucket).options.kmsKey =
      `arn:aws:kms:eu-central-1:${cloud.account}:key/11111111-2222-3333-4444-555555555555`;
    stage.site.write('video.mp4', Buffer.alloc(11 * 1024 ** 2, 'v'));
    const inputs = { 'part-size': '5MiB', 'inline-session-policy': 'none' };
    expect((await stage.run(inputs)).outputs['uploaded-count']).toBe('6');
    const second = await stage.run(inputs);
    expect(second.result.counts).toMatchObject({ uploaded: 0, updated: 0, unchanged: 6 });
    const byHeader = await stage.run({ ...inputs, headers: "'*.mp4':\n  Cache-Control: no-cache" });
    expect(byHeader.result.uploads).toMatchObject([{ key: 'video.mp4', reason: 'headers' }]);
    expect(byHeader.outputs['updated-count']).toBe('1');
  });

  test('in a versioned bucket an unchanged site makes no version', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    cloud.bucket(stage.bucket).options.versioning = true;
    await stage.run();
    await stage.run();
    expect(cloud.bucket(stage.bucket).versions('robots.txt')).toHaveLength(1);
    expect(cloud.bucket(stage.bucket).versions('.s3-deploy/manifest')).toHaveLength(1);
  });

  test('no denial is retried for minutes', async () => {
    const stage = await Stage.withRole(cloud, [{ Effect: 'Allow', Action: 's3:ListAllMyBuckets', Resource: '*' }]);
    cloud.clearRequests();
    const run = await stage.run();
    expect(run.result.error.code).toBe('PERMISSION_DENIED');
    expect(run.durationMs).toBeLessThan(5_000);
    expect(run.result.requests.retries).toBe(0);
  });

  test('nothing of an input becomes a shell command', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    const run = await stage.run({ 'cache-control': '$(touch /tmp/x); `id`', prefix: "a'b $(id) ;c" });
    expect(run.exitCode).toBe(0);
    expect(await stage.keys()).toContain("a'b $(id) ;c/index.html");
  });

  test('a large file is uploaded in bounded memory', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    const site = stage.site;
    site.write('small.bin', Buffer.alloc(1024));
    const idle = await stage.run({ prefix: 'a' }, { measure: true });
    for (let i = 0; i < 3; i++) site.write(`large-${i}.bin`, Buffer.alloc(96 * 1024 ** 2, i + 1));
    const run = await stage.run({ prefix: 'b' }, { measure: true, timeoutMs: 120_000 });
    expect(run.exitCode).toBe(0);
    expect((run.rusage?.maxRSS ?? Number.NaN) - (idle.rusage?.maxRSS ?? 0)).toBeLessThan(200 * 1024); // in KiB
  }, 120_000);
});
