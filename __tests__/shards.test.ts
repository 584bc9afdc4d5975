import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { parseShard, shareOf } from '../src/core/shard.ts';
import { type LoopbackCloud, startCloud } from './support/cloud/cloud.ts';
import { allow, OWNER, Stage } from './support/deploys.ts';
import type { ActionRun } from './support/runner.ts';
import { describeShards, keysIn, missingAssets, runShards, SHARDS, sum, uploadsOf, version } from './support/shards.ts';
import { Site } from './support/site.ts';

describeShards('the loopback cloud', startCloud);

describe('shards, and what can go wrong', () => {
  let cloud: LoopbackCloud;
  beforeAll(async () => {
    cloud = await startCloud();
  });
  afterAll(() => cloud.close());
  afterEach(() => cloud.faults.clear());

  /** The assets of a version that are a shard's to put. */
  const shareOfVersion = (v: string, shard: string) => {
    const files = Object.keys(version(v)).map((path) => ({ path, size: 1, inode: 1, modified: 1 }));
    const assets = files.filter(({ path }) => !path.endsWith('.html'));
    return shareOf(assets, parseShard(shard)!).map(({ path }) => path);
  };

  /** A stage whose bucket encrypts with a key of KMS, so that ETags tell nothing of the content. */
  async function encrypted(site: Site) {
    const kms = { Effect: 'Allow', Action: ['kms:GenerateDataKey', 'kms:Decrypt'], Resource: '*' } as const;
    const stage = await Stage.withKeys(cloud, [...OWNER, { ...kms, Action: [...kms.Action] }], { site });
    cloud.bucket(stage.bucket).options.kmsKey =
      `arn:aws:kms:eu-central-1:${cloud.account}:key/11111111-2222-3333-4444-555555555555`;
    return stage;
  }

  /** Stores count in seconds. */
  const nextSecond = () => new Promise((resolve) => setTimeout(resolve, 1100));

  /** The requests of a kind that came for objects of the site itself. */
  const requestsFor = (...operations: string[]) =>
    cloud.requests.filter(({ operation, key = '' }) => operations.includes(operation) && !key.startsWith('.s3-deploy'));

  test.each(['plain', 'KMS'])(
    'in a bucket with %s ETags the last run puts no asset and asks for none',
    async (kind) => {
      const site = new Site(version('v1'));
      site.write('film.mp4', Buffer.alloc(11 * 1024 ** 2, 'f'));
      const stage = kind === 'KMS' ? await encrypted(site) : await Stage.withKeys(cloud, OWNER, { site });
      const inputs = { 'part-size': '5MiB', probe: 'off' };
      expect(sum(await runShards(stage, inputs), 'uploaded')).toBe(61);
      cloud.clearRequests();
      const last = await stage.run(inputs);
      expect(last.result.counts).toMatchObject({ uploaded: 5, updated: 0, unchanged: 61 });
      expect(requestsFor('HeadObject', 'GetObject', 'CopyObject', 'CreateMultipartUpload')).toEqual([]);
      cloud.clearRequests();
      const again = [...(await runShards(stage, inputs)), await stage.run(inputs)];
      expect([sum(again, 'uploaded'), sum(again, 'updated'), sum(again, 'unchanged')]).toEqual([0, 0, 2 * 61 + 5]);
      expect(requestsFor('HeadObject', 'GetObject')).toEqual([]);
      expect([cloud.count('PutObject'), cloud.count('CreateMultipartUpload'), cloud.count('CopyObject')]).toEqual([
        0, 0, 0,
      ]);
    },
  );

  test('one of eight is killed: what is live stays whole, and the last run puts exactly what is missing', async () => {
    const stage = await Stage.withKeys(cloud, OWNER, { site: new Site(version('v1')) });
    expect((await stage.run()).exitCode).toBe(0);
    const next = new Site(version('v2'));
    const share = shareOfVersion('v2', '3/8')
      .filter((path) => path.includes('v2'))
      .sort();
    expect(share.length).toBeGreaterThanOrEqual(3);
    const { promise: at, resolve: onReached } = Promise.withResolvers<void>();
    cloud.faults.add({ bucket: stage.bucket, key: share[1]!, answer: { kind: 'silence', onReached } });
    const runs = await Promise.all(
      SHARDS.map((shard) =>
        stage.run(
          { shard, delete: 'true', concurrency: '1' },
          { workspace: next.workspace, ...(shard === '3/8' && { signalAfter: { at, signal: 'SIGKILL' } }) },
        ),
      ),
    );
    expect(runs.map(({ exitCode, signal }) => exitCode ?? signal)).toEqual([0, 0, 'SIGKILL', 0, 0, 0, 0, 0]);
    const between = await stage.bodies();
    expect(missingAssets(between)).toEqual([]);
    expect(between).toMatchObject(version('v1'));
    const missing = Object.keys(version('v2')).filter((path) => !path.endsWith('.html') && !(path in between));
    expect(missing).toEqual(expect.arrayContaining(share.slice(1)));

    const inputs = { delete: 'true', 'max-delete': '100%' };
    const last = await stage.run(inputs, { workspace: next.workspace });
    expect(last.exitCode).toBe(0);
    expect(last.result.counts).toMatchObject({ uploaded: missing.length, updated: 5, deleted: 40 });
    expect(uploadsOf(last)).toEqual(expect.arrayContaining(missing));
    expect((await keysIn(stage)).site).toEqual(Object.keys(version('v2')).sort());
    const again = [
      ...(await runShards(stage, inputs, next.workspace)),
      await stage.run(inputs, { workspace: next.workspace }),
    ];
    expect([sum(again, 'uploaded'), sum(again, 'updated'), sum(again, 'deleted')]).toEqual([0, 0, 0]);
  });

  test('a shard that fails notes what is up, so that nothing but the rest is sent when it runs again', async () => {
    const stage = await encrypted(new Site(version('v1')));
    const share = shareOfVersion('v1', '1/2');
    const denied = { kind: 'error', status: 403, code: 'AccessDenied' } as const;
    cloud.faults.add({ bucket: stage.bucket, operation: 'PutObject', key: share[0]!, answer: denied });
    const failed = await stage.run({ shard: '1/2' });
    expect([failed.exitCode, failed.result.error.code, failed.result.counts.uploaded]).toEqual([
      ...[1, 'UPLOAD_FAILED', share.length - 1],
    ]);
    expect(uploadsOf(await stage.run({ shard: '1/2' }))).toEqual([share[0]]);
    expect(uploadsOf(await stage.run({ shard: '1/2' }))).toEqual([]);
    const last = await stage.run();
    expect(uploadsOf(last)).toEqual(
      Object.keys(version('v1'))
        .filter((path) => !share.includes(path))
        .sort(),
    );
  });

  test('one that may not delete, shared with a last run that may, needs no right to; nor does a last run that does not', async () => {
    const stage = await Stage.withRole(cloud, [
      allow(['s3:ListBucket'], 'arn:aws:s3:::BUCKET'),
      allow(['s3:GetObject', 's3:PutObject'], 'arn:aws:s3:::BUCKET/*'),
    ]);
    const probed = await stage.run({
      mode: 'probe',
      shard: '1/2',
      delete: 'true',
      'source-dir': '',
      probe: 'no-residue',
    });
    expect([probed.exitCode, probed.outputs['missing-permissions']]).toEqual([0, '']);
    for (const shard of ['1/2', '2/2']) {
      const run = await stage.run({ shard, delete: 'true' });
      expect(run.exitCode).toBe(0);
      expect(run.fileAt(run.outputs['suggested-policy-file'] ?? '')).not.toContain('s3:DeleteObject');
    }
    for (const uploaded of [2, 0]) {
      const last = await stage.run();
      expect([last.exitCode, last.result.counts.uploaded]).toEqual([0, uploaded]);
    }
    expect((await keysIn(stage)).own).toContain('.s3-deploy/manifest');
  });

  test('notes of a deploy that never ended say nothing wrong to the next one', async () => {
    const stage = await Stage.withKeys(cloud, OWNER, { site: new Site(version('v1')) });
    const rule = (age: number) => ({ headers: `'img/**':\n  Cache-Control: max-age=${age}`, delete: 'owned' });
    const ageOf = async () => (await cloud.objects(stage.bucket)).get('img/3.svg')?.headers['cache-control'];
    expect(sum(await runShards(stage, rule(1)), 'uploaded')).toBe(60);
    // Another version, other headers, another number of shards; what only the first one had is ours to delete.
    stage.site.remove('img/7.svg');
    stage.site.write('img/8.svg', '<svg id="x"/>');
    for (const shard of ['1/2', '2/2']) expect((await stage.run({ ...rule(2), shard })).exitCode).toBe(0);
    expect(await ageOf()).toBe('max-age=2');
    const last = await stage.run(rule(3));
    expect(last.result.counts).toMatchObject({ uploaded: 5, updated: 19, unchanged: 40, deleted: 1 });
    expect(await ageOf()).toBe('max-age=3');
    // The notes are still there, and older than what is now.
    expect((await keysIn(stage)).own.length).toBe(11);
    expect((await stage.run(rule(3))).result.counts).toMatchObject({ uploaded: 0, updated: 0, deleted: 0 });
    await nextSecond();
    await stage.put('img/5.svg', '<svg id="5"/>');
    const mended = await stage.run(rule(3));
    expect(mended.result.uploads).toMatchObject([{ key: 'img/5.svg', reason: 'headers' }]);
  });

  test('what somebody has changed is put right by a shard, and remembered by the last run', async () => {
    const stage = await Stage.withKeys(cloud, OWNER, { site: new Site(version('v1')) });
    expect((await stage.run()).exitCode).toBe(0);
    await nextSecond();
    await stage.put('img/3.svg', 'defaced');
    const runs = [await stage.run({ shard: '1/2' }), await stage.run({ shard: '2/2' })];
    expect(runs.flatMap(uploadsOf)).toEqual(['img/3.svg']);
    await nextSecond();
    expect(uploadsOf(await stage.run())).toEqual([]);
    cloud.clearRequests();
    expect(uploadsOf(await stage.run({ probe: 'off' }))).toEqual([]);
    const read = cloud.requests.filter(({ operation }) => /^(Get|Head)Object$/.test(operation)).map(({ key }) => key);
    expect(read).toEqual(['.s3-deploy/manifest']);
  });

  test('notes that are none cost a warning, and nothing else', async () => {
    const stage = await Stage.withKeys(cloud, OWNER);
    expect((await stage.run()).exitCode).toBe(0);
    await nextSecond();
    const future = gzipSync('s3-deploy manifest 2 9999999999999 9\n');
    const notes = ['', 'not a note', '<html>', gzipSync(Buffer.alloc(600 * 1024 ** 2)), future];
    for (const [index, note] of notes.entries()) await stage.put(`.s3-deploy/shards/${index + 1}-of-5`, note);
    for (const name of ['6-of-5', '1-of-5/x', 'x', '::error::x']) await stage.put(`.s3-deploy/shards/${name}`, 'x');
    const run = await stage.run({ delete: 'true' });
    expect([run.exitCode, run.result.counts.unchanged, run.result.counts.deleted]).toEqual([0, 5, 0]);
    expect(run.log.annotations).toMatchObject([
      { kind: 'warning', message: expect.stringContaining('4 notes of shards') },
    ]);
    expect((await stage.run({ shard: '5/5' })).exitCode).toBe(0);
  });

  test('whoever only appends appends in shards', async () => {
    const stage = await Stage.withKeys(cloud, OWNER, { site: new Site(version('v1')) });
    await stage.put('img/3.svg', 'theirs');
    const runs = await Promise.all(
      ['1/2', '2/2'].map((shard) => stage.run({ shard, overwrite: 'false', delete: 'true' })),
    );
    expect([sum(runs, 'uploaded'), sum(runs, 'kept')]).toEqual([59, 1]);
    const last = await stage.run({ overwrite: 'false' });
    expect(last.result.counts).toMatchObject({ uploaded: 5, kept: 60 });
    expect((await keysIn(stage)).own).toEqual([]);
    expect((await stage.bodies())['img/3.svg']).toBe('theirs');
  });

  test('one that a newer deploy has overtaken says so', async () => {
    const stage = await Stage.withKeys(cloud, OWNER, { site: new Site(version('v1')) });
    const { promise: until, resolve: release } = Promise.withResolvers<void>();
    const { promise: held, resolve: onReached } = Promise.withResolvers<void>();
    const key = shareOfVersion('v1', '1/2')[0]!;
    cloud.faults.add({ bucket: stage.bucket, operation: 'PutObject', key, answer: { kind: 'wait', until, onReached } });
    const older = stage.run({ shard: '1/2' }, { env: { GITHUB_RUN_ID: '1' } });
    await held;
    expect((await stage.run({}, { workspace: new Site(version('v2')).workspace })).exitCode).toBe(0);
    release();
    expect((await older).result.error.code).toBe('SUPERSEDED');
    expect((await stage.bodies())['index.html']).toBe(version('v2')['index.html']);
  });

  test('mode: plan tells what a shard would put, and a share without files is nothing to do', async () => {
    const stage = await Stage.withKeys(cloud, OWNER, { site: new Site({ 'index.html': 'x', 'app.js': 'app' }) });
    const runs: ActionRun[] = [];
    for (const shard of SHARDS) runs.push(await stage.run({ shard, mode: 'plan', delete: 'true' }));
    expect(sum(runs, 'uploaded')).toBe(1);
    expect(await keysIn(stage)).toEqual({ site: [], own: [] });
    const idle = SHARDS.find((_, index) => runs[index]?.result.counts.uploaded === 0)!;
    const run = await stage.run({ shard: idle });
    expect([run.exitCode, run.outputs.changed, await keysIn(stage)]).toEqual([0, 'false', { site: [], own: [] }]);
  });

  test.each<[string, Record<string, string>]>([
    ['0/8', {}],
    ['9/8', {}],
    ['2', {}],
    ['1/257', {}],
    ['/8', {}],
    ['2/8', { mode: 'remove', prefix: 'p' }],
  ])('%s is refused with %j', async (shard, inputs) => {
    const stage = await Stage.withKeys(cloud, OWNER);
    cloud.clearRequests();
    const run = await stage.run({ shard, ...inputs });
    expect(run.result.error).toMatchObject({ code: 'INPUT_INVALID', message: expect.stringMatching(/^shard: /) });
    expect(run.result.error.hint.length).toBeGreaterThan(20);
    expect(cloud.count()).toBe(0);
  });
});
