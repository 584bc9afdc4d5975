import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eachOf } from '../../src/core/each-of.ts';
import { differences, figure, LONG, objectsOf, pages, sized, upTo } from '../support/chaos.ts';
import { type LoopbackCloud, startCloud } from '../support/cloud/cloud.ts';
import { OWNER, Stage } from '../support/deploys.ts';
import { Site } from '../support/site.ts';

const MIB = 1024 ** 2;
const FILES = { ...pages(8), 'video.mp4': randomBytes(6 * MIB) };

/** GitHub's token service, that never answers so many requests first. `close` ends it. */
async function startSilentService(cloud: LoopbackCloud, unanswered: number) {
  const job = cloud.github.jobEnvironment();
  let asked = 0;
  const service = createServer(async ({ url, headers }, response) => {
    if (asked++ < unanswered) return;
    const target = new URL(String(job.ACTIONS_ID_TOKEN_REQUEST_URL));
    const audience = new URL(String(url), target).searchParams.get('audience') ?? '';
    target.searchParams.set('audience', audience);
    const answer = await fetch(target, { headers: { authorization: String(headers.authorization) } });
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
  });
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
  const { port } = service.address() as AddressInfo;
  return {
    env: { ...job, ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${port}/token?api-version=2.0` },
    asked: () => asked,
    close() {
      service.closeAllConnections();
      service.close();
    },
  };
}

/**
 * Deploys to a cloud of their own that fall silent for good, each at another moment: at the nth request to the bucket, or
 * when a token or a role is asked for. Answers how each ended; all at once, for it is minutes of waiting and nothing else.
 */
async function fallSilent() {
  const cloud = await startCloud();
  const site = new Site(FILES);
  const ends: { moment: string; code: string; durationMs: number }[] = [];
  const moments = ['the token service', 'STS', 1, 2, 4, 6, 7, 8, 10, 12, 16, 18, 20];
  await eachOf(moments, moments.length, async (moment) => {
    const where = moment === 'STS' ? await startCloud() : cloud;
    const stage = await Stage.withRole(where, OWNER, { site });
    await stage.put('stale.html');
    const silence = { times: Infinity, answer: { kind: 'silence' } } as const;
    if (moment === 'STS') where.faults.add({ operation: 'AssumeRoleWithWebIdentity', ...silence });
    if (typeof moment === 'number') where.faults.add({ bucket: stage.bucket, after: moment - 1, ...silence });
    const service = moment === 'the token service' ? await startSilentService(where, Infinity) : undefined;
    const options = { timeoutMs: 330_000, ...(service && { env: service.env }) };
    const run = await stage.run({ delete: 'true', 'part-size': '5MiB' }, options);
    const silent =
      service !== undefined ||
      where.requests.some(({ bucket, fault }) => fault === 'silence' && (moment === 'STS' || bucket === stage.bucket));
    // The last moments come after the last request.
    if (silent) {
      expect([moment, run.exitCode, run.result.deletions]).toEqual([moment, 1, []]);
      ends.push({ moment: String(moment), code: run.result.error.code, durationMs: run.durationMs });
    }
    service?.close();
    if (where !== cloud) await where.close();
  });
  await cloud.close();
  return ends;
}

describe('silence', () => {
  let cloud: LoopbackCloud;
  let total: ReturnType<typeof fallSilent> | undefined;
  beforeAll(async () => {
    cloud = await startCloud();
    // Begun before the others: it waits while they do.
    if (LONG) total = fallSilent();
    total?.catch(() => undefined);
  });
  afterAll(() => cloud.close());

  test(`any one silent connection is recovered within 60 s${sized(', the first few', '')}`, async () => {
    const site = new Site(FILES);
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
        await eachOf(upTo(sized(4, 60)), sized(4, 6), async (nth) => {
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
          expect([nth, run.exitCode, differences(await objectsOf(where, stage.bucket), FILES)]).toEqual([nth, 0, []]);
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
      const service = await startSilentService(cloud, who === 'STS' ? 0 : 1);
      const run = await stage.run({}, { env: service.env, timeoutMs: 120_000 });
      cloud.faults.clear();
      service.close();
      expect([run.exitCode, service.asked()]).toEqual([0, who === 'STS' ? expect.any(Number) : 2]);
      expect(run.durationMs).toBeLessThan(60_000);
    },
    130_000,
  );

  if (LONG) {
    test('total silence, whenever it begins, ends within 5 minutes as STORE_UNREACHABLE', async () => {
      const ends = (await total) ?? [];
      expect(ends.filter(({ code }) => code !== 'STORE_UNREACHABLE')).toEqual([]);
      expect(ends.map(({ moment }) => moment)).toEqual(expect.arrayContaining(['STS', 'the token service', '1']));
      expect(ends.length).toBeGreaterThanOrEqual(10);
      const longest = Math.max(...ends.map(({ durationMs }) => durationMs));
      expect(longest).toBeLessThan(300_000);
      figure(`total silence: ${ends.length} points, the longest run ${(longest / 1000).toFixed(1)} s`);
    }, 400_000);
  }
});
