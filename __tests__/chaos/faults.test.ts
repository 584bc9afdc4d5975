import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eachOf } from '../../src/core/each-of.ts';
import { ERROR_CODES } from '../../src/errors.ts';
import { figure, LONG, missingAssets, sized, tally, upTo } from '../support/chaos.ts';
import { type LoopbackCloud, startCloud } from '../support/cloud/cloud.ts';
import { MANIFEST, OWNER, Stage } from '../support/deploys.ts';
import { EVERYTHING, LASTING } from '../support/fault-mix.ts';
import type { ActionRun } from '../support/runner.ts';
import { Site } from '../support/site.ts';

const MIB = 1024 ** 2;
const STALE = ['stale/a.html', 'stale/b.css', 'old.html'];

/** The objects of a bucket without the manifest; stale ones too. */
async function objectsOf(cloud: LoopbackCloud, bucket: string): Promise<Map<string, Buffer>> {
  const objects = await cloud.objects(bucket);
  return new Map([...objects].filter(([key]) => !MANIFEST.test(key)).map(([key, { body }]) => [key, body]));
}

/** The keys that are not there, not the same, or too many. */
function differences(there: Map<string, Buffer>, wanted: Record<string, string | Buffer>): string[] {
  const keys = new Set([...there.keys(), ...Object.keys(wanted)]);
  return [...keys].filter((key) => {
    const [is, should] = [there.get(key), wanted[key]];
    return is === undefined || should === undefined || !is.equals(Buffer.from(should));
  });
}

/** Deletions that were asked for, without those of the probe. */
function deletionsOf(cloud: LoopbackCloud, bucket: string): string[] {
  return cloud.requests
    .filter((request) => request.bucket === bucket && /^DeleteObject/.test(request.operation))
    .filter(({ key }) => !key?.includes('.s3-deploy-probe/'))
    .map(({ operation }) => operation);
}

/** A site with pages that name assets, of `count` files in all. */
function pages(count: number): Record<string, string | Buffer> {
  return Object.fromEntries(
    upTo(count).map((n) => {
      const path = n % 4 === 0 ? `p/${n}/index.html` : `assets/${n}.js`;
      return [path, n % 4 === 0 ? `<script src=assets/${n - 1}.js></script>` : `assets/${n}.js ${'x'.repeat(n)}`];
    }),
  );
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
    let faultless = Number.POSITIVE_INFINITY;

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

    test('without faults, for comparison', async () => {
      for (const n of upTo(2)) faultless = Math.min(faultless, (await deploy(`faultless ${n}`)).durationMs);
    }, 120_000);

    test.each(sized([0.2, 0.4], [0.05, 0.2, 0.4]))(
      'with %p of the requests failing, nothing is lost',
      async (rate) => {
        const before = { ...cloud.faults.injected };
        let slowest = 0;
        for (const seed of upTo(sized(1, 10))) {
          const run = await deploy(`seed ${seed} at ${rate}`, { seed, rate });
          slowest = Math.max(slowest, run.durationMs);
        }
        const injected = Object.entries(cloud.faults.injected).map(([kind, n]) => [
          kind,
          n - (before[kind as never] ?? 0),
        ]);
        figure(
          `faults at ${rate * 100} %: ${tally(Object.fromEntries(injected))}; slowest run ${(slowest / 1000).toFixed(1)} s, ` +
            `${(slowest / faultless).toFixed(1)} times the faultless one`,
        );
        // A short run is all start and one silence; the figure means something where there is work to do meanwhile.
        if (LONG) expect(slowest).toBeLessThanOrEqual(10 * faultless);
      },
      1_200_000,
    );
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

  test(`any one silent connection is recovered within 60 s${sized(', the first few', '')}`, async () => {
    const files = { ...pages(8), 'video.mp4': randomBytes(6 * MIB) };
    const site = new Site(files);
    const aws = await startCloud({ hosts: 'aws' });
    let points = 0;
    let longest = 0;
    try {
      await eachOf([cloud, aws], 2, async (where) => {
        const inputs = {
          delete: 'true',
          'part-size': '5MiB',
          ...(where === aws && { endpoint: '', 'sts-endpoint': '' }),
        };
        let last = false;
        await eachOf(upTo(sized(4, 60)), 4, async (nth) => {
          if (last) return;
          const stage = await Stage.withRole(where, OWNER, { site });
          await stage.put('stale.html');
          where.faults.add({
            bucket: stage.bucket,
            after: nth - 1,
            answer: { kind: 'silence', applied: nth % 2 === 0 },
          });
          const env = where === aws ? { ...where.awsEnvironment(), ...where.github.jobEnvironment() } : {};
          const run = await stage.run(inputs, { env, timeoutMs: 120_000 });
          if (!where.requests.some(({ bucket, fault }) => bucket === stage.bucket && fault === 'silence')) {
            last = true;
            return;
          }
          points++;
          longest = Math.max(longest, run.durationMs);
          expect([nth, run.exitCode, differences(await objectsOf(where, stage.bucket), files)]).toEqual([nth, 0, []]);
        });
      });
    } finally {
      cloud.faults.clear();
      await aws.close();
    }
    expect(points).toBeGreaterThanOrEqual(sized(8, 40));
    expect(longest).toBeLessThan(60_000);
    figure(`one silent connection: ${points} points, the longest run ${(longest / 1000).toFixed(1)} s`);
  }, 600_000);

  test.each(['STS', 'the token service'])(
    'one silence of %s is recovered within 60 s',
    async (who) => {
      const stage = await Stage.withRole(cloud, OWNER);
      if (who === 'STS') cloud.faults.add({ operation: 'AssumeRoleWithWebIdentity', answer: { kind: 'silence' } });
      const job = cloud.github.jobEnvironment();
      let asked = 0;
      const service = createServer(async ({ url, headers }, response) => {
        if (asked++ === 0 && who !== 'STS') return;
        const target = new URL(String(job.ACTIONS_ID_TOKEN_REQUEST_URL));
        const audience = new URL(String(url), target).searchParams.get('audience') ?? '';
        target.searchParams.set('audience', audience);
        const answer = await fetch(target, { headers: { authorization: String(headers.authorization) } });
        response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
      });
      await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
      const { port } = service.address() as AddressInfo;
      const url = `http://127.0.0.1:${port}/token?api-version=2.0`;
      const run = await stage.run({}, { env: { ...job, ACTIONS_ID_TOKEN_REQUEST_URL: url }, timeoutMs: 120_000 });
      cloud.faults.clear();
      service.closeAllConnections();
      service.close();
      expect([run.exitCode, asked >= 1]).toEqual([0, true]);
      expect(run.durationMs).toBeLessThan(60_000);
    },
    130_000,
  );

  if (LONG) {
    test('total silence, whenever it begins, ends within 5 minutes as STORE_UNREACHABLE', async () => {
      const files = { ...pages(8), 'video.mp4': randomBytes(6 * MIB) };
      const site = new Site(files);
      let longest = 0;
      const points = [1, 2, 4, 6, 7, 8, 10, 12, 16, 18, 20];
      let reached = 0;
      await eachOf(points, points.length, async (nth) => {
        const stage = await Stage.withRole(cloud, OWNER, { site });
        await stage.put('stale.html');
        cloud.faults.add({ bucket: stage.bucket, after: nth - 1, times: Infinity, answer: { kind: 'silence' } });
        const run = await stage.run({ delete: 'true', 'part-size': '5MiB' }, { timeoutMs: 330_000 });
        if (!cloud.requests.some(({ bucket, fault }) => bucket === stage.bucket && fault === 'silence')) return;
        reached++;
        longest = Math.max(longest, run.durationMs);
        expect([nth, run.exitCode, run.result.error.code]).toEqual([nth, 1, 'STORE_UNREACHABLE']);
      });
      cloud.faults.clear();
      expect(reached).toBeGreaterThanOrEqual(8);
      expect(longest).toBeLessThan(300_000);
      figure(`total silence: ${reached} points, the longest run ${(longest / 1000).toFixed(1)} s`);
    }, 400_000);
  }
});
