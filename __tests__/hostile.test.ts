import { mkdirSync, symlinkSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from './support/cloud/cloud.ts';
import { OWNER, Stage } from './support/deploys.ts';
import type { ActionRun } from './support/runner.ts';
import { Site } from './support/site.ts';

/** What a runner, a terminal, a browser or a person would take for something else. */
const BAIT =
  '##[stop-commands]x\n::add-mask::y\r\n::set-output name=a::b\u001b]0;t\u0007\u001b[2J\u202egnp<img src=x>](x)`|';

describe('a hostile world', () => {
  let cloud: LoopbackCloud;
  beforeAll(async () => {
    cloud = await startCloud();
  });
  afterAll(() => cloud.close());
  afterEach(() => cloud.faults.clear());

  /** Holds what a run has shown to be harmless; that no command is obeyed and no secret told is held of every run. */
  function expectHarmless(run: ActionRun): void {
    expect(run.log.visible).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f\u202e]/);
    expect(run.summary).not.toMatch(/<img|<script|[\x00-\x08\x0b-\x1f\x7f\u202e]|(?<!\\)]\(/);
    expect(run.log.openGroup).toBeUndefined();
  }

  const OPERATIONS = [
    'AssumeRoleWithWebIdentity',
    'ListObjectsV2',
    'GetObject',
    'PutObject',
    'DeleteObjects',
    'CreateMultipartUpload',
  ];
  test.each(OPERATIONS)(
    'what a server says to %s is shown, and obeyed by nobody, debugging or not',
    async (operation) => {
      const stage = await Stage.withRole(cloud, OWNER);
      await stage.put('stale.html');
      stage.site.write('movie.mp4', Buffer.alloc(6 * 1024 ** 2));
      for (const env of [{}, { ACTIONS_STEP_DEBUG: 'true', RUNNER_DEBUG: '1' }]) {
        const answer = { kind: 'error', status: 400, code: `Invalid${BAIT}`, message: BAIT } as const;
        cloud.faults.add({ operation, times: Infinity, answer });
        const run = await stage.run({ delete: 'true', 'part-size': '5MiB' }, { env });
        cloud.faults.clear();
        expectHarmless(run);
        if (run.exitCode !== 0) expect(run.result.error.code).not.toBe('INTERNAL');
      }
    },
  );

  test('a proxy that answers with the headers it was sent tells nobody the session token', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    const echo = { operation: 'PutObject', key: 'robots.txt', times: Infinity } as const;
    cloud.faults.add({ operation: 'ListObjectsV2', after: 1, answer: { kind: 'delay', ms: 500 } });
    const told = setInterval(() => {
      const token = cloud.requests.at(-1)?.headers['x-amz-security-token'];
      if (token === undefined) return;
      clearInterval(told);
      const message = `x-amz-security-token: ${token} (${encodeURIComponent(token)})`;
      cloud.faults.add({ ...echo, answer: { kind: 'error', status: 400, code: 'InvalidRequest', message } });
    }, 1);
    const token = () => cloud.requests.map(({ headers }) => headers['x-amz-security-token'] ?? '').filter(Boolean);
    cloud.clearRequests();
    const run = await stage.run();
    clearInterval(told);
    expect(run.result.failures).toMatchObject([{ message: expect.stringContaining('x-amz-security-token: ***') }]);
    for (const secret of token()) {
      for (const place of [run.log.raw.join('\n'), run.summary, JSON.stringify(run.result)]) {
        // What is cut off in the middle would be no less told.
        for (let at = 0; at + 24 <= secret.length; at += 8)
          expect(place.includes(secret.slice(at, at + 24))).toBe(false);
      }
    }
  });

  const header = (run = '1', at = 1) => `s3-deploy manifest 1 ${at} ${run}\n`;
  const manifests: [string, Buffer][] = [
    ['no gzip', Buffer.from('not a manifest')],
    ['gzip that is cut off', gzipSync(header()).subarray(0, 20)],
    ['a bomb of 600 MB', gzipSync(Buffer.alloc(600 * 1024 ** 2))],
    ['another format', gzipSync('s3-deploy manifest 9 1 1\n')],
    ['lines that are none', gzipSync(`${header()}${BAIT}\n`)],
    ['names of prototypes', gzipSync(`${header()}__proto__ x - - o -\nconstructor x - - o -\n`)],
    ['commands for a run', gzipSync(header('##[stop-commands]x'))],
    ['half a million strangers', gzipSync(header() + `${'A'.repeat(16)} etag - - f -\n`.repeat(500_000))],
    ['HTML', Buffer.from('<html>')],
    ['nothing', Buffer.alloc(0)],
  ];
  test.each(manifests)(
    'a manifest of %s is as good as none',
    async (_, body) => {
      const stage = await Stage.withRole(cloud, OWNER);
      await stage.put('.s3-deploy/manifest', body);
      const run = await stage.run({ delete: 'true' });
      expect(run.exitCode).toBe(0);
      expectHarmless(run);
      expect((await stage.keys()).length).toBe(5);
      expect((await stage.run()).result.counts).toMatchObject({ uploaded: 0, updated: 0, unchanged: 5 });
    },
    60_000,
  );

  test('a manifest of the future, written by somebody else, stops the deploy and cannot make it delete', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    await stage.put('theirs.html');
    await stage.put('.s3-deploy/manifest', gzipSync(header('9', 9_999_999_999_999)));
    const run = await stage.run({ delete: 'true' });
    expect([run.exitCode, run.result.error.code, await stage.keys()]).toEqual([1, 'SUPERSEDED', ['theirs.html']]);
  });

  test('links out of the source and in circles are not followed, and 100 folders deep is deep enough', async () => {
    const deep = `${'d/'.repeat(100)}index.html`;
    const site = new Site({ 'index.html': 'x', [deep]: 'deep', 'loop/a.html': 'a' });
    symlinkSync('/etc/passwd', site.at('passwd'));
    symlinkSync('/etc', site.at('etc'));
    symlinkSync('..', site.at('loop/up'));
    symlinkSync('self', site.at('self'));
    const stage = await Stage.withRole(cloud, OWNER, { site });
    const run = await stage.run();
    expect(run.exitCode).toBe(0);
    expect(run.log.visible).toContain('4 symbolic links not followed');
    expect(await stage.keys()).toEqual([deep, 'index.html', 'loop/a.html'].sort());
  });

  test('a file that becomes a link, or a folder, during the deploy fails it by name and is not sent', async () => {
    for (const swap of ['link', 'folder']) {
      const stage = await Stage.withRole(cloud, OWNER);
      const until = new Promise<void>((resolve) => {
        const timer = setInterval(() => {
          if (cloud.count('ListObjectsV2') < 2) return;
          clearInterval(timer);
          stage.site.remove('robots.txt');
          if (swap === 'link') symlinkSync('/etc/passwd', stage.site.at('robots.txt'));
          else mkdirSync(stage.site.at('robots.txt'));
          resolve();
        }, 1);
      });
      cloud.clearRequests();
      cloud.faults.add({ operation: 'ListObjectsV2', after: 1, answer: { kind: 'wait', until } });
      const run = await stage.run();
      expect([swap, run.exitCode, run.result.error]).toEqual([
        swap,
        1,
        expect.objectContaining({ code: 'SOURCE_INVALID', message: expect.stringContaining('robots.txt') }),
      ]);
      expect((await stage.bodies())['robots.txt']).toBeUndefined();
    }
  });

  test('secrets that lie in the source are left out, counted and said', async () => {
    const secrets = [
      '.env',
      '.env.production',
      '.npmrc',
      '.git/config',
      '.aws/credentials',
      '.ssh/id_ed25519',
      'key.pem',
      'id_rsa',
      'a/b/.env',
    ];
    const stage = await Stage.withRole(cloud, OWNER);
    for (const path of secrets) stage.site.write(path, 'secret');
    const run = await stage.run();
    expect(run.log.visible).toContain(`${secrets.length} left out (secrets, version control)`);
    expect((await stage.keys()).filter((key) => secrets.includes(key))).toEqual([]);
  });
});
