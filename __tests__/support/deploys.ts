import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type ActionRun, type RunOptions, runAction } from './runner.ts';
import { Site } from './site.ts';
import type { PolicyDocument, PolicyStatement, TestCloud } from './test-cloud.ts';

const PAGES = {
  'index.html': '<link rel=stylesheet href=app.3f2a1b9c.css>',
  'app.3f2a1b9c.css': 'body { color: #123 }',
  'about/index.html': 'about',
  'data/tides.json': '[]',
  'robots.txt': 'User-agent: *',
};

let number = 0;

/** One deploy's surroundings: a bucket, a site on disk, and the inputs that every run of it shares. */
export class Stage {
  /** What the environment of every run of this file has besides. */
  static environment: Record<string, string> = {};
  readonly bucket = `site-${++number}`;
  readonly site: Site;
  readonly cloud: TestCloud;
  readonly #inputs: Record<string, string>;
  readonly #env: Record<string, string>;

  private constructor(cloud: TestCloud, site: Site, inputs: Record<string, string>, env: Record<string, string>) {
    this.cloud = cloud;
    this.site = site;
    this.#inputs = { bucket: this.bucket, 'source-dir': 'public', ...inputs };
    this.#env = { ...Stage.environment, ...env };
  }

  /** A stage whose runs assume a role through OIDC. The role's statements are about `BUCKET`. */
  static async withRole(
    cloud: TestCloud,
    statements: PolicyStatement[],
    options: { trust?: PolicyDocument; site?: Site } = {},
  ) {
    const stage = new Stage(cloud, options.site ?? new Site(PAGES), endpointsOf(cloud), cloud.github.jobEnvironment());
    await cloud.createBucket(stage.bucket);
    const trust = options.trust ?? trustFor(cloud, 'repo:acme/site:ref:refs/heads/main');
    stage.#inputs['role-to-assume'] = await cloud.createRole(`role-${stage.bucket}`, {
      trust,
      policy: about(stage.bucket, statements),
    });
    return stage;
  }

  /** A stage whose runs use the access keys of a user. */
  static async withKeys(cloud: TestCloud, statements: PolicyStatement[], options: { site?: Site } = {}) {
    const stage = new Stage(cloud, options.site ?? new Site(PAGES), endpointsOf(cloud), {});
    await cloud.createBucket(stage.bucket);
    const keys = await cloud.createUser(`user-${stage.bucket}`, about(stage.bucket, statements));
    stage.#inputs['aws-access-key-id'] = keys.accessKeyId;
    stage.#inputs['aws-secret-access-key'] = keys.secretAccessKey;
    return stage;
  }

  run(inputs: Record<string, string> = {}, options: RunOptions = {}): Promise<ActionRun> {
    return runAction({
      workspace: this.site.workspace,
      ...options,
      inputs: { ...this.#inputs, ...inputs },
      env: { ...this.#env, ...options.env },
    });
  }

  put(key: string, body: string | Uint8Array = 'theirs'): Promise<void> {
    return this.cloud.putObject(this.bucket, key, body);
  }

  /** The keys in the bucket, sorted, without the manifest's. */
  async keys(): Promise<string[]> {
    return Object.keys(await this.bodies()).sort();
  }

  /** The bodies in the bucket by key, as text, without the manifest. */
  async bodies(): Promise<Record<string, string>> {
    const objects = await this.cloud.objects(this.bucket);
    return Object.fromEntries(
      [...objects].filter(([key]) => !MANIFEST.test(key)).map(([key, { body }]) => [key, body.toString()]),
    );
  }
}

export const MANIFEST = /(^|\/)\.s3-deploy\/manifest$/;

/** Everything on a bucket and its objects. */
export const OWNER: PolicyStatement[] = [
  { Effect: 'Allow', Action: 's3:*', Resource: ['arn:aws:s3:::BUCKET', 'arn:aws:s3:::BUCKET/*'] },
];

export function allow(actions: string[], resource: string): PolicyStatement {
  return { Effect: 'Allow', Action: actions, Resource: resource };
}

export function trustFor(cloud: TestCloud, sub: string): PolicyDocument {
  const issuer = cloud.github.issuer.replace(/^https?:\/\//, '');
  return {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { Federated: cloud.github.providerArn },
        Action: 'sts:AssumeRoleWithWebIdentity',
        Condition: { StringEquals: { [`${issuer}:aud`]: 'sts.amazonaws.com', [`${issuer}:sub`]: sub } },
      },
    ],
  };
}

function endpointsOf(cloud: TestCloud): Record<string, string> {
  return { endpoint: cloud.s3Endpoint, 'sts-endpoint': cloud.stsEndpoint };
}

function about(bucket: string, statements: PolicyStatement[]): PolicyDocument {
  return JSON.parse(JSON.stringify({ Version: '2012-10-17', Statement: statements }).replaceAll('BUCKET', bucket));
}

/** The same policy, less one action. */
function without(policy: PolicyDocument, action: string): PolicyDocument {
  const statements = (policy.Statement as PolicyStatement[]).map((one) => ({
    ...one,
    Action: (one.Action as string[]).filter((name) => name !== action),
  }));
  return { ...policy, Statement: statements.filter(({ Action }) => Action.length > 0) };
}

/** The uploads, and nothing of the probe. */
function changesOf({ result }: ActionRun) {
  return { uploads: result.uploads, deletions: result.deletions };
}

/** Real deploys with the built action, the same for every cloud. */
export function describeDeploys(name: string, start: () => Promise<TestCloud>): void {
  let cloud: TestCloud;
  beforeAll(async () => {
    cloud = await start();
  }, 60_000);
  afterAll(() => cloud?.close());

  describe(`deploys to ${name}`, () => {
    test('through OIDC: uploads all, then nothing, then the one file with a changed byte and an older time', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      const first = await stage.run({ prefix: 'docs' });
      expect(first.log.visible).toContain('Deployed: 5 new');
      expect(first.exitCode).toBe(0);
      expect(await stage.bodies()).toEqual(
        Object.fromEntries(Object.entries(PAGES).map(([path, body]) => [`docs/${path}`, body])),
      );
      expect(first.outputs).toMatchObject({
        changed: 'true',
        'uploaded-count': '5',
        'probe-result': 'passed',
        'missing-permissions': '',
      });

      const second = await stage.run({ prefix: 'docs' });
      expect(second.exitCode).toBe(0);
      expect(changesOf(second)).toEqual({ uploads: [], deletions: [] });
      expect(second.outputs).toMatchObject({ changed: 'false', 'unchanged-count': '5', 'bytes-uploaded': '0' });

      stage.site.write('data/tides.json', '{}', new Date('2001-01-01'));
      const third = await stage.run({ prefix: 'docs' });
      expect(changesOf(third).uploads).toEqual([{ key: 'docs/data/tides.json', reason: 'content', size: 2 }]);
      expect((await stage.bodies())['docs/data/tides.json']).toBe('{}');
    });

    test('stores types and cache rules with the objects', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      stage.site.write('module.wasm', 'wasm');
      await stage.run();
      const objects = await cloud.objects(stage.bucket);
      const served = (key: string) => [
        objects.get(key)?.headers['content-type'],
        objects.get(key)?.headers['cache-control'],
      ];
      expect(served('index.html')).toEqual(['text/html; charset=utf-8', 'public, max-age=0, must-revalidate']);
      expect(served('app.3f2a1b9c.css')).toEqual(['text/css; charset=utf-8', 'public, max-age=31536000, immutable']);
      expect(served('module.wasm')).toEqual(['application/wasm', undefined]);
    });

    test('with the keys of a user who may touch nothing but the prefix', async () => {
      const stage = await Stage.withKeys(cloud, [
        { ...allow(['s3:ListBucket'], 'arn:aws:s3:::BUCKET'), Condition: { StringLike: { 's3:prefix': 'docs/*' } } },
        allow(['s3:GetObject', 's3:PutObject', 's3:DeleteObject'], 'arn:aws:s3:::BUCKET/docs/*'),
      ]);
      await stage.put('docs/old.html');
      const run = await stage.run({ bucket: `${stage.bucket}/docs`, delete: 'true' });
      expect(run.log.visible).toContain('Deployed: 5 new, 0 changed, 1 deleted');
      expect(await stage.keys()).toEqual(
        Object.keys(PAGES)
          .map((path) => `docs/${path}`)
          .sort(),
      );
    });

    test('touches nothing beside the prefix, whatever its name begins with', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      const neighbours = [
        'site2/index.html',
        'sitex',
        'site-1/a',
        'site',
        'other',
        'site.html',
        'sit',
        'Site/index.html',
      ];
      for (const key of [...neighbours, 'site/stale.html']) await stage.put(key);
      const run = await stage.run({ prefix: 'site', delete: 'true' });
      expect(changesOf(run).deletions).toEqual([{ key: 'site/stale.html' }]);
      const bodies = await stage.bodies();
      expect(
        Object.keys(bodies)
          .filter((key) => !key.startsWith('site/'))
          .sort(),
      ).toEqual(neighbours.sort());
      expect(neighbours.map((key) => bodies[key])).toEqual(neighbours.map(() => 'theirs'));
    });

    test('refuses an empty source with delete, and a plan over max-delete, before anything is written', async () => {
      const stage = await Stage.withRole(cloud, OWNER, { site: new Site() });
      for (let i = 0; i < 12; i++) await stage.put(`page-${i}.html`);
      const before = await stage.bodies();
      const empty = await stage.run({ delete: 'true' });
      expect([empty.exitCode, empty.result.status, empty.result.error.code]).toEqual([1, 'refused', 'EMPTY_SOURCE']);
      const missing = await stage.run({ delete: 'true', 'source-dir': 'dist' });
      expect(missing.result.error.code).toBe('EMPTY_SOURCE');

      stage.site.write('index.html', 'new');
      const many = await stage.run({ delete: 'true' });
      expect([many.exitCode, many.result.error.code]).toEqual([1, 'TOO_MANY_DELETIONS']);
      expect(many.log.annotations[0]).toMatchObject({ title: 'TOO_MANY_DELETIONS' });
      expect(await stage.bodies()).toEqual(before);

      const meant = await stage.run({ delete: 'true', 'max-delete': '12' });
      expect(meant.exitCode).toBe(0);
      expect(await stage.keys()).toEqual(['index.html']);
    });

    test('keeps stale objects unless told to delete, and says how many', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      await stage.put('old.html');
      const run = await stage.run();
      expect(run.outputs['kept-count']).toBe('1');
      expect(run.result.kept).toEqual([{ key: 'old.html', why: 'delete off' }]);
      expect(await stage.keys()).toContain('old.html');
    });

    test('in mode plan says what would change, needs no right to write, and changes nothing', async () => {
      const stage = await Stage.withRole(cloud, [
        allow(['s3:ListBucket'], 'arn:aws:s3:::BUCKET'),
        allow(['s3:GetObject'], 'arn:aws:s3:::BUCKET/*'),
      ]);
      await stage.put('old.html');
      for (const inputs of [{ mode: 'plan' }, { 'dry-run': 'true' }]) {
        const run = await stage.run({ ...inputs, delete: 'true' });
        expect(run.exitCode).toBe(0);
        expect(run.outputs).toMatchObject({ changed: 'true', 'uploaded-count': '5', 'deleted-count': '1' });
        expect(run.result.requests).toMatchObject({ put: 0, delete: 0 });
      }
      expect(await stage.keys()).toEqual(['old.html']);
    });

    test('uploads a large file in parts, and knows it again', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      const video = randomBytes(17 * 1024 ** 2 + 5);
      stage.site.write('video.mp4', video);
      const first = await stage.run({ 'part-size': '5MiB' });
      expect(first.exitCode).toBe(0);
      const stored = (await cloud.objects(stage.bucket)).get('video.mp4');
      expect(stored?.body.equals(video)).toBe(true);
      expect(stored?.headers.etag).toMatch(/-4"$/);
      expect(stored?.headers['content-type']).toBe('video/mp4');
      const again = await stage.run({ 'part-size': '5MiB' });
      expect(changesOf(again).uploads).toEqual([]);
      expect(await cloud.openUploads(stage.bucket)).toEqual([]);
    });

    test('stores every name under exactly its own key', async () => {
      const names = [
        'a b.txt',
        'a+b.txt',
        '%46.txt',
        'ä.txt',
        'a\u0308.txt',
        '日本.txt',
        'q?x=1&y#z.txt',
        "it's (1)!*~.txt",
        '😀.txt',
        '<b>&amp;.txt',
        'back\\slash.txt',
        ' .txt',
        '.well-known/x',
        'a:b',
        'tab\tnew\nline\r.txt',
        '\x01\x1f.txt',
      ];
      const stage = await Stage.withRole(cloud, OWNER, {
        site: new Site(Object.fromEntries(names.map((name) => [name, name]))),
      });
      const first = await stage.run({ prefix: 'ü/a b' });
      expect(first.exitCode).toBe(0);
      expect(await stage.bodies()).toEqual(Object.fromEntries(names.map((name) => [`ü/a b/${name}`, name])));
      expect(changesOf(await stage.run({ prefix: 'ü/a b' })).uploads).toEqual([]);
      for (const name of names.slice(1)) stage.site.remove(name);
      const cleared = await stage.run({ prefix: 'ü/a b', delete: 'true', 'max-delete': '100%' });
      expect(cleared.exitCode).toBe(0);
      expect(await stage.keys()).toEqual(['ü/a b/a b.txt']);
    });

    test('lets no file name become a command of the runner, in the log or anywhere', async () => {
      const names = [
        '##[stop-commands]x',
        '::stop-commands::x',
        '::add-mask::a',
        '##[set-env name=PATH]x',
        'a\n::error::b',
        '%0A::warning::x',
        '\x1b[31mred',
        '\u202egnp.exe',
        '<img src=x onerror=alert(1)>.html',
        '](javascript:alert(1))',
      ];
      const stage = await Stage.withRole(cloud, OWNER, {
        site: new Site(Object.fromEntries(names.map((name) => [name, 'x']))),
      });
      const run = await stage.run();
      expect(run.exitCode).toBe(0);
      expect(run.log.visible).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f\u202e]/);
      expect(run.summary).not.toMatch(/<img|\x1b|\u202e/);
      expect((await stage.keys()).length).toBe(names.length);
      for (const name of names.slice(1)) stage.site.remove(name);
      const cleared = await stage.run({ delete: 'true', 'max-delete': '100%' });
      expect(cleared.result.deletions).toHaveLength(names.length - 1);
      expect(cleared.log.visible).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f\u202e]/);
    });

    test('probes without leaving anything behind, and without a source', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      const run = await stage.run({ mode: 'probe', prefix: 'docs', delete: 'true', 'source-dir': '' });
      expect(run.exitCode).toBe(0);
      const checks: { action: string; result: string }[] = run.result.probe.checks;
      expect(checks.map(({ action }) => action)).toEqual([
        's3:ListBucket',
        's3:GetObject',
        's3:PutObject',
        's3:DeleteObject',
        's3:AbortMultipartUpload',
      ]);
      expect(checks.filter(({ result }) => result === 'denied')).toEqual([]);
      expect(run.summary).toContain('s3:DeleteObject');
      expect(await stage.keys()).toEqual([]);
      expect(await cloud.openUploads(stage.bucket)).toEqual([]);
    });

    const NEEDED = ['s3:ListBucket', 's3:GetObject', 's3:PutObject', 's3:DeleteObject'];
    test.each(NEEDED)('without %s stops before anything is written, and says what to grant', async (missing) => {
      const granted = NEEDED.filter((action) => action !== missing);
      const stage = await Stage.withRole(cloud, [
        ...(missing === 's3:ListBucket' ? [] : [allow(['s3:ListBucket'], 'arn:aws:s3:::BUCKET')]),
        allow(
          granted.filter((action) => action !== 's3:ListBucket'),
          'arn:aws:s3:::BUCKET/*',
        ),
      ]);
      await stage.put('docs/stale.html');
      const run = await stage.run({ prefix: 'docs', delete: 'true' });
      expect(run.exitCode).toBe(1);
      expect(run.result.error).toMatchObject({ code: 'PERMISSION_DENIED', message: expect.stringContaining(missing) });
      expect(run.outputs).toMatchObject({ 'missing-permissions': missing, 'probe-result': 'failed' });
      expect(await stage.bodies()).toEqual({ 'docs/stale.html': 'theirs' });
      // The statement in the hint, given to the role beside what it has, is what was missing.
      const statement = JSON.parse(/^\[$[\s\S]*?^\]$/m.exec(run.result.error.hint)?.[0] ?? '[]');
      expect(statement.flatMap((one: PolicyStatement) => one.Action)).toContain(missing);
    });

    test('suggests a policy with which a new role can deploy', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      const probe = await stage.run({ mode: 'probe', prefix: 'docs', delete: 'true' });
      const policy = JSON.parse(probe.fileAt(probe.outputs['suggested-policy-file'] ?? '') ?? '{}');
      const role = await cloud.createRole(`least-${stage.bucket}`, {
        trust: trustFor(cloud, 'repo:acme/site:ref:refs/heads/main'),
        policy,
      });
      await stage.put('docs/stale.html');
      const run = await stage.run({ 'role-to-assume': role, prefix: 'docs', delete: 'true' });
      expect(run.exitCode).toBe(0);
      expect(await stage.keys()).toEqual(
        Object.keys(PAGES)
          .map((path) => `docs/${path}`)
          .sort(),
      );
      expect(
        (await stage.run({ 'role-to-assume': role, mode: 'probe', prefix: 'docs', delete: 'true' })).exitCode,
      ).toBe(0);
      const elsewhere = await stage.run({ 'role-to-assume': role, prefix: 'other' });
      expect(elsewhere.result.error.code).toBe('PERMISSION_DENIED');
      for (const action of NEEDED) {
        const less = await cloud.createRole(`less-${action.slice(3).toLowerCase()}-${stage.bucket}`, {
          trust: trustFor(cloud, 'repo:acme/site:ref:refs/heads/main'),
          policy: without(policy, action),
        });
        for (const mode of ['probe', 'deploy']) {
          const failed = await stage.run({ 'role-to-assume': less, mode, prefix: 'docs', delete: 'true' });
          expect([failed.exitCode, failed.outputs['missing-permissions']]).toEqual([1, action]);
        }
      }
    });

    test('puts a whole object to the proof, and finds out what the store can do', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      const inputs = { mode: 'probe', prefix: 'docs', 'cache-control': 'no-cache', tags: 'team=web' };
      const run = await stage.run({ ...inputs, acl: 'bucket-owner-full-control' });
      expect(run.exitCode).toBe(0);
      expect(run.log.visible).toContain('written, read back and removed');
      expect(run.result.probe.findings.filter(({ code }: { code: string }) => code === 'stored-otherwise')).toEqual([]);
      expect(run.result.probe.capabilities).toEqual({
        conditionalWrites: true,
        // Ceph wants s3:DeleteObject on the bucket itself for it, which the narrowed session does not have.
        batchDelete: cloud.name === 'loopback',
        contentMd5: true,
        crcChecksums: cloud.name === 'loopback',
        multipart: true,
        urlEncodedListing: true,
        websiteRedirects: true,
      });
      expect(await stage.keys()).toEqual([]);
      expect(await cloud.openUploads(stage.bucket)).toEqual([]);
    });

    test('with a role that may put and nothing else, says that listing is missing and writes nothing', async () => {
      const stage = await Stage.withRole(cloud, [allow(['s3:PutObject'], 'arn:aws:s3:::BUCKET/*')]);
      const run = await stage.run();
      expect(run.result.error.code).toBe('PERMISSION_DENIED');
      expect(run.outputs['missing-permissions']).toContain('s3:ListBucket');
      expect(await stage.keys()).toEqual([]);
      expect(await cloud.openUploads(stage.bucket)).toEqual([]);
    });

    test('of a role whose trust policy does not match: shows the claims and the trust policy that does', async () => {
      const stage = await Stage.withRole(cloud, OWNER, {
        trust: trustFor(cloud, 'repo:acme/site:environment:production'),
      });
      const run = await stage.run();
      expect(run.exitCode).toBe(1);
      const { code, hint } = run.result.error;
      expect(code).toBe('ROLE_DENIED');
      expect(hint).toContain('sub: repo:acme/site:ref:refs/heads/main');
      const policies: PolicyDocument[] = [...hint.matchAll(/^\{$[\s\S]*?^\}$/gm)].map(([text]) => JSON.parse(text));
      expect(policies).toHaveLength(2);
      for (const [index, trust] of policies.entries()) {
        const policy = about(stage.bucket, OWNER);
        const role = await cloud.createRole(`mended-${index}-${stage.bucket}`, { trust, policy });
        expect((await stage.run({ 'role-to-assume': role })).exitCode).toBe(0);
      }
    });

    test('without id-token: write says so within two seconds', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      const none = { ACTIONS_ID_TOKEN_REQUEST_URL: undefined, ACTIONS_ID_TOKEN_REQUEST_TOKEN: undefined };
      const run = await stage.run({}, { env: none });
      expect(run.result.error).toMatchObject({
        code: 'OIDC_UNAVAILABLE',
        hint: expect.stringContaining('id-token: write'),
      });
      expect(run.result.timings.total).toBeLessThan(2000);
      const payload = { pull_request: { head: { repo: { fork: true } } } };
      const fork = await stage.run({}, { env: none, event: { name: 'pull_request', payload } });
      expect(fork.result.error.hint).toContain('fork');
    });

    test('takes keys from the environment when none are given, and does not mix them with given ones', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      const keys = await cloud.createUser(`ambient-${stage.bucket}`, about(stage.bucket, OWNER));
      const env = { AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey };
      const ambient = await stage.run({ 'aws-access-key-id': '', 'aws-secret-access-key': '' }, { env });
      expect(ambient.exitCode).toBe(0);
      expect(ambient.log.masks).toContain(keys.secretAccessKey);
      const leftovers = {
        AWS_ACCESS_KEY_ID: 'AKIALEFTOVER',
        AWS_SECRET_ACCESS_KEY: 'leftover-secret',
        AWS_SESSION_TOKEN: 'leftover-token',
        AWS_PROFILE: 'none',
      };
      expect((await stage.run({}, { env: leftovers })).exitCode).toBe(0);
    });

    test('into a bucket that does not exist says so, and creates none', async () => {
      const stage = await Stage.withRole(cloud, [{ Effect: 'Allow', Action: 's3:*', Resource: '*' }]);
      const run = await stage.run({ bucket: 'no-such-bucket' });
      expect(run.result.error).toMatchObject({
        code: 'BUCKET_NOT_FOUND',
        message: expect.stringContaining('no-such-bucket'),
      });
      await expect(cloud.objects('no-such-bucket')).rejects.toThrow();
    });
  });
}
