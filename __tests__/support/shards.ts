import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { allow, OWNER, Stage } from './deploys.ts';
import type { ActionRun } from './runner.ts';
import { Site } from './site.ts';
import type { TestCloud } from './test-cloud.ts';

export const SHARDS = ['1/8', '2/8', '3/8', '4/8', '5/8', '6/8', '7/8', '8/8'];
const ASSETS = 60;

/** A version of a site: assets whose names carry the version, some that all versions share, and pages that name them. */
export function version(v: string): Record<string, string> {
  const own = Array.from({ length: ASSETS - 20 }, (_, i) => [`app/${i}.${v}.js`, `${v} ${i}`]);
  const shared = Array.from({ length: 20 }, (_, i) => [`img/${i}.svg`, `<svg id="${i}"/>`]);
  const pages = Array.from({ length: 4 }, (_, i) => [
    `p/${i}.html`,
    `<script src=app/${i}.${v}.js><img src=img/${i}.svg>`,
  ]);
  return Object.fromEntries([...own, ...shared, ...pages, ['index.html', `<script src=app/39.${v}.js>`]]);
}

/** Assets that a live page names and the bucket does not have. */
export function missingAssets(bodies: Record<string, string>): string[] {
  return Object.entries(bodies).flatMap(([page, body]) =>
    [...body.matchAll(/src=([\w./]+)/g)]
      .filter(([, asset = '']) => page.endsWith('.html') && bodies[asset] === undefined)
      .map(([, asset]) => `${page} → ${asset}`),
  );
}

/** The keys in the bucket, the action's own by themselves. */
export async function keysIn(stage: Stage): Promise<{ site: string[]; own: string[] }> {
  const keys = [...(await stage.cloud.objects(stage.bucket)).keys()].sort();
  const isOwn = (key: string) => key.includes('.s3-deploy');
  return { site: keys.filter((key) => !isOwn(key)), own: keys.filter(isOwn) };
}

/** Every shard in a process of its own, at the same time. */
export function runShards(stage: Stage, inputs: Record<string, string> = {}, workspace = stage.site.workspace) {
  return Promise.all(SHARDS.map((shard) => stage.run({ ...inputs, shard }, { workspace, timeoutMs: 120_000 })));
}

export function sum(
  runs: readonly ActionRun[],
  count: 'uploaded' | 'updated' | 'unchanged' | 'deleted' | 'kept',
): number {
  return runs.reduce((all, { result }) => all + result.counts[count], 0);
}

export const uploadsOf = ({ result }: ActionRun): string[] =>
  result.uploads.map(({ key }: { key: string }) => key).sort();

const isPage = (path: string) => path.endsWith('.html');

/** Deploys that are spread over the jobs of a matrix, the same for every cloud. */
export function describeShards(name: string, start: () => Promise<TestCloud>): void {
  let cloud: TestCloud;
  beforeAll(async () => {
    cloud = await start();
  }, 60_000);
  afterAll(() => cloud?.close());

  /** Eight shards that may not delete, and the last run, which may. */
  async function scene(site: Site) {
    const stage = await Stage.withKeys(
      cloud,
      [
        allow(['s3:ListBucket'], 'arn:aws:s3:::BUCKET'),
        allow(['s3:GetObject', 's3:PutObject'], 'arn:aws:s3:::BUCKET/*'),
      ],
      { site },
    );
    const keys = await cloud.createUser(`last-${stage.bucket}`, {
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Action: 's3:*',
          Resource: [`arn:aws:s3:::${stage.bucket}`, `arn:aws:s3:::${stage.bucket}/*`],
        },
      ],
    });
    const last = (inputs: Record<string, string> = {}, workspace = stage.site.workspace) =>
      stage.run(
        { ...inputs, 'aws-access-key-id': keys.accessKeyId, 'aws-secret-access-key': keys.secretAccessKey },
        { workspace },
      );
    return { stage, last };
  }

  describe(`shards to ${name}`, () => {
    test('eight side by side put the assets and nothing else; the last run puts the rest, and asks for no object', async () => {
      const v1 = version('v1');
      const { stage, last } = await scene(new Site(v1));
      await stage.put('stale.css');
      const shards = await runShards(stage, { delete: 'true' });
      expect(shards.map(({ exitCode }) => exitCode)).toEqual(SHARDS.map(() => 0));
      expect([sum(shards, 'uploaded'), sum(shards, 'deleted'), sum(shards, 'kept')]).toEqual([ASSETS, 0, 0]);
      expect(shards[1]?.log.visible).toMatch(/shard 2 of 8: \d+ of 60 assets/);
      expect(shards[1]?.summary).toContain('shard 2 of 8');
      const between = await keysIn(stage);
      expect(between.site).toEqual([...Object.keys(v1).filter((path) => !isPage(path)), 'stale.css'].sort());
      expect(between.own).not.toContain('.s3-deploy/manifest');

      const end = await last({ delete: 'true', probe: 'off' });
      expect(end.exitCode).toBe(0);
      expect(uploadsOf(end)).toEqual(Object.keys(v1).filter(isPage).sort());
      expect(end.result.counts).toMatchObject({ uploaded: 5, updated: 0, unchanged: ASSETS, deleted: 1 });
      // A note of each shard, the bucket's region, and whether there is a manifest: before pages, entry pages, deletions.
      expect(end.result.requests.get).toBeLessThanOrEqual(SHARDS.length + 4);
      const bodies = await stage.bodies();
      expect(Object.fromEntries((await keysIn(stage)).site.map((key) => [key, bodies[key]]))).toEqual(v1);

      const off = { delete: 'true', probe: 'off' };
      const again = [...(await runShards(stage, off)), await last(off)];
      expect(again.map(({ exitCode, result }) => [exitCode, result.requests.put])).toEqual(again.map(() => [0, 0]));
      expect([sum(again, 'unchanged'), sum(again, 'deleted')]).toEqual([2 * ASSETS + 5, 0]);
    });

    test('leave the pages that are live, and all that they name, until the last run has put the new ones', async () => {
      const { stage, last } = await scene(new Site(version('v1')));
      expect((await last()).exitCode).toBe(0);
      const next = new Site(version('v2'));
      const rule = "'img/**':\n  Cache-Control: public, max-age=60\n'*.nothing':\n  Cache-Control: no-store";
      const inputs = { delete: 'true', 'max-delete': '100%', headers: rule };
      const shards = await runShards(stage, inputs, next.workspace);
      expect(shards.map(({ exitCode }) => exitCode)).toEqual(SHARDS.map(() => 0));
      expect([sum(shards, 'uploaded'), sum(shards, 'updated'), sum(shards, 'unchanged')]).toEqual([40, 20, 0]);
      expect(shards.flatMap(({ log }) => log.annotations)).toEqual([]);
      const between = await stage.bodies();
      expect(missingAssets(between)).toEqual([]);
      expect(between).toMatchObject(version('v1'));

      const end = await last(inputs, next.workspace);
      expect(end.result.counts).toMatchObject({ uploaded: 0, updated: 5, unchanged: ASSETS, deleted: 40 });
      expect(end.log.annotations).toMatchObject([{ kind: 'warning', message: expect.stringContaining('*.nothing') }]);
      expect((await keysIn(stage)).site).toEqual(Object.keys(version('v2')).sort());
      const image = (await cloud.objects(stage.bucket)).get('img/3.svg');
      expect(image?.headers['cache-control']).toBe('public, max-age=60');
      expect((await last(inputs, next.workspace)).result.counts).toMatchObject({ uploaded: 0, updated: 0, deleted: 0 });
    });

    test('are removed with their notes by mode: remove', async () => {
      const stage = await Stage.withRole(cloud, OWNER, {
        site: new Site({ 'a.txt': 'a', 'b.txt': 'b', 'c.html': 'c' }),
      });
      for (const shard of ['1/2', '2/2']) expect((await stage.run({ prefix: 'p', shard })).exitCode).toBe(0);
      expect((await keysIn(stage)).own.length).toBeGreaterThan(0);
      const removed = await stage.run({ mode: 'remove', prefix: 'p', 'source-dir': '' });
      expect([removed.exitCode, removed.result.counts.deleted]).toEqual([0, 2]);
      expect(await keysIn(stage)).toEqual({ site: [], own: [] });
    });
  });
}
