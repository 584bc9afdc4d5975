import { randomBytes } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { allow, OWNER, Stage } from './deploys.ts';
import type { ActionRun } from './runner.ts';
import { Site } from './site.ts';
import type { TestCloud } from './test-cloud.ts';

const keysOf = (list: { key: string }[]) => list.map(({ key }) => key).sort();
const reasonsOf = ({ result }: ActionRun) =>
  Object.fromEntries(result.uploads.map(({ key, reason }: { key: string; reason: string }) => [key, reason]));

/** Exact syncs with the built action: manifest, headers, deletes; the same for every cloud. */
export function describeSyncs(name: string, start: () => Promise<TestCloud>): void {
  let cloud: TestCloud;
  beforeAll(async () => {
    cloud = await start();
  }, 60_000);
  afterAll(() => cloud?.close());

  const headersOf = async (stage: Stage, key: string) => (await cloud.objects(stage.bucket)).get(key)?.headers ?? {};

  describe(`syncs to ${name}`, () => {
    test('a second deploy makes no PUT and no HEAD, whatever the times of the files', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      stage.site.write('video.mp4', randomBytes(12 * 1024 ** 2));
      const first = await stage.run({ 'part-size': '5MiB' });
      expect(first.exitCode).toBe(0);
      stage.site.write('robots.txt', 'User-agent: *', new Date('2001-01-01'));
      const second = await stage.run({ probe: 'off', 'part-size': '6MiB' }); // other parts: the manifest remembers
      expect(second.result.counts).toMatchObject({ uploaded: 0, updated: 0, unchanged: 6 });
      expect(second.result.requests).toMatchObject({ put: 0, delete: 0 });
      expect(second.result.requests.get).toBeLessThanOrEqual(2); // the bucket's region, the manifest
    });

    test('with a manifest of an earlier format objects are compared by their ETags, and none is sent again', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      await stage.run();
      const key = '.s3-deploy/manifest';
      const manifest = async () => gunzipSync((await cloud.objects(stage.bucket)).get(key)?.body ?? '').toString();
      const written = await manifest();
      // Its fingerprints were made in another way.
      const earlier = written
        .replace('manifest 2 ', 'manifest 1 ')
        .replace(/(?<=^\S{16} \S+ )\S{16}/gm, 'A'.repeat(16));
      await stage.put(key, gzipSync(earlier));
      const run = await stage.run();
      expect(run.log.visible).toContain('every object is compared by its ETag');
      expect(run.result.counts).toMatchObject({ uploaded: 0, updated: 0, unchanged: 5 });
      const linesOf = (text: string) => text.split('\n').slice(1);
      expect(linesOf(earlier)).not.toEqual(linesOf(written));
      // Adopted, as anybody's: no manifest that can be read says that they are ours.
      expect(linesOf(await manifest())).toEqual(linesOf(written.replaceAll(' o -', ' f -')));
    });

    test('a header rule updates exactly the objects that it touches', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      await stage.run();
      const rule = "'data/**':\n  Cache-Control: public, max-age=60\n  x-amz-meta-origin: tides";
      const changed = await stage.run({ headers: rule });
      expect(reasonsOf(changed)).toEqual({ 'data/tides.json': 'headers' });
      expect(changed.outputs['updated-count']).toBe('1');
      const headers = await headersOf(stage, 'data/tides.json');
      expect(headers).toMatchObject({
        'cache-control': 'public, max-age=60',
        'content-type': 'application/json',
        'x-amz-meta-origin': 'tides',
      });
      expect((await stage.bodies())['data/tides.json']).toBe('[]');
      expect(reasonsOf(await stage.run({ headers: rule }))).toEqual({});
      expect(reasonsOf(await stage.run())).toEqual({ 'data/tides.json': 'headers' });
      expect(await headersOf(stage, 'data/tides.json')).not.toHaveProperty('cache-control');
    });

    test('stores every header that a rule can name; later rules win, per header', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      const run = await stage.run({
        headers: [
          "'**':",
          '  Content-Language: en',
          '  Cache-Control: no-cache',
          "'*.txt':",
          '  Cache-Control:',
          '  Content-Type: text/markdown',
          '  Content-Disposition: attachment; filename="robots.txt"',
          '  Content-Encoding: identity',
          '  Expires: Wed, 21 Oct 2037 07:28:00 GMT',
          '  X-Amz-Meta-Build: 17',
        ].join('\n'),
      });
      expect(run.exitCode).toBe(0);
      const headers = await headersOf(stage, 'robots.txt');
      expect(headers).toMatchObject({
        'content-language': 'en',
        'content-type': 'text/markdown',
        'content-disposition': 'attachment; filename="robots.txt"',
        'content-encoding': 'identity',
        expires: 'Wed, 21 Oct 2037 07:28:00 GMT',
        'x-amz-meta-build': '17',
      });
      expect(headers).not.toHaveProperty('cache-control');
      expect(await headersOf(stage, 'index.html')).toMatchObject({ 'cache-control': 'no-cache' });
    });

    test('warns of a rule that matches nothing, with the name that comes closest', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      const run = await stage.run({ headers: "'robot.txt':\n  Cache-Control: no-cache" });
      expect(run.exitCode).toBe(0);
      expect(run.log.annotations).toMatchObject([
        { kind: 'warning', message: expect.stringMatching(/'robot\.txt'.*'robots\.txt'/) },
      ]);
    });

    test('sees an object that somebody else has changed, and puts it right', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      await stage.run();
      await stage.put('robots.txt', 'defaced, 13 c'); // of the same size
      await new Promise((resolve) => setTimeout(resolve, 1100)); // stores count in seconds
      await stage.put('data/tides.json', '[]'); // the same content, without our headers
      const run = await stage.run();
      expect(reasonsOf(run)).toMatchObject({ 'robots.txt': 'content' });
      expect((await stage.bodies())['robots.txt']).toBe('User-agent: *');
      expect(await headersOf(stage, 'data/tides.json')).toMatchObject({ 'content-type': 'application/json' });
      expect(reasonsOf(await stage.run())).toEqual({});
    });

    test('adopts a site that another tool has put there: sends only what is not right', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      await cloud.putObject(stage.bucket, 'index.html', '<link rel=stylesheet href=app.3f2a1b9c.css>', {
        'content-type': 'text/html; charset=UTF-8',
        'cache-control': 'public, max-age=0, must-revalidate',
      });
      await cloud.putObject(stage.bucket, 'about/index.html', 'about', { 'content-type': 'binary/octet-stream' });
      await cloud.putObject(stage.bucket, 'robots.txt', 'User-agent: x', {
        'content-type': 'text/plain; charset=utf-8',
      });
      const run = await stage.run();
      expect(reasonsOf(run)).toEqual({
        'about/index.html': 'headers',
        'robots.txt': 'content',
        'app.3f2a1b9c.css': 'new',
        'data/tides.json': 'new',
      });
      expect(await headersOf(stage, 'about/index.html')).toMatchObject({ 'content-type': 'text/html; charset=utf-8' });
      const again = await stage.run();
      expect(again.result.counts.unchanged).toBe(5);
      expect(again.result.requests.get).toBeLessThanOrEqual(3);
    });

    test('takes a broken manifest for none, with a warning, and mends it', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      await stage.run({ prefix: 'p' });
      for (const broken of ['', 'not a manifest', randomBytes(1000)]) {
        await stage.put('p/.s3-deploy/manifest', broken);
        const run = await stage.run({ prefix: 'p' });
        expect(run.exitCode).toBe(0);
        expect(run.log.annotations).toMatchObject([{ kind: 'warning', message: expect.stringContaining('manifest') }]);
        expect(run.result.counts).toMatchObject({ uploaded: 0, updated: 0, unchanged: 5 });
        expect((await stage.run({ prefix: 'p' })).log.annotations).toEqual([]);
      }
    });

    test('deletes with `owned` only what a deploy of its own put there', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      await stage.put('theirs.html');
      await stage.run();
      stage.site.remove('robots.txt');
      stage.site.remove('about/index.html');
      await stage.put('about/index.html', 'rewritten by somebody else');
      const run = await stage.run({ delete: 'owned' });
      expect(keysOf(run.result.deletions)).toEqual(['robots.txt']);
      expect(run.result.kept).toEqual([
        { key: 'about/index.html', why: 'not ours' },
        { key: 'theirs.html', why: 'not ours' },
      ]);
      expect(await stage.keys()).toEqual(expect.arrayContaining(['theirs.html', 'about/index.html']));
    });

    test('never deletes what delete-exclude names', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      const uploads = ['p/uploads/b/c.jpg', ...Array.from({ length: 29 }, (_, i) => `p/uploads/${i}.jpg`)];
      for (const key of [...uploads, 'p/old.html']) await stage.put(key);
      for (const exclude of ['uploads/**', 'uploads']) {
        const run = await stage.run({ prefix: 'p', delete: 'true', 'delete-exclude': exclude });
        expect(keysOf(run.result.deletions)).toEqual(exclude === 'uploads/**' ? ['p/old.html'] : []);
        expect(run.result.counts.kept).toBe(30);
        expect(await stage.keys()).toEqual(expect.arrayContaining(uploads));
        // On a site that keeps much the log does not name it all.
        expect(run.log.visible.match(/^= p\/uploads\/.*$/gm)).toHaveLength(20);
        expect(run.log.visible).toContain('= and 10 more objects in the result file  (stale, but in delete-exclude)');
      }
    });

    test('keeps stale objects for delete-grace, counted from when the source lost them', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      await stage.put('theirs.css');
      await stage.run();
      stage.site.remove('app.3f2a1b9c.css');
      const first = await stage.run({ delete: 'true', 'delete-grace': '2s' });
      expect(first.result.kept).toEqual([
        { key: 'app.3f2a1b9c.css', why: 'grace' },
        { key: 'theirs.css', why: 'grace' },
      ]);
      const long = await stage.run({ delete: 'true', 'delete-grace': '7d' });
      expect(long.result.requests.delete).toBeLessThanOrEqual(1); // the probe's
      await new Promise((resolve) => setTimeout(resolve, 2200));
      const later = await stage.run({ delete: 'true', 'delete-grace': '2s' });
      expect(keysOf(later.result.deletions)).toEqual(['app.3f2a1b9c.css', 'theirs.css']);
      const back = await stage.run({ delete: 'true', 'delete-grace': '2s' });
      expect(back.result.counts).toMatchObject({ uploaded: 0, deleted: 0, kept: 0 });
    });

    test('with overwrite: false leaves what exists alone, and reports it', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      await stage.put('robots.txt', 'theirs');
      const run = await stage.run({ overwrite: 'false' });
      expect(run.exitCode).toBe(0);
      expect(run.result.kept).toEqual([{ key: 'robots.txt', why: 'exists' }]);
      expect(run.result.counts).toMatchObject({ uploaded: 4, kept: 1 });
      expect((await stage.bodies())['robots.txt']).toBe('theirs');
      stage.site.write('about/index.html', 'new');
      const again = await stage.run({ overwrite: 'false' });
      expect(again.result.counts).toMatchObject({ uploaded: 0, updated: 0, kept: 5 });
      expect((await stage.bodies())['about/index.html']).toBe('about');
    });

    test('appends with no right but to put: what exists is found out by asking to put it', async () => {
      const stage = await Stage.withRole(cloud, [allow(['s3:PutObject'], 'arn:aws:s3:::BUCKET/archive/*')]);
      await stage.put('archive/robots.txt', 'theirs');
      const inputs = { prefix: 'archive', overwrite: 'false' };
      const first = await stage.run(inputs);
      expect(first.exitCode).toBe(0);
      expect(first.result.counts).toMatchObject({ uploaded: 4, kept: 1 });
      expect(first.result.kept).toEqual([{ key: 'archive/robots.txt', why: 'exists' }]);
      stage.site.write('about/index.html', 'new');
      const again = await stage.run(inputs);
      expect([again.exitCode, again.result.counts.uploaded, again.result.counts.kept]).toEqual([0, 0, 5]);
      expect(await stage.bodies()).toMatchObject({
        'archive/robots.txt': 'theirs',
        'archive/about/index.html': 'about',
      });
    });

    test('removes everything below a prefix, and nothing beside it', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      await stage.run({ prefix: 'previews/pr-1' });
      for (const key of ['previews/pr-10/index.html', 'previews/pr-1.html', 'previews/pr-1']) await stage.put(key);
      const inputs = { mode: 'remove', prefix: 'previews/pr-1', 'source-dir': '' };
      const dry = await stage.run({ ...inputs, 'dry-run': 'true' });
      expect(dry.outputs).toMatchObject({ 'deleted-count': '5', changed: 'true' });
      expect((await stage.keys()).length).toBe(8);
      const run = await stage.run(inputs);
      expect(run.outputs['deleted-count']).toBe('5');
      expect([...(await cloud.objects(stage.bucket)).keys()].sort()).toEqual([
        'previews/pr-1',
        'previews/pr-1.html',
        'previews/pr-10/index.html',
      ]);
      expect((await stage.run(inputs)).outputs.changed).toBe('false');
    });

    test('refuses to remove a whole bucket, and more than a number given', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      await stage.run({ prefix: 'p' });
      const whole = await stage.run({ mode: 'remove' });
      expect(whole.result).toMatchObject({ status: 'refused', error: { code: 'PREFIX_REQUIRED' } });
      const limited = await stage.run({ mode: 'remove', prefix: 'p', 'max-delete': '4' });
      expect(limited.result.error.code).toBe('TOO_MANY_DELETIONS');
      expect((await stage.keys()).length).toBe(5);
    });

    test('needs no more for a removal than to list and to delete', async () => {
      const stage = await Stage.withRole(cloud, [
        { ...allow(['s3:ListBucket'], 'arn:aws:s3:::BUCKET'), Condition: { StringLike: { 's3:prefix': 'p/*' } } },
        allow(['s3:DeleteObject'], 'arn:aws:s3:::BUCKET/p/*'),
      ]);
      await stage.put('p/a.html');
      const run = await stage.run({ mode: 'remove', prefix: 'p' });
      expect(run.exitCode).toBe(0);
      expect(await stage.keys()).toEqual([]);
    });

    test('holds ten thousand files, and changes one of them', async () => {
      const files = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`d${i % 97}/f${i}.txt`, `${i}`]));
      const stage = await Stage.withRole(cloud, OWNER, { site: new Site(files) });
      const first = await stage.run({}, { timeoutMs: 300_000 });
      expect(first.outputs['uploaded-count']).toBe('10000');
      stage.site.write('d1/f1.txt', 'x');
      stage.site.remove('d2/f2.txt');
      const second = await stage.run({ delete: 'true' }, { timeoutMs: 300_000 });
      expect(second.result.counts).toMatchObject({ uploaded: 0, updated: 1, deleted: 1, unchanged: 9998 });
      expect(second.result.requests.list).toBeLessThanOrEqual(14);
    }, 400_000);
  });
}
