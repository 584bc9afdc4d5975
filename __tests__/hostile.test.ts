import { mkdirSync, symlinkSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { eachOf } from '../src/core/each-of.ts';
import { keyHash } from '../src/core/manifest.ts';
import { upTo } from './support/chaos.ts';
import { type LoopbackCloud, startCloud } from './support/cloud/cloud.ts';
import { OWNER, Stage } from './support/deploys.ts';
import type { ActionRun } from './support/runner.ts';
import { formsOf } from './support/secrets.ts';
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

  /** How a server may repeat what it was told; base64 and hex of a longer text hold a secret at any shift. */
  const ECHOES: [string, (heard: string) => string][] = [
    ['as it came', (heard) => heard],
    ['cut off', (heard) => heard.slice(0, heard.search(/security-token|webidentity/i) + 150)],
    ['in URL encoding', (heard) => encodeURIComponent(heard)],
    ['in base64', (heard) => [0, 1, 2].map((n) => Buffer.from('x'.repeat(n) + heard).toString('base64')).join(' ')],
    [
      'in base64url',
      (heard) => [0, 1, 2].map((n) => Buffer.from('x'.repeat(n) + heard).toString('base64url')).join(' '),
    ],
    ['in hex', (heard) => Buffer.from(heard).toString('hex')],
    ['in JSON', (heard) => JSON.stringify({ error: heard })],
  ];
  /** What is sent with secrets in it, by what sends it; the whole of it would be too long for a line. */
  const SENT: [string, RegExp][] = [
    ['PutObject', /x-amz-security-token: .*/],
    ['ListObjectsV2', /x-amz-security-token: .*/],
    ['CreateMultipartUpload', /x-amz-security-token: .*/],
    ['DeleteObjects', /x-amz-security-token: .*/],
    ['AssumeRoleWithWebIdentity', /WebIdentityToken=.*/],
  ];
  test.each(SENT)(
    'a server or a proxy that answers %s with what it was sent tells nobody a secret',
    async (operation, part) => {
      let heardSecrets = 0;
      await eachOf(ECHOES, 3, async ([how, echo]) => {
        const stage = await Stage.withRole(cloud, OWNER);
        await stage.put('stale.html');
        stage.site.write('movie.mp4', Buffer.alloc(6 * 1024 ** 2));
        const message = (heard: string) => {
          heardSecrets++;
          return echo(part.exec(heard)?.[0] ?? heard);
        };
        const answer = { kind: 'error', status: 400, code: 'InvalidRequest', message } as const;
        const bucket = operation.startsWith('Assume') ? {} : { bucket: stage.bucket };
        // A probe takes any answer for one: the deploy is to meet this one.
        const after = operation === 'PutObject' ? 1 : 0;
        cloud.faults.add({ operation, ...bucket, after, times: Infinity, answer });
        const run = await stage.run({ delete: 'true', 'part-size': '5MiB' });
        expectHarmless(run);
        // Of STS's messages nothing is shown, and a batch that fails is deleted one by one.
        const isShown = !/Assume|Delete/.test(operation);
        if (isShown) expect([how, run.exitCode, run.log.visible.includes('***')]).toEqual([how, 1, true]);
      });
      expect(heardSecrets).toBeGreaterThanOrEqual(ECHOES.length);
    },
  );

  test('a token service that answers with what it was asked with tells nobody that either', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    const job = cloud.github.jobEnvironment();
    const bearer = String(job.ACTIONS_ID_TOKEN_REQUEST_TOKEN);
    const forms = formsOf(bearer).map(([, written]) => written);
    for (const status of [400, 401]) {
      cloud.github.failNext(status, 1, 'token', JSON.stringify({ message: forms.join(' ') }));
      const run = await stage.run({}, { env: job });
      expectHarmless(run);
      expect([run.exitCode, run.result.error.code]).toEqual([1, 'OIDC_UNAVAILABLE']);
    }
  });

  const header = (run = '1', at = 1) => `s3-deploy manifest 2 ${at} ${run}\n`;
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

  test('a manifest of 300 MB is not read, and replaced', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    await stage.put('.s3-deploy/manifest', Buffer.alloc(300 * 1024 ** 2));
    cloud.clearRequests();
    const run = await stage.run({}, { measure: true });
    expect(run.exitCode).toBe(0);
    // Before it is listed it is asked for, and given up as soon as its length is told.
    expect(cloud.requests.filter(({ operation }) => operation === 'GetObject')).toHaveLength(1);
    expect(run.rusage?.maxRSS).toBeLessThan(250 * 1024); // in KiB
    expect((await stage.run()).result.counts).toMatchObject({ uploaded: 0, unchanged: 5 });
  });

  test('a manifest that calls others’ objects ours makes an owned deletion take them, within max-delete and delete-exclude', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    const theirs = upTo(30).map((n) => `theirs/${n}.html`);
    for (const key of [...theirs, 'kept/a.html']) await stage.put(key);
    const { etag = '' } = (await cloud.objects(stage.bucket)).get('theirs/1.html')?.headers ?? {};
    const lines = [...theirs, 'kept/a.html'].map((key) => `${keyHash(key)} ${etag.replaceAll('"', '')} - - o -\n`);
    await stage.put('.s3-deploy/manifest', gzipSync(header() + lines.join('')));
    const many = await stage.run({ delete: 'owned', 'delete-exclude': 'kept/**' });
    expect([many.exitCode, many.result.error.code]).toEqual([1, 'TOO_MANY_DELETIONS']);
    expect((await stage.keys()).length).toBe(31);
    expect((await stage.run({ delete: 'owned', 'delete-exclude': 'kept/**', 'max-delete': '30' })).exitCode).toBe(0);
    expect((await stage.keys()).filter((key) => key.includes('/a.html') || key.startsWith('theirs'))).toEqual([
      'kept/a.html',
    ]);
  });

  test('what the job and its token say of themselves is shown, and obeyed by nobody', async () => {
    const env = Object.fromEntries(
      ['GITHUB_REF', 'GITHUB_HEAD_REF', 'GITHUB_ACTOR', 'GITHUB_REPOSITORY', 'GITHUB_WORKFLOW'].map((name) => [
        name,
        BAIT,
      ]),
    );
    const event = { name: 'pull_request', payload: { pull_request: { title: BAIT, head: { ref: BAIT, repo: null } } } };
    const stage = await Stage.withRole(cloud, OWNER);
    const run = await stage.run({}, { env, event });
    expectHarmless(run);
    expect(run.result.error).toBeNull();
    const job = cloud.github.jobEnvironment({ environment: BAIT, actor: BAIT, repository: `acme/${BAIT}` });
    const denied = await stage.run({}, { env: { ...env, ...job }, event });
    expectHarmless(denied);
    expect(denied.result.error.code).toBe('ROLE_DENIED');
  });

  test('a folder that becomes a link out of the source during the deploy fails it, and nothing from there is sent', async () => {
    const outside = new Site({ 'passwd.txt': 'root:x:0:0' });
    const stage = await Stage.withRole(cloud, OWNER);
    stage.site.write('folder/passwd.txt', 'root:x:0:0');
    const { promise: until, resolve } = Promise.withResolvers<void>();
    const onReached = () => {
      stage.site.remove('folder');
      symlinkSync(outside.at(''), stage.site.at('folder'));
      resolve();
    };
    cloud.faults.add({ operation: 'ListObjectsV2', answer: { kind: 'wait', until, onReached } });
    const run = await stage.run();
    expect([run.exitCode, run.result.error.code]).toEqual([1, 'SOURCE_INVALID']);
    expect(run.result.error.message).toContain('folder/passwd.txt changed');
    expect(Object.keys(await stage.bodies())).not.toContain('folder/passwd.txt');
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
      cloud.faults.add({ operation: 'ListObjectsV2', answer: { kind: 'wait', until } });
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
