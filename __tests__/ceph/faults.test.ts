import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type Ceph, startCeph } from '../support/ceph.ts';
import { OWNER, Stage } from '../support/deploys.ts';
import { Site } from '../support/site.ts';

let ceph: Ceph;
beforeAll(async () => {
  ceph = await startCeph();
}, 60_000);
afterAll(() => ceph?.close());

/** So many that a deploy is still under way when a change of the store, which takes a command of Ceph's, has come to it. */
const FILES = Object.fromEntries([
  ...Array.from({ length: 1500 }, (_, n) => [`assets/${n}.js`, `assets/${n}.js ${'x'.repeat(1000)}`]),
  ...Array.from({ length: 20 }, (_, n) => [`${n}/index.html`, `<script src=assets/${n}.js></script>`]),
]);
let site: Site;
beforeEach(() => {
  site = new Site(FILES);
});

/** Resolves once the bucket holds some of the site. */
async function begun(stage: Stage): Promise<void> {
  for (const end = Date.now() + 30_000; Date.now() < end; ) {
    if ((await stage.keys()).length > 20) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('throttled by the store in the middle, a deploy is slower and complete', async () => {
  const stage = await Stage.withRole(ceph, OWNER, { site });
  const throttled = begun(stage).then(() => ceph.throttle(4));
  const run = await stage.run({ delete: 'true', concurrency: '16' }, { timeoutMs: 150_000 });
  await throttled.then(() => ceph.throttle());
  expect(run.exitCode).toBe(0);
  expect(run.result.requests.retries).toBeGreaterThan(0);
  expect(await stage.bodies()).toEqual(FILES);
}, 180_000);

test('a disk that stands still for eight seconds is waited for', async () => {
  const stage = await Stage.withRole(ceph, OWNER, { site });
  const stalled = begun(stage).then(async () => {
    ceph.stopOsd();
    await new Promise((resolve) => setTimeout(resolve, 8_000));
    ceph.continueOsd();
  });
  const run = await stage.run({ delete: 'true', concurrency: '2' }, { timeoutMs: 150_000 });
  await stalled;
  expect(run.exitCode).toBe(0);
  expect(run.result.requests.retries).toBeGreaterThan(0);
  expect(await stage.bodies()).toEqual(FILES);
}, 180_000);

test('a user who is suspended in the middle ends the run, which says so and has deleted nothing', async () => {
  const stage = await Stage.withKeys(ceph, OWNER, { site });
  await stage.put('stale.html');
  const suspended = begun(stage).then(() => ceph.suspendUser(`user-${stage.bucket}`));
  const run = await stage.run({ delete: 'true', concurrency: '1' }, { timeoutMs: 150_000 });
  await suspended;
  expect([run.exitCode, run.result.failures[0].code]).toEqual([1, 'UserSuspended']);
  expect(run.result.deletions).toEqual([]);
  const keys = await stage.keys();
  expect(keys).toContain('stale.html');
  expect(keys.filter((key) => key.endsWith('index.html'))).toEqual([]);
  await ceph.suspendUser(`user-${stage.bucket}`, false);
  expect((await stage.run({ delete: 'true' })).exitCode).toBe(0);
  expect(await stage.bodies()).toEqual(FILES);
}, 180_000);

test('a quota that is used up in the middle fails the files that are over it, and no page goes up', async () => {
  const stage = await Stage.withRole(ceph, OWNER, { site });
  await stage.put('stale.html');
  const filled = begun(stage).then(() => ceph.setQuota(1));
  const run = await stage.run({ delete: 'true', concurrency: '1' }, { timeoutMs: 150_000 });
  await filled;
  expect([run.exitCode, run.result.error.code]).toEqual([1, 'UPLOAD_FAILED']);
  expect(run.result.failures[0].code).toBe('QuotaExceeded');
  expect(run.result.deletions).toEqual([]);
  const keys = await stage.keys();
  expect(keys).toContain('stale.html');
  expect(keys.filter((key) => key.endsWith('index.html'))).toEqual([]);
  await ceph.setQuota(undefined);
  expect((await stage.run({ delete: 'true' })).exitCode).toBe(0);
  expect(await stage.bodies()).toEqual(FILES);
}, 180_000);
