import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from './support/cloud/cloud.ts';
import type { Quirks } from './support/cloud/quirks.ts';
import { allow, MANIFEST, OWNER, Stage } from './support/deploys.ts';
import type { ActionRun } from './support/runner.ts';

/** What a log says of a store that lacks something: each line once. */
const saidOf = ({ log }: ActionRun) =>
  log.visible.split('\n').filter((line) => /This store (has no|cannot)/.test(line));

const NO_BATCHES = 'This store has no batch delete: objects are deleted one by one.';
const NO_PARTS = 'This store has no multipart uploads: files go up whole, and none may be larger than 5 GiB.';
const NO_CONDITIONS =
  'This store has no conditional writes: two deploys at the same time are not noticed, and overwrite: false trusts the listing.';
const NOT_NOTICED = 'This store cannot write on a condition: two deploys at once are not noticed.';
const NO_MD5 = 'This store has no check of Content-MD5: what arrives is held against the ETag of the answer alone.';

/** What the first deploy, one that finds nothing to do, and one that changes and deletes say. */
type Says = readonly [first: string[], again: string[], change: string[]];
const NOTHING: Says = [[], [], []];

const STORES: readonly [what: string, quirks: Quirks, says: Says][] = [
  ['that refuses the headers of checksums', { checksumHeaders: 'refused' }, NOTHING],
  ['that wants Content-MD5 on batch deletes', { batchDelete: 'wants Content-MD5' }, NOTHING],
  ['without batch deletes, which it calls a bad request', { batchDelete: 400 }, [[NO_BATCHES], [], [NO_BATCHES]]],
  ['without batch deletes, which it does not know', { batchDelete: 501 }, [[NO_BATCHES], [], [NO_BATCHES]]],
  ['whose listings are not encoded', { listings: 'not encoded' }, NOTHING],
  ['that ignores If-None-Match', { ifNoneMatch: 'ignored' }, NOTHING],
  ['that does not know If-None-Match', { ifNoneMatch: 'not implemented' }, [[NO_CONDITIONS], [], []]],
  ['that ignores If-Match', { ifMatch: 'ignored' }, NOTHING],
  ['that does not know If-Match', { ifMatch: 'not implemented' }, [[], [], [NO_CONDITIONS]]],
  ['that compares If-Match with its quotes', { ifMatch: 'with its quotes' }, [[], [], [NOT_NOTICED]]],
  ['that answers no ETag of parts', { completion: 'empty ETag' }, NOTHING],
  [
    'whose ETags of parts are random, and that does not answer them',
    { completion: 'empty ETag', etags: 'random in parts' },
    NOTHING,
  ],
  ['without uploads in parts, which it calls a bad request', { multipart: 400 }, [[NO_PARTS], [], [NO_PARTS]]],
  ['without uploads in parts, which it does not know', { multipart: 501 }, [[NO_PARTS], [], [NO_PARTS]]],
  ['that wants parts of equal size', { parts: 'of equal size' }, NOTHING],
  ['whose ETags of parts are random', { etags: 'random in parts' }, NOTHING],
  ['whose ETags only look like MD5s', { etags: 'random' }, NOTHING],
  ['whose ETags are no MD5s', { etags: 'no MD5' }, NOTHING],
  [
    'without ACLs, tags, redirects and copies',
    { acls: 'not implemented', tagging: 'not implemented', redirects: 'not kept', copies: 501 },
    NOTHING,
  ],
  ['that does not tell its region', { region: 'not told' }, NOTHING],
  ['that does not look at Content-MD5', { contentMd5: 'ignored' }, [[NO_MD5], [NO_MD5], [NO_MD5]]],
  [
    'that has everything against it',
    {
      ...{ checksumHeaders: 'refused', batchDelete: 501, listings: 'not encoded', ifNoneMatch: 'not implemented' },
      ...{ ifMatch: 'not implemented', multipart: 501, etags: 'no MD5', acls: 'not implemented', copies: 501 },
      ...{ tagging: 'not implemented', region: 'not told', redirects: 'not kept', contentMd5: 'ignored' },
    },
    [[NO_MD5, NO_PARTS, NO_CONDITIONS, NO_BATCHES], [NO_MD5], [NO_MD5, NO_PARTS, NO_CONDITIONS, NO_BATCHES]],
  ],
];

describe('a store', () => {
  let cloud: LoopbackCloud;
  beforeAll(async () => {
    cloud = await startCloud();
  });
  afterAll(() => cloud.close());
  const stages: Stage[] = [];
  afterEach(() => {
    for (const { site } of stages.splice(0)) site.dispose();
  });

  /** A bucket of a store with quirks, and a site with a file that goes up in parts. */
  async function quirky(quirks: Quirks, statements = OWNER): Promise<Stage> {
    const stage = await Stage.withKeys(cloud, statements);
    stages.push(stage);
    cloud.bucket(stage.bucket).options.quirks = quirks;
    stage.site.write('video.mp4', Buffer.alloc(11 * 1024 ** 2, 'first'));
    return stage;
  }
  const INPUTS = { delete: 'true', 'part-size': '5MiB' };
  const isWrite = (operation: string) => /^(Put|Upload|Create|Complete|Copy|Delete)/.test(operation);

  test.each(STORES)('%s is deployed to: all, nothing, and what has changed', async (_what, quirks, says) => {
    const stage = await quirky(quirks);
    await stage.put('stale.html');
    const first = await stage.run(INPUTS);
    expect([first.result.error, first.exitCode]).toEqual([null, 0]);
    expect(first.result.counts).toMatchObject({ uploaded: 6, deleted: 1 });

    cloud.clearRequests();
    const again = await stage.run(INPUTS);
    expect(again.result.counts).toMatchObject({ uploaded: 0, updated: 0, deleted: 0, unchanged: 6 });
    const puts = cloud.requests.filter(
      ({ operation, key }) => isWrite(operation) && !key?.includes('.s3-deploy-probe/'),
    );
    expect(puts).toEqual([]);

    const video = randomBytes(11 * 1024 ** 2 + 1);
    stage.site.write('video.mp4', video);
    stage.site.write('robots.txt', 'User-agent: x');
    stage.site.remove('data');
    const headers = "'about/**':\n  Cache-Control: no-store";
    const change = await stage.run({ ...INPUTS, headers });
    expect([change.result.error, change.exitCode]).toEqual([null, 0]);
    expect(change.result.counts).toMatchObject({ uploaded: 0, updated: 3, deleted: 1, unchanged: 2 });

    const objects = await cloud.objects(stage.bucket);
    expect([...objects.keys()].filter((key) => !MANIFEST.test(key)).sort()).toEqual([
      ...['about/index.html', 'app.3f2a1b9c.css', 'index.html', 'robots.txt', 'video.mp4'],
    ]);
    expect(objects.get('video.mp4')?.body.equals(video)).toBe(true);
    expect(objects.get('robots.txt')?.body.toString()).toBe('User-agent: x');
    expect(objects.get('about/index.html')?.body.toString()).toBe('about');
    expect(objects.get('about/index.html')?.headers['cache-control']).toBe('no-store');
    expect(await cloud.openUploads(stage.bucket)).toEqual([]);
    expect([first, again, change].map(saidOf)).toEqual(says);
    expect([first, again, change].flatMap(({ log }) => log.annotations)).toEqual([]);
    expect((await stage.run({ ...INPUTS, headers })).result.counts).toMatchObject({
      uploaded: 0,
      updated: 0,
      unchanged: 5,
    });
  });

  test.each([
    ['acl', 'public-read', { acls: 'not implemented' }],
    ['tags', 'team=web', { tagging: 'not implemented' }],
  ] as const)(
    'that does not know what %s asks for is refused before anything is written',
    async (input, value, quirks) => {
      const stage = await quirky(quirks);
      const run = await stage.run({ ...INPUTS, [input]: value });
      expect(run.result.error).toMatchObject({ code: 'INPUT_INVALID', message: expect.stringMatching(`^${input}: `) });
      expect(await stage.keys()).toEqual([]);
    },
  );

  test('whose listings are not encoded gets no name that they could not tell', async () => {
    const stage = await quirky({ listings: 'not encoded' });
    stage.site.write('a\rb.html', 'x');
    for (const mode of ['plan', 'deploy']) {
      const run = await stage.run({ ...INPUTS, mode });
      expect(run.result.error).toMatchObject({
        code: 'SOURCE_INVALID',
        message: expect.stringContaining('a\\x0db.html cannot be an object'),
      });
    }
    expect(await stage.keys()).toEqual([]);
    stage.site.remove('a\rb.html');
    const odd = [' a', 'a ', 'é', 'e\u0301', '%46', '+', '&amp;', '<b>', '\u2028', '\x7f', '😀'];
    for (const name of odd) stage.site.write(name, name);
    expect((await stage.run(INPUTS)).result.counts.uploaded).toBe(6 + odd.length);
    expect((await stage.run(INPUTS)).result.counts).toMatchObject({
      uploaded: 0,
      updated: 0,
      unchanged: 6 + odd.length,
    });
    for (const name of odd) stage.site.remove(name);
    expect((await stage.run({ ...INPUTS, 'max-delete': '100%' })).result.counts.deleted).toBe(odd.length);
    expect(await stage.keys()).toHaveLength(6);
  });

  const putOnly = [allow(['s3:PutObject'], 'arn:aws:s3:::BUCKET/archive/*')];
  const append = { prefix: 'archive', overwrite: 'false', 'part-size': '5MiB' };

  test.each<[string, Quirks]>([
    ['ignores', { ifNoneMatch: 'ignored' }],
    ['does not know', { ifNoneMatch: 'not implemented' }],
  ])('that %s If-None-Match is not appended to by who may not list it', async (_what, quirks) => {
    const stage = await quirky(quirks, putOnly);
    await stage.put('archive/robots.txt');
    await stage.put('archive/video.mp4');
    for (let i = 0; i < 2; i++) {
      const run = await stage.run(append);
      expect(run.result.error).toMatchObject({
        code: 'PERMISSION_DENIED',
        message: expect.stringContaining('cannot write on a condition'),
      });
    }
    expect(await stage.bodies()).toMatchObject({ 'archive/robots.txt': 'theirs', 'archive/video.mp4': 'theirs' });
  });

  test('that looks at conditions of whole objects alone is appended to all the same, large files included', async () => {
    const stage = await quirky({ ifNoneMatch: 'ignored for parts' }, putOnly);
    await stage.put('archive/video.mp4');
    const run = await stage.run(append);
    expect(run.result.counts).toMatchObject({ uploaded: 5, kept: 1 });
    expect((await stage.bodies())['archive/video.mp4']).toBe('theirs');
    expect((await stage.run(append)).result.counts).toMatchObject({ uploaded: 0, kept: 6 });
  });

  test.each<[string, Quirks, string]>([
    ['ignores', { ifNoneMatch: 'ignored' }, ''],
    ['does not know', { ifNoneMatch: 'not implemented' }, NO_CONDITIONS],
  ])('that %s If-None-Match is appended to by who may list it', async (_what, quirks, says) => {
    const stage = await quirky(quirks);
    await stage.put('archive/robots.txt');
    const run = await stage.run(append);
    expect(run.result.counts).toMatchObject({ uploaded: 5, kept: 1 });
    expect((await stage.bodies())['archive/robots.txt']).toBe('theirs');
    expect(saidOf(run)).toEqual(says === '' ? [] : [says]);
  });

  test('without uploads in parts is sent a large file again, whole and without a word, when it fails', async () => {
    const stage = await quirky({ multipart: 501 });
    const fault = { operation: 'PutObject', key: 'video.mp4' };
    cloud.faults.add({ ...fault, answer: { kind: 'error', status: 503, code: 'SlowDown' } });
    cloud.faults.add({ ...fault, answer: { kind: 'reset', at: 'body' } });
    const run = await stage.run(INPUTS);
    expect([run.exitCode, run.stderr]).toEqual([0, '']);
    expect(run.result.requests.retries).toBe(2);
    expect((await stage.bodies())['video.mp4']).toBe('first'.repeat((11 * 1024 ** 2) / 5 + 1).slice(0, 11 * 1024 ** 2));
  });

  test('without uploads in parts gets no file that is larger than it takes, and is told so before anything is written', async () => {
    const stage = await quirky({ multipart: 501 });
    stage.site.sparse('film.mkv', 5 * 1024 ** 3 + 1);
    const run = await stage.run(INPUTS);
    expect(run.result.error).toMatchObject({
      code: 'SOURCE_INVALID',
      message: expect.stringMatching(/film\.mkv.*5,368,709,121 bytes.*5\.0 GiB at most.*no multipart uploads/),
    });
    expect(await stage.keys()).toEqual([]);
  });

  test('is found out by a probe', async () => {
    const stage = await quirky({
      ...{ batchDelete: 501, listings: 'not encoded', ifNoneMatch: 'ignored', multipart: 405, redirects: 'not kept' },
      contentMd5: 'ignored',
    });
    const run = await stage.run({ mode: 'probe', delete: 'true' });
    expect(run.exitCode).toBe(0);
    expect(run.result.probe.capabilities).toEqual({
      ...{ batchDelete: false, conditionalWrites: false, contentMd5: false, crcChecksums: true },
      ...{ multipart: false, urlEncodedListing: false, websiteRedirects: false },
    });
    expect(await stage.keys()).toEqual([]);
  });
});
