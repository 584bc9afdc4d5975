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

test('cancelled at any request, a run is gone within 7 s and leaves no upload, no probe object and no deletion behind', async () => {
  const site = new Site(FILES);
  const clouds: LoopbackCloud[] = [await startCloud(), await startCloud({ hosts: 'aws' })];
  let points = 0;
  let longest = 0;
  try {
    for (const [index, cloud] of clouds.entries()) {
      const aws = index === 1;
      for (const [way, answer] of Object.entries(WAYS)) {
        let ended = false;
        await eachOf(upTo(sized(3, 60)), 3, async (step) => {
          if (ended) return;
          // The short form looks at requests that make something.
          const nth = LONG ? step : step * 3;
          const signal = nth % 2 === 0 ? 'SIGINT' : 'SIGTERM';
          const name = `${aws ? 'AWS' : 'a store'}, request ${nth} ${way}, ${signal}`;
          const stage = await Stage.withRole(cloud, OWNER, { site });
          await stage.put('stale.html');
          const { promise: reached, resolve } = Promise.withResolvers<void>();
          let at = 0;
          const onReached = () => {
            at = performance.now();
            resolve();
          };
          cloud.faults.add({ bucket: stage.bucket, after: nth - 1, answer: answer(onReached) });
          const env = aws ? { ...cloud.awsEnvironment(), ...cloud.github.jobEnvironment() } : {};
          const run = await stage.run(
            { delete: 'true', 'part-size': '5MiB', ...(aws && { endpoint: '', 'sts-endpoint': '' }) },
            { env, signalAfter: { at: reached, signal } },
          );
          if (at === 0) {
            ended = true;
            return;
          }
          points++;
          const took = performance.now() - at;
          longest = Math.max(longest, took);
          expect([name, took < 7000]).toEqual([name, true]);
          expect([name, await cloud.openUploads(stage.bucket)]).toEqual([name, []]);
          const keys = await stage.keys();
          expect([name, keys.filter((key) => key.includes('.s3-deploy-probe'))]).toEqual([name, []]);
          // Only a request that was the very last one to come may leave nothing to cancel.
          if (run.exitCode !== 0) {
            expect([name, run.exitCode, run.signal, run.result.error.code]).toEqual([name, 1, null, 'UPLOAD_FAILED']);
            expect([name, run.log.visible.includes('cancelled')]).toEqual([name, true]);
          }
          if (run.result.deletions.length === 0) expect([name, keys.includes('stale.html')]).toEqual([name, true]);
          cloud.deleteBucket(stage.bucket);
        });
        expect([way, ended || !LONG]).toEqual([way, true]);
        cloud.faults.clear();
      }
    }
  } finally {
    await Promise.all(clouds.map((cloud) => cloud.close()));
  }
  expect(points).toBeGreaterThanOrEqual(sized(12, 50));
  figure(`cancelled: ${points} points by SIGINT and SIGTERM, the longest end ${(longest / 1000).toFixed(1)} s`);
}, 600_000);
