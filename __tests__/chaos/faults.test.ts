import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eachOf } from '../../src/core/each-of.ts';
import { ERROR_CODES } from '../../src/errors.ts';
import {
  differences,
  figure,
  LONG,
  median,
  missingAssets,
  objectsOf,
  pages,
  sized,
  tally,
  upTo,
} from '../support/chaos.ts';
import { type LoopbackCloud, startCloud } from '../support/cloud/cloud.ts';
import { OWNER, Stage } from '../support/deploys.ts';
import { EVERYTHING, LASTING } from '../support/fault-mix.ts';
import type { ActionRun } from '../support/runner.ts';
import { Site } from '../support/site.ts';

const MIB = 1024 ** 2;
/** The faults that must all have happened, as `Faults` counts them. */
const NAMED = `503 500 429 409 skew reset-body reset-response silence trickle html truncate checksum etag`.split(' ');
const STALE = ['stale/a.html', 'stale/b.css', 'old.html'];

/** Deletions that were asked for, without those of the probe. */
function deletionsOf(cloud: LoopbackCloud, bucket: string): string[] {
  return cloud.requests
    .filter((request) => request.bucket === bucket && /^DeleteObject/.test(request.operation))
    .filter(({ key }) => !key?.includes('.s3-deploy-probe/'))
    .map(({ operation }) => operation);
}

describe('faults', () => {
  let cloud: LoopbackCloud;
  beforeAll(async () => {
    cloud = await startCloud();
  });
  afterAll(() => cloud.close());

  /** Runs and failures so far, over every fault and seed. */
  const honest = { runs: 0, red: 0 };

  /** Holds any run to what it says: green only with the right bucket, no deletion after a failure, a code from the set. */
  async function expectHonest(name: string, run: ActionRun, stage: Stage, wanted: Record<string, string | Buffer>) {
    const there = await objectsOf(cloud, stage.bucket);
    honest.runs++;
    if (run.exitCode === 0) {
      expect([name, differences(there, wanted), run.result.status]).toEqual([name, [], 'succeeded']);
      return;
    }
    honest.red++;
    const { code } = run.result.error;
    expect([name, ERROR_CODES.filter((one) => one !== 'INTERNAL').includes(code)]).toEqual([name, true]);
    if (code !== 'DELETE_FAILED') {
      expect([name, deletionsOf(cloud, stage.bucket), STALE.filter((key) => !there.has(key))]).toEqual([name, [], []]);
      expect([name, run.result.deletions]).toEqual([name, []]);
    }
    const texts = Object.fromEntries([...there].map(([key, body]) => [key, body.toString()]));
    expect([name, missingAssets(texts)]).toEqual([name, []]);
  }

  describe(`${sized(200, 2000)} objects`, () => {
    const files = { ...pages(sized(199, 1999)), 'video.mp4': randomBytes(11 * MIB) };
    const site = new Site(files);

    async function deploy(name: string, mix?: { seed: number; rate: number }): Promise<ActionRun> {
      const stage = await Stage.withRole(cloud, OWNER, { site });
      for (const key of STALE) await stage.put(key);
      if (mix !== undefined) cloud.faults.addMix({ ...mix, answers: EVERYTHING });
      try {
        const run = await stage.run(
          { delete: 'true', 'max-delete': '100%', 'part-size': '5MiB' },
          { timeoutMs: 300_000 },
        );
        expect([name, run.exitCode, run.result.error]).toEqual([name, 0, null]);
        await expectHonest(name, run, stage, files);
        return run;
      } finally {
        cloud.faults.clear();
        cloud.clearRequests();
        cloud.deleteBucket(stage.bucket);
      }
    }

    const rates = sized([0.2, 0.4], [0.05, 0.2, 0.4]);
    /** What came of each rate: faults by kind, and how many times as long each seed took as without faults. */
    const seen = rates.map((rate) => ({ rate, injected: {} as Record<string, number>, times: [] as number[] }));

    // A run with faults is held against the one without that ran just before it: what else the machine does meanwhile
    // slows both. Who waits minds that less than who works, so that a busy machine makes the ratio smaller, not larger.
    test.each(upTo(sized(1, 10)))(
      'with a part of the requests failing in every way, nothing is lost: seed %i',
      async (seed) => {
        const faultless = (await deploy(`seed ${seed} without faults`)).durationMs;
        for (const { rate, injected, times } of seen) {
          const before = { ...cloud.faults.injected };
          const run = await deploy(`seed ${seed} at ${rate}`, { seed, rate });
          times.push(run.durationMs / faultless);
          for (const [kind, n] of Object.entries(cloud.faults.injected))
            injected[kind] = (injected[kind] ?? 0) + n - (before[kind] ?? 0);
        }
      },
      600_000,
    );

    test('with 40 % of the requests failing, a deploy takes no more than ten times as long', () => {
      for (const { rate, injected, times } of seen) {
        figure(
          `faults at ${rate * 100} %, ${times.length} seeds: ${tally(injected)}; ` +
            `${median(times).toFixed(1)} times as long as without, the slowest ${Math.max(...times).toFixed(1)} times`,
        );
      }
      // A short run is all start and one silence; the figures mean something where there is work to do meanwhile.
      if (!LONG) return;
      const most = seen.at(-1);
      expect(NAMED.filter((kind) => !((most?.injected[kind] ?? 0) > 0))).toEqual([]);
      // The middle of the seeds does not heed what slows one of them.
      expect(median(most?.times ?? [])).toBeLessThanOrEqual(10);
    });
  });

  test('where some never pass, no run is green with a wrong bucket, and nothing is deleted after a failure', async () => {
    const files = pages(40);
    const site = new Site(files);
    await eachOf(upTo(sized(12, 80)), 4, async (seed) => {
      const stage = await Stage.withRole(cloud, OWNER, { site });
      for (const key of STALE) await stage.put(key);
      const answers = [...EVERYTHING, ...LASTING.map(([weight, answer]) => [weight * sized(2, 1), answer] as const)];
      cloud.faults.addMix({ seed, rate: 0.3, bucket: stage.bucket, answers });
      const run = await stage.run({ delete: 'true', 'max-delete': '100%' }, { timeoutMs: 200_000 });
      cloud.faults.removeMix(stage.bucket);
      await expectHonest(`seed ${seed}`, run, stage, files);
    });
    expect(honest.red).toBeGreaterThan(0);
    expect(honest.runs - honest.red).toBeGreaterThan(0);
    figure(`honest: ${honest.runs} runs, ${honest.red} of them red, none green with a wrong bucket`);
  }, 900_000);

  test('a session that is ended three times in one run is renewed, and nothing is lost', async () => {
    const files = pages(60);
    const stage = await Stage.withRole(cloud, OWNER, { site: new Site(files) });
    cloud.clearRequests();
    cloud.faults.add({ operation: 'PutObject', times: Infinity, answer: { kind: 'delay', ms: 30 } });
    let expiries = 0;
    const watch = setInterval(() => {
      if (expiries === 3 || cloud.count('PutObject') < 1 + 15 * (expiries + 1)) return;
      expiries++;
      cloud.expireSessions();
    }, 1);
    const run = await stage.run({ concurrency: '4' });
    clearInterval(watch);
    cloud.faults.clear();
    expect([expiries, run.exitCode]).toEqual([3, 0]);
    expect(differences(await objectsOf(cloud, stage.bucket), files)).toEqual([]);
    expect(cloud.count('AssumeRoleWithWebIdentity')).toBe(4);
  }, 60_000);
});
