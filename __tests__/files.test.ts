import { appendFileSync, mkdirSync, renameSync, symlinkSync, truncateSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from './support/cloud/cloud.ts';
import { OWNER, Stage } from './support/deploys.ts';

const MIB = 1024 ** 2;

describe('files', () => {
  let cloud: LoopbackCloud;
  beforeAll(async () => {
    cloud = await startCloud();
  });
  afterAll(() => cloud.close());
  afterEach(() => cloud.faults.clear());

  test('that are empty, sparse, or exactly a part, two parts and a byte more are stored as they are, and known again', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    const sizes = { 'empty.txt': 0, 'byte.bin': 1, 'part.bin': 5 * MIB, 'more.bin': 5 * MIB + 1, 'two.bin': 10 * MIB };
    for (const [name, bytes] of Object.entries(sizes)) stage.site.sparse(name, bytes);
    const inputs = { 'part-size': '5MiB' };
    expect((await stage.run(inputs)).result.counts.uploaded).toBe(10);
    const objects = await cloud.objects(stage.bucket);
    for (const [name, bytes] of Object.entries(sizes))
      expect([name, objects.get(name)?.body.equals(Buffer.alloc(bytes))]).toEqual([name, true]);
    expect([objects.get('part.bin')?.headers.etag, objects.get('more.bin')?.headers.etag]).toEqual([
      expect.stringMatching(/^"[0-9a-f]{32}"$/),
      expect.stringMatching(/^"[0-9a-f]{32}-2"$/),
    ]);
    expect((await stage.run(inputs)).result.counts).toMatchObject({ uploaded: 0, updated: 0, unchanged: 10 });
  });

  /** Holds a request, does something to the site meanwhile, and lets it go on. */
  async function meanwhile(operation: string, after: number, change: () => void): Promise<void> {
    const { promise: until, resolve: release } = Promise.withResolvers<void>();
    cloud.faults.add({ operation, after, key: /^(?!\.s3-deploy)/, answer: { kind: 'wait', until } });
    const before = cloud.requests.length;
    const isHeld = () => cloud.requests.slice(before).some(({ fault }) => fault === 'wait');
    const giveUp = Date.now() + 30_000;
    while (!isHeld() && Date.now() < giveUp) await new Promise((resolve) => setTimeout(resolve, 2));
    change();
    release();
  }

  test.each<[string, (at: string) => void]>([
    ['grows', (at) => appendFileSync(at, 'more')],
    ['is truncated', (at) => truncateSync(at, 1)],
    ['vanishes', (at) => renameSync(at, `${at}.bak`)],
    [
      'becomes a link to the like of it',
      (at) => {
        renameSync(at, `${at}.bak`);
        symlinkSync(`${at}.bak`, at);
      },
    ],
    [
      'becomes a folder',
      (at) => {
        renameSync(at, `${at}.bak`);
        mkdirSync(at);
      },
    ],
  ])(
    'one that %s before its turn fails by name; no page that leads to it goes up and nothing is deleted',
    async (_, change) => {
      const stage = await Stage.withRole(cloud, OWNER);
      await stage.put('stale.html');
      const changing = meanwhile('PutObject', 0, () => change(stage.site.at('about/index.html')));
      const run = await stage.run({ delete: 'true' });
      await changing;
      expect(run.result.error).toMatchObject({
        code: 'SOURCE_INVALID',
        message: expect.stringContaining('about/index.html'),
      });
      expect(run.result.failures).toMatchObject([{ key: 'about/index.html' }]);
      expect(await stage.keys()).toEqual(['app.3f2a1b9c.css', 'data/tides.json', 'robots.txt', 'stale.html']);
    },
  );

  test.each<[string, (at: string) => void]>([
    ['grows', (at) => appendFileSync(at, 'more')],
    ['is truncated', (at) => truncateSync(at, MIB)],
  ])(
    'a large one that %s while its parts go up fails by name, and leaves neither an object nor an open upload',
    async (_, change) => {
      const stage = await Stage.withRole(cloud, OWNER);
      stage.site.sparse('film.mkv', 48 * MIB);
      const changing = meanwhile('UploadPart', 3, () => change(stage.site.at('film.mkv')));
      const run = await stage.run({ 'part-size': '5MiB' });
      await changing;
      expect(run.result.error).toMatchObject({
        code: 'SOURCE_INVALID',
        message: expect.stringContaining('film.mkv changed'),
      });
      expect(await stage.keys()).not.toContain('film.mkv');
      expect(await cloud.openUploads(stage.bucket)).toEqual([]);
    },
  );

  test('a large one that changes while it goes up in a single request is not stored', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    cloud.bucket(stage.bucket).options.quirks = { multipart: 501 };
    stage.site.sparse('film.mkv', 48 * MIB);
    const timer = setInterval(() => appendFileSync(stage.site.at('film.mkv'), 'more'), 20);
    const run = await stage.run({ 'part-size': '5MiB' });
    clearInterval(timer);
    expect(run.result.error).toMatchObject({
      code: 'SOURCE_INVALID',
      message: expect.stringContaining('film.mkv changed'),
    });
    expect(await stage.keys()).not.toContain('film.mkv');
  });
});
