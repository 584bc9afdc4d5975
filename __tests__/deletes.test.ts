import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from './support/cloud/cloud.ts';
import { OWNER, Stage } from './support/deploys.ts';

describe('deletions', () => {
  let cloud: LoopbackCloud;
  beforeAll(async () => {
    cloud = await startCloud();
  });
  afterAll(() => cloud.close());

  test('in a bucket that keeps versions hide what was there, and no version is lost', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    const bucket = cloud.bucket(stage.bucket);
    bucket.options.versioning = true;
    await stage.put('old.html', 'old');
    await stage.put('tab\t.html', 'old');
    await stage.run({ delete: 'true' });
    stage.site.remove('robots.txt');
    const run = await stage.run({ delete: 'true' });
    expect(run.result.deletions).toEqual([{ key: 'robots.txt' }]);
    for (const key of ['old.html', 'tab\t.html', 'robots.txt'])
      expect([key, ...bucket.versions(key).map(({ isMarker }) => isMarker)]).toEqual([key, true, false]);
    stage.site.write('robots.txt', 'User-agent: *');
    expect((await stage.run({ delete: 'true' })).result.uploads).toMatchObject([{ key: 'robots.txt', reason: 'new' }]);
    const last = await stage.run({ delete: 'true' });
    expect(last.result.counts).toMatchObject({ uploaded: 0, updated: 0, deleted: 0, unchanged: 5 });
  });

  test('of a whole prefix spare what delete-exclude names, and the manifest with it', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    await stage.run({ prefix: 'p' });
    await stage.put('p/uploads/a.jpg');
    const inputs = { mode: 'remove', prefix: 'p', 'source-dir': '' };
    const spared = await stage.run({ ...inputs, 'delete-exclude': 'uploads/**' });
    expect(spared.result.kept).toEqual([{ key: 'p/uploads/a.jpg', why: 'excluded' }]);
    expect([...(await cloud.objects(stage.bucket)).keys()]).toEqual(['p/.s3-deploy/manifest', 'p/uploads/a.jpg']);
    await stage.run(inputs);
    expect([...(await cloud.objects(stage.bucket)).keys()]).toEqual([]);
  });

  test('of more than a thousand keys go in batches, with those that no batch can carry', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    const keys = Array.from({ length: 1203 }, (_, i) => `old/${i % 100 === 7 ? '\x01' : ''}${i}.txt`);
    for (const key of keys) await stage.put(key, '');
    cloud.clearRequests();
    const run = await stage.run({ delete: 'true', 'max-delete': '100%' });
    expect(run.result.counts).toMatchObject({ deleted: 1203, failed: 0 });
    const real = cloud.requests.filter(({ query, key }) => query.delete !== undefined || key?.startsWith('old/'));
    expect(real.filter(({ operation }) => operation === 'DeleteObjects')).toHaveLength(2);
    expect(real.filter(({ operation }) => operation === 'DeleteObject')).toHaveLength(12);
    expect(await stage.keys()).toHaveLength(5);
  });
});
