import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from './support/cloud/cloud.ts';
import type { Fault } from './support/cloud/faults.ts';
import { OWNER, Stage } from './support/deploys.ts';
import { Site } from './support/site.ts';

/** What a deploy does when the store, the network or the runner does not do its part. */
describe('when things go wrong', () => {
  let cloud: LoopbackCloud;
  beforeAll(async () => {
    cloud = await startCloud();
  });
  afterAll(() => cloud.close());
  afterEach(() => {
    cloud.faults.clear();
    cloud.clearRequests();
  });

  const error = (status: number, code: string) => ({ kind: 'error', status, code }) as const;
  const passing: [string, Fault][] = [
    ['503 SlowDown', { operation: 'PutObject', key: 'index.html', times: 3, answer: error(503, 'SlowDown') }],
    ['500 InternalError', { operation: 'PutObject', key: 'index.html', times: 3, answer: error(500, 'InternalError') }],
    ['429', { operation: 'PutObject', key: 'index.html', times: 2, answer: error(429, 'TooManyRequests') }],
    [
      '409 OperationAborted',
      { operation: 'PutObject', key: 'index.html', times: 2, answer: error(409, 'OperationAborted') },
    ],
    ['400 RequestTimeout', { operation: 'PutObject', key: 'index.html', answer: error(400, 'RequestTimeout') }],
    ['400 BadDigest', { operation: 'PutObject', key: 'index.html', answer: error(400, 'BadDigest') }],
    [
      'a reset before the body',
      { operation: 'PutObject', key: 'index.html', times: 2, answer: { kind: 'reset', at: 'request' } },
    ],
    [
      'a reset in the body',
      { operation: 'PutObject', key: 'index.html', times: 2, answer: { kind: 'reset', at: 'body' } },
    ],
    [
      'a reset in the answer',
      { operation: 'PutObject', key: 'index.html', times: 2, answer: { kind: 'reset', at: 'response' } },
    ],
    ['HTML with 200', { operation: 'PutObject', key: 'index.html', times: 2, answer: { kind: 'html' } }],
    ['HTML for a listing', { operation: 'ListObjectsV2', times: 3, answer: { kind: 'html' } }],
    ['an answer without an ETag', { operation: 'PutObject', key: 'index.html', times: 2, answer: { kind: 'empty' } }],
    ['a listing cut short', { operation: 'ListObjectsV2', times: 2, answer: { kind: 'truncate' } }],
    ['a batch delete that is throttled', { operation: 'DeleteObjects', times: 2, answer: error(503, 'SlowDown') }],
    ['STS that is throttled', { operation: 'AssumeRoleWithWebIdentity', times: 2, answer: error(503, 'Throttling') }],
  ];
  test.each(passing)('rides out %s', async (_, fault) => {
    const stage = await Stage.withRole(cloud, OWNER);
    await stage.put('stale.html');
    cloud.faults.add(fault);
    const run = await stage.run({ delete: 'true' });
    expect(run.log.visible).toContain('Deployed: 5 new, 0 changed, 1 deleted');
    expect(run.result.requests.retries).toBeGreaterThanOrEqual(fault.times ?? 1);
    expect(await stage.keys()).toEqual([
      'about/index.html',
      'app.3f2a1b9c.css',
      'data/tides.json',
      'index.html',
      'robots.txt',
    ]);
  });

  const lasting: [string, Fault, string][] = [
    [
      'is denied',
      { operation: 'PutObject', key: 'robots.txt', times: Infinity, answer: error(403, 'AccessDenied') },
      'UPLOAD_FAILED',
    ],
    [
      'is refused',
      { operation: 'PutObject', key: 'robots.txt', times: Infinity, answer: error(400, 'InvalidRequest') },
      'UPLOAD_FAILED',
    ],
    [
      'gets HTML with 200',
      { operation: 'PutObject', key: 'robots.txt', times: Infinity, answer: { kind: 'html' } },
      'UPLOAD_FAILED',
    ],
    [
      'finds its session expired',
      { operation: 'PutObject', key: 'robots.txt', times: Infinity, answer: error(400, 'ExpiredToken') },
      'CREDENTIALS_INVALID',
    ],
  ];
  test.each(lasting)('after an asset that %s, no page goes up and nothing is deleted', async (_, fault, code) => {
    const stage = await Stage.withRole(cloud, OWNER);
    await stage.put('stale.html');
    cloud.faults.add(fault);
    const run = await stage.run({ delete: 'true' });
    expect(run.exitCode).toBe(1);
    expect(run.result.error.code).toBe(code);
    expect(run.result.failures).toMatchObject([{ key: 'robots.txt', operation: 'PutObject' }]);
    expect(run.outputs['deleted-count']).toBe('0');
    const keys = await stage.keys();
    expect(keys).toContain('stale.html');
    expect(keys.filter((key) => key.endsWith('.html'))).toEqual(['stale.html']);
    cloud.faults.clear();
    const again = await stage.run({ delete: 'true' });
    expect(again.exitCode).toBe(0);
    expect(Number(again.outputs['uploaded-count'])).toBe(5 - run.result.uploads.length);
  });

  test.each<[string, Fault['answer']]>([
    ['with another ETag', { kind: 'etag' }],
    ['with a page of a proxy', { kind: 'html' }],
    ['with nothing', { kind: 'empty' }],
  ])('a look at the manifest that is answered %s keeps nobody from deleting', async (_, answer) => {
    const stage = await Stage.withRole(cloud, OWNER);
    for (const key of ['stale.html', 'stale.css']) await stage.put(key);
    const look = { operation: 'HeadObject', key: '.s3-deploy/manifest', answer };
    cloud.faults.add({ ...look, times: answer.kind === 'etag' ? Infinity : 3 });
    const run = await stage.run({ delete: 'true' });
    expect([run.exitCode, run.outputs['deleted-count']]).toEqual([0, '2']);
    expect((await stage.keys()).filter((key) => key.startsWith('stale'))).toEqual([]);
  });

  test('reads the errors of a batch delete, key by key', async () => {
    const stage = await Stage.withRole(cloud, [
      ...OWNER,
      { Effect: 'Deny', Action: 's3:DeleteObject', Resource: 'arn:aws:s3:::BUCKET/locked/*' },
    ]);
    for (const key of ['locked/a', 'free/b']) await stage.put(key);
    const run = await stage.run({ delete: 'true' });
    expect([run.exitCode, run.result.error.code]).toEqual([1, 'DELETE_FAILED']);
    expect(run.result.failures).toMatchObject([{ key: 'locked/a', code: 'AccessDenied' }]);
    expect(run.result.deletions).toEqual([{ key: 'free/b' }]);
    expect(await stage.keys()).toContain('locked/a');
  });

  test('deletes one by one where the store knows no batches', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    for (const key of ['a.html', 'b.html']) await stage.put(key);
    cloud.faults.add({ operation: 'DeleteObjects', times: Infinity, answer: error(501, 'NotImplemented') });
    const run = await stage.run({ delete: 'true' });
    expect(run.exitCode).toBe(0);
    expect(run.outputs['deleted-count']).toBe('2');
    expect(await stage.keys()).not.toContain('a.html');
  });

  test('puts pages up after every asset, the entry page last, and deletes after that', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [
        [`p${i}.html`, 'page'],
        [`a${i}.css`, 'asset'],
      ]).flat(),
    );
    const stage = await Stage.withRole(cloud, OWNER, {
      site: new Site({ ...files, 'index.html': 'entry', 'sw.js': 'worker' }),
    });
    await stage.put('stale.html');
    cloud.faults.add({ operation: 'PutObject', key: 'a7.css', times: 3, answer: error(503, 'SlowDown') });
    cloud.clearRequests();
    const run = await stage.run({ delete: 'true' });
    expect(run.outputs).toMatchObject({ 'uploaded-count': '82', 'deleted-count': '1' });
    const order = cloud.requests
      .filter(
        ({ operation, status, key }) =>
          /^(PutObject|DeleteObjects)$/.test(operation) && status === 200 && !key?.includes('.s3-deploy'),
      )
      .map(({ operation, key }) =>
        operation === 'DeleteObjects'
          ? 'delete'
          : /css/.test(key ?? '')
            ? 'asset'
            : /^p/.test(key ?? '')
              ? 'page'
              : 'entry',
      );
    expect(order).toEqual([...Array(40).fill('asset'), ...Array(40).fill('page'), 'entry', 'entry', 'delete']);
  });

  test('refuses a file that changes during the deploy, by name, and stores nothing torn', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    const listed = new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        if (cloud.count('ListObjectsV2') >= 1) {
          clearInterval(timer);
          stage.site.write('robots.txt', 'rewritten by a build that goes on');
          resolve();
        }
      }, 1);
    });
    cloud.faults.add({ operation: 'ListObjectsV2', answer: { kind: 'delay', ms: 300 } });
    const run = await stage.run();
    await listed;
    expect(run.result.error).toMatchObject({
      code: 'SOURCE_INVALID',
      message: expect.stringContaining('robots.txt changed'),
    });
    expect(await stage.keys()).not.toContain('robots.txt');
  });

  test('aborts an upload in parts that fails', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    stage.site.write('video.mp4', Buffer.alloc(12 * 1024 ** 2));
    cloud.faults.add({ operation: 'UploadPart', after: 1, times: Infinity, answer: error(403, 'AccessDenied') });
    const run = await stage.run({ 'part-size': '5MiB' });
    expect(run.result.failures).toMatchObject([{ key: 'video.mp4', operation: 'UploadPart' }]);
    expect(await cloud.openUploads(stage.bucket)).toEqual([]);
  });

  test('begins an upload in parts again that the store has forgotten', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    stage.site.write('video.mp4', Buffer.alloc(12 * 1024 ** 2, 7));
    cloud.faults.add({ operation: 'CompleteMultipartUpload', answer: { kind: 'reset', at: 'response' } });
    const run = await stage.run({ 'part-size': '5MiB' });
    expect(run.exitCode).toBe(0);
    expect((await cloud.objects(stage.bucket)).get('video.mp4')?.body.length).toBe(12 * 1024 ** 2);
    expect(await cloud.openUploads(stage.bucket)).toEqual([]);
  });

  test('shows how far a long upload is', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    cloud.faults.add({ operation: 'PutObject', key: 'index.html', times: 2, answer: { kind: 'delay', ms: 5500 } });
    const run = await stage.run();
    expect(run.log.visible).toMatch(/^\s*4 of 5 files, \d+ B of \d+ B, [\d.]+ B\/s, .* left$/m);
  }, 20_000);

  test('ends soon after the job is cancelled, with nothing open and nothing deleted', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    await stage.put('stale.html');
    stage.site.write('video.mp4', Buffer.alloc(12 * 1024 ** 2));
    cloud.faults.add({ operation: 'UploadPart', after: 1, times: Infinity, answer: { kind: 'silence' } });
    const started = performance.now();
    const run = await stage.run(
      { 'part-size': '5MiB', delete: 'true' },
      { signalAfter: { at: 1500, signal: 'SIGINT' } },
    );
    expect(run.exitCode).toBe(1);
    expect(performance.now() - started).toBeLessThan(6000);
    expect(run.log.visible).toContain('cancelled');
    expect(await cloud.openUploads(stage.bucket)).toEqual([]);
    expect(await stage.keys()).toContain('stale.html');
  });

  test('shows nothing of a hostile answer but harmless text', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    const message = '##[stop-commands]x\n::add-mask::y\u001b[2J<script>';
    cloud.faults.add({
      operation: 'PutObject',
      key: 'robots.txt',
      answer: { ...error(400, 'InvalidRequest'), message },
    });
    const run = await stage.run();
    expect(run.exitCode).toBe(1);
    expect(run.summary).not.toMatch(/<script|\x1b/);
    expect(run.log.visible).not.toContain('\x1b');
  });
});
