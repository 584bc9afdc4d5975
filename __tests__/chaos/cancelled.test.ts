import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { eachOf } from '../../src/core/each-of.ts';
import { figure, LONG, sized, upTo } from '../support/chaos.ts';
import { type LoopbackCloud, startCloud } from '../support/cloud/cloud.ts';
import type { FaultAnswer } from '../support/cloud/faults.ts';
import { OWNER, Stage } from '../support/deploys.ts';
import { Site } from '../support/site.ts';

const MIB = 1024 ** 2;
const FILES = {
  'index.html': '<script src=app.js></script>',
  'about.html': 'about',
  'app.js': 'app.js',
  'movie.mp4': Buffer.alloc(11 * MIB, 'm'),
  'other.mp4': Buffer.alloc(6 * MIB, 'o'),
};

/** What becomes of the request during which the job is cancelled. */
const WAYS = {
  'answered a moment later': (onReached: () => void): FaultAnswer => {
    const { promise: until, resolve } = Promise.withResolvers<void>();
    const reached = () => {
      onReached();
      void pause(300).then(resolve);
    };
    return { kind: 'wait', until, onReached: reached };
  },
  'never answered': (onReached: () => void): FaultAnswer => ({ kind: 'silence', onReached }),
};

interface Scene {
  inputs: Record<string, string>;
  /** Behind AWS's own names. */
  aws?: boolean;
  /** Requests after which the short form looks. */
  short: number[];
}

/** Every kind of run that changes something, a probe that writes an object included. */
const SCENES: Record<string, Scene> = {
  'a deploy to a store': { inputs: { delete: 'true' }, short: [3, 6, 9] },
  'a deploy to AWS': { inputs: { delete: 'true' }, aws: true, short: [3, 6, 9] },
  'a deploy to AWS with a full probe': { inputs: { delete: 'true', probe: 'full' }, aws: true, short: [5, 12, 13] },
  'a full probe of a store': { inputs: { mode: 'probe', delete: 'true', probe: 'full' }, short: [3, 4] },
  'a removal': { inputs: { mode: 'remove', prefix: 'preview', 'max-delete': '100%' }, short: [2] },
};

test('cancelled at any request, a run is gone within 7 s and leaves no upload, no probe object and no deletion behind', async () => {
  const site = new Site(FILES);
  const clouds = { store: await startCloud(), aws: await startCloud({ hosts: 'aws' }) };
  let points = 0;
  let longest = 0;
  /** Probe objects that were there when the signal came: without any, that they are gone would prove nothing. */
  let probing = 0;

  async function cancel(scene: Scene, nth: number, answer: (onReached: () => void) => FaultAnswer, name: string) {
    const cloud: LoopbackCloud = scene.aws ? clouds.aws : clouds.store;
    const signal = nth % 2 === 0 ? 'SIGINT' : 'SIGTERM';
    const stage = await Stage.withRole(cloud, OWNER, { site });
    for (const key of ['stale.html', 'preview/index.html', 'preview/app.js']) await stage.put(key);
    const { promise: reached, resolve } = Promise.withResolvers<void>();
    let at = 0;
    const onReached = () => {
      at = performance.now();
      if ([...cloud.bucket(stage.bucket).keys()].some(isOfProbe)) probing++;
      resolve();
    };
    cloud.faults.add({ bucket: stage.bucket, after: nth - 1, answer: answer(onReached) });
    const env = scene.aws ? { ...cloud.awsEnvironment(), ...cloud.github.jobEnvironment() } : {};
    const run = await stage.run(
      { 'part-size': '5MiB', ...scene.inputs, ...(scene.aws && { endpoint: '', 'sts-endpoint': '' }) },
      { env, signalAfter: { at: reached, signal } },
    );
    if (at === 0) return false;
    points++;
    const took = performance.now() - at;
    longest = Math.max(longest, took);
    expect([name, signal, took < 7000]).toEqual([name, signal, true]);
    expect([name, await cloud.openUploads(stage.bucket)]).toEqual([name, []]);
    const keys = await stage.keys();
    expect([name, keys.filter(isOfProbe)]).toEqual([name, []]);
    // Only a request that was the very last one to come may leave nothing to cancel.
    if (run.exitCode !== 0) {
      const { code } = run.result.error;
      expect([name, run.exitCode, run.signal, code]).toEqual([name, 1, null, 'UPLOAD_FAILED']);
      expect([name, run.log.visible.includes('cancelled')]).toEqual([name, true]);
    }
    // What the report does not call deleted is there, and nothing is deleted before all is up.
    const gone = ['stale.html', 'preview/index.html', 'preview/app.js'].filter((key) => !keys.includes(key));
    const told: string[] = run.result.deletions.map(({ key }: { key: string }) => key);
    expect([name, gone.filter((key) => !told.includes(key))]).toEqual([name, []]);
    if (gone.length > 0 && scene.inputs.mode === undefined)
      expect([name, KEYS.filter((key) => !keys.includes(key))]).toEqual([name, []]);
    cloud.deleteBucket(stage.bucket);
    return true;
  }

  try {
    // Kinds of run wait for their silences side by side; a fault is of one bucket.
    await eachOf(Object.entries(SCENES), sized(2, 3), async ([what, scene]) => {
      for (const [way, answer] of Object.entries(WAYS)) {
        let ended = false;
        await eachOf(sized(scene.short, upTo(60)), 3, async (nth) => {
          if (!ended && !(await cancel(scene, nth, answer, `${what}, request ${nth} ${way}`))) ended = true;
        });
        expect([what, way, ended || !LONG]).toEqual([what, way, true]);
      }
    });
  } finally {
    await Promise.all(Object.values(clouds).map((cloud) => cloud.close()));
  }
  expect(points).toBeGreaterThanOrEqual(sized(20, 50));
  expect(probing).toBeGreaterThanOrEqual(sized(1, 10));
  figure(
    `cancelled: ${points} points by SIGINT and SIGTERM, ${probing} with a probe object in place, ` +
      `the longest end ${(longest / 1000).toFixed(1)} s`,
  );
}, 600_000);

const KEYS = Object.keys(FILES).sort();
const isOfProbe = (key: string) => key.includes('.s3-deploy-probe');
