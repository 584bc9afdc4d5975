import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from './support/cloud/cloud.ts';
import { OWNER, Stage } from './support/deploys.ts';
import type { ActionRun } from './support/runner.ts';
import { Site } from './support/site.ts';

/** A version of a site whose pages name assets that only this version has. */
const version = (v: string, extra: Record<string, string> = {}) => ({
  'index.html': `<script src=app.${v}.js></script> ${v}`,
  'about.html': `<link href=style.${v}.css> ${v}`,
  'news/index.html': `<script src=../app.${v}.js></script> ${v}`,
  [`app.${v}.js`]: `app ${v}`,
  [`style.${v}.css`]: `style ${v}`,
  ...extra,
});

/** Assets that the live pages name and the bucket does not have. */
function missingAssets(bodies: Record<string, string>): string[] {
  return Object.entries(bodies).flatMap(([page, body]) => {
    const named = /(?:src|href)=(?:\.\.\/)?([\w.]+)/.exec(body)?.[1];
    return page.endsWith('.html') && named !== undefined && bodies[named] === undefined ? [`${page} → ${named}`] : [];
  });
}

describe('two deploys at once', () => {
  let cloud: LoopbackCloud;
  beforeAll(async () => {
    cloud = await startCloud({ hosts: 'aws' });
  });
  afterAll(() => cloud.close());
  afterEach(() => cloud.faults.clear());

  /** Two workspaces that deploy to one bucket, which holds version 0. */
  async function scene(more: Record<string, string> = {}) {
    const stage = await Stage.withRole(cloud, OWNER, { site: new Site(version('v0')) });
    const options = () => ({ env: { ...cloud.awsEnvironment(), ...cloud.github.jobEnvironment() } });
    const inputs = { endpoint: '', 'sts-endpoint': '', delete: 'true', concurrency: '2', ...more };
    expect((await stage.run(inputs, options())).exitCode).toBe(0);
    const deploy = (site: Site, run: string): Promise<ActionRun> =>
      stage.run(inputs, { workspace: site.workspace, env: { ...options().env, GITHUB_RUN_ID: run } });
    return { stage, deploy };
  }

  /** Starts a deploy and holds it at its nth request to the bucket, unless it ends before. */
  async function held(stage: Stage, nth: number, start: () => Promise<ActionRun>) {
    const { promise: until, resolve: release } = Promise.withResolvers<void>();
    const before = cloud.requests.length;
    // All that it asks from there on is held: the request that is held would be made again after a while.
    cloud.faults.add({ bucket: stage.bucket, after: nth - 1, staysWithSender: true, answer: { kind: 'wait', until } });
    const run = start();
    let ended = false;
    void run.finally(() => {
      ended = true;
    });
    const isHeld = () => cloud.requests.slice(before).some(({ fault }) => fault === 'wait');
    while (!isHeld() && !ended) await new Promise((resolve) => setTimeout(resolve, 2));
    return { run, release, isHeld: isHeld() };
  }

  test('the one that began first stops, wherever it is overtaken, and the newer one is what is live', async () => {
    let points = 0;
    for (let nth = 1; ; nth++) {
      const { stage, deploy } = await scene();
      const older = await held(stage, nth, () => deploy(new Site(version('v1')), '1'));
      if (!older.isHeld) break;
      const newer = await deploy(new Site(version('v2')), '2');
      older.release();
      const run = await older.run;
      points++;
      const bodies = await stage.bodies();
      const state = `overtaken at request ${nth}: ${run.result.error?.code}: ${Object.keys(bodies)}`;
      expect([state, newer.exitCode, missingAssets(bodies)]).toEqual([state, 0, []]);
      if (run.exitCode === 0) {
        // It had planned nothing yet, and then deployed after the other one, or it had finished.
        expect([state, [version('v1'), version('v2')]]).toEqual([state, expect.arrayContaining([bodies])]);
      } else {
        expect([state, run.result.error.code, run.result.deletions]).toEqual([state, 'SUPERSEDED', []]);
        expect([state, bodies['index.html']]).toEqual([state, version('v2')['index.html']]);
      }
      expect((await deploy(new Site(version('v2')), '3')).exitCode).toBe(0);
      expect(await stage.bodies()).toEqual(version('v2'));
      cloud.faults.clear();
    }
    expect(points).toBeGreaterThanOrEqual(15);
  }, 300_000);

  test('one that puts back what was live, and finds nothing to do, stops an earlier one that has put assets only', async () => {
    let points = 0;
    for (let nth = 1; ; nth++) {
      const { stage, deploy } = await scene({ delete: 'false' });
      // A listing tells whole seconds.
      await new Promise((resolve) => setTimeout(resolve, 1_100));
      const before = cloud.requests.length;
      const older = await held(stage, nth, () => deploy(new Site(version('v1')), '1'));
      if (!older.isHeld) break;
      const pages = cloud.requests
        .slice(before)
        .filter((one) => one.operation === 'PutObject' && one.key?.endsWith('.html'));
      const newer = await deploy(new Site(version('v0')), '2');
      const assets = (await stage.keys()).filter((key) => key.includes('.v1.'));
      older.release();
      const run = await older.run;
      const state = `overtaken at request ${nth}, with ${assets}`;
      expect([state, newer.exitCode]).toEqual([state, 0]);
      if (assets.length > 0 && pages.length === 0) {
        points++;
        expect([state, run.result.error?.code]).toEqual([state, 'SUPERSEDED']);
        expect([state, (await stage.bodies())['index.html']]).toEqual([state, version('v0')['index.html']]);
      }
      cloud.faults.clear();
    }
    expect(points).toBeGreaterThanOrEqual(1);
  }, 300_000);

  test('a deletion that a store was too busy for is not tried again once another deploy has a use for the key', async () => {
    const { stage, deploy } = await scene();
    const answer = { kind: 'error', status: 503, code: 'SlowDown', headers: { 'retry-after': '6' } } as const;
    cloud.faults.add({ operation: 'DeleteObjects', bucket: stage.bucket, answer });
    const older = deploy(new Site(version('v1')), '1');
    while (cloud.requests.at(-1)?.code !== 'SlowDown') await new Promise((resolve) => setTimeout(resolve, 5));
    const newer = await deploy(new Site(version('v0')), '2');
    const run = await older;
    expect([newer.exitCode, run.exitCode, run.result.error?.code]).toEqual([0, 1, 'DELETE_FAILED']);
    const bodies = await stage.bodies();
    expect([missingAssets(bodies), bodies['index.html']]).toEqual([[], version('v0')['index.html']]);
  }, 60_000);

  test('the one that began later plans again, wherever it is overtaken, and is what is live', async () => {
    let points = 0;
    for (let nth = 1; ; nth++) {
      const { stage, deploy } = await scene();
      const older = await held(stage, 1, () => deploy(new Site(version('v1')), '1'));
      const newer = await held(stage, nth, () => deploy(new Site(version('v2')), '2'));
      older.release();
      const first = await older.run;
      newer.release();
      const second = await newer.run;
      if (!newer.isHeld) break;
      points++;
      const state = `overtaken at request ${nth}`;
      expect([state, second.exitCode, await stage.bodies()]).toEqual([state, 0, version('v2')]);
      expect([state, first.exitCode === 0 || first.result.error.code === 'SUPERSEDED']).toEqual([state, true]);
      cloud.faults.clear();
    }
    expect(points).toBeGreaterThanOrEqual(15);
  }, 300_000);
});
