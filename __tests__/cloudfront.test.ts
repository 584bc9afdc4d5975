import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from './support/cloud/cloud.ts';
import type { Distribution } from './support/cloud/distribution.ts';
import type { FaultAnswer } from './support/cloud/faults.ts';
import { allow, OWNER, Stage } from './support/deploys.ts';
import type { ActionRun, RunOptions } from './support/runner.ts';
import { Site } from './support/site.ts';
import type { PolicyDocument, PolicyStatement } from './support/test-cloud.ts';

const ANY_DISTRIBUTION = allow(['cloudfront:*'], 'arn:aws:cloudfront::*:distribution/*');

/** A site behind a distribution, found behind the host names of AWS. */
class Scene {
  readonly stage: Stage;
  readonly edge: Distribution;
  readonly cloud: LoopbackCloud;

  private constructor(cloud: LoopbackCloud, stage: Stage) {
    this.cloud = cloud;
    this.stage = stage;
    this.edge = cloud.createDistribution(stage.bucket);
  }

  static async open(
    cloud: LoopbackCloud,
    statements: PolicyStatement[] = [...OWNER, ANY_DISTRIBUTION],
    files?: Record<string, string>,
  ): Promise<Scene> {
    return new Scene(
      cloud,
      await Stage.withRole(cloud, statements, files === undefined ? {} : { site: new Site(files) }),
    );
  }

  run(inputs: Record<string, string> = {}, options: RunOptions = {}): Promise<ActionRun> {
    const { cloud, edge, stage } = this;
    return stage.run(
      { endpoint: '', 'sts-endpoint': '', 'cloudfront-distribution-id': edge.id, ...inputs },
      { ...options, env: { ...cloud.awsEnvironment(), ...options.env } },
    );
  }

  /** The paths of each invalidation so far. */
  get invalidated(): (readonly string[])[] {
    return this.edge.invalidations.map(({ paths }) => paths);
  }

  /** What the edge serves of the paths of these keys, against what is in the bucket. */
  async isFresh(keys: readonly string[]): Promise<boolean> {
    const bodies = await this.stage.bodies();
    return keys
      .flatMap((key) => (/(^|\/)index\.html$/.test(key) ? [key, key.slice(0, -'index.html'.length)] : [key]))
      .every((key) => this.edge.get(urlOf(key)) === bodies[key === '' || key.endsWith('/') ? `${key}index.html` : key]);
  }
}

/** The path as a browser asks for it. */
function urlOf(key: string): string {
  return new URL(`https://example.org/${key.split('/').map(encodeURIComponent).join('/')}`).pathname;
}

describe('behind CloudFront', () => {
  let cloud: LoopbackCloud;
  beforeAll(async () => {
    cloud = await startCloud({ hosts: 'aws' });
  });
  afterAll(() => cloud.close());
  beforeEach(() => {
    cloud.clearRequests();
    cloud.faults.clear();
  });

  test('an edge that has cached everything serves what is new, and nothing is invalidated that did not change', async () => {
    const scene = await Scene.open(cloud);
    const { stage, edge } = scene;
    const first = await scene.run({ prefix: 'docs' });
    expect([first.exitCode, scene.invalidated]).toEqual([0, [['/docs/*']]]);
    expect(first.outputs['invalidation-id']).toBe(edge.invalidations[0]?.id);
    const keys = await stage.keys();
    expect(await scene.isFresh(keys)).toBe(true);

    stage.site.write('about/index.html', 'about, again');
    stage.site.write('data/tides.json', '[1]');
    stage.site.write('data/winds.json', '[]');
    const second = await scene.run({ prefix: 'docs' });
    expect(second.exitCode).toBe(0);
    expect(scene.invalidated[1]).toEqual(['/docs/about/*', '/docs/data/*']);
    expect(await scene.isFresh(await stage.keys())).toBe(true);
    expect(second.result.invalidations).toEqual([{ id: edge.invalidations[1]?.id, paths: scene.invalidated[1] }]);
    expect(second.summary).toContain(
      `Invalidated (${edge.invalidations[1]?.id}): <code>/docs/about/&#42;</code>, <code>`,
    );
  });

  test('hears from the last run what shards have put, and from no shard', async () => {
    const scene = await Scene.open(cloud);
    const { stage } = scene;
    expect((await scene.run()).exitCode).toBe(0);
    await scene.isFresh(await stage.keys());
    stage.site.write('robots.txt', 'changed');
    stage.site.write('data/tides.json', '[1]');
    const inputs = { 'cloudfront-wait': 'true', delete: 'true' };
    for (const shard of ['1/2', '2/2']) {
      const run = await scene.run({ ...inputs, shard });
      expect([run.exitCode, run.result.invalidations]).toEqual([0, []]);
      expect(run.fileAt(run.outputs['suggested-policy-file'] ?? '')).not.toMatch(/cloudfront|DeleteObject/);
    }
    expect((await scene.run({ ...inputs, shard: '1/2', mode: 'plan' })).result.invalidations).toEqual([]);
    expect(scene.invalidated.length).toBe(1);
    const last = await scene.run(inputs);
    expect([last.exitCode, last.result.counts.unchanged]).toEqual([0, 5]);
    expect(scene.invalidated.slice(1)).toEqual([['/data/tides.json', '/robots.txt']]);
    expect(await scene.isFresh(await stage.keys())).toBe(true);
    expect((await scene.run(inputs)).result.invalidations).toEqual([]);
  });

  test('invalidates what it deletes once it is gone, so that nobody fetches it again', async () => {
    const scene = await Scene.open(cloud);
    const { stage, edge } = scene;
    await stage.put('old/index.html', 'stale');
    await scene.run();
    expect([edge.get('/old/'), edge.get('/old/index.html')]).toEqual(['stale', 'stale']);
    stage.site.write('robots.txt', 'changed');
    const reached = Promise.withResolvers<void>();
    // Somebody asks for the page between the invalidation of what was put and the deletion.
    cloud.faults.add({
      operation: 'DeleteObjects',
      bucket: stage.bucket,
      answer: {
        kind: 'wait',
        until: reached.promise,
        onReached: () => {
          edge.get('/old/');
          reached.resolve();
        },
      },
    });
    cloud.clearRequests();
    const run = await scene.run({ delete: 'true' });
    expect(run.exitCode).toBe(0);
    expect(scene.invalidated.slice(1)).toEqual([['/robots.txt'], ['/old/*']]);
    expect([edge.get('/old/'), edge.get('/old/index.html')]).toEqual([undefined, undefined]);
    expect(run.outputs['invalidation-id']).toBe(edge.invalidations[1]?.id);
    const order = cloud.requests.map(({ operation }) => operation).filter((one) => /^(Create|Delete)[IO]/.test(one));
    expect(order.slice(-3)).toEqual(['CreateInvalidation', 'DeleteObjects', 'CreateInvalidation']);
  });

  test('makes no invalidation when nothing changed, and writes nothing', async () => {
    const scene = await Scene.open(cloud);
    await scene.run();
    cloud.clearRequests();
    const run = await scene.run({ 'invalidation-paths': '/*', delete: 'true' });
    expect([run.exitCode, run.outputs.changed, run.outputs['invalidation-id']]).toEqual([0, 'false', undefined]);
    expect(scene.edge.invalidations).toHaveLength(1);
    expect(cloud.count('PutObject')).toBe(0);
    expect(run.result.invalidations).toEqual([]);
  });

  test('invalidates the paths that are given, when anything changed', async () => {
    const scene = await Scene.open(cloud);
    const given = { 'invalidation-paths': '/\n/über uns/*' };
    await scene.run(given);
    expect(scene.invalidated).toEqual([['/', '/%C3%BCber%20uns/*']]);
    scene.stage.site.write('robots.txt', 'changed');
    await scene.run(given);
    expect(scene.invalidated).toHaveLength(2);
  });

  test('names that a URL cannot hold as they are', async () => {
    const names = [
      '~me.html',
      'a b.html',
      '東京.html',
      '50%.html',
      'what?.html',
      '[x].html',
      'a*b.html',
      "it's+#1.html",
    ];
    const files = { ...Object.fromEntries(names.map((name) => [name, 'old'])), 'same.html': 'same' };
    const scene = await Scene.open(cloud, undefined, files);
    expect((await scene.run()).exitCode).toBe(0);
    const keys = await scene.stage.keys();
    expect(await scene.isFresh(keys)).toBe(true);
    for (const name of names) scene.stage.site.write(name, 'new');
    const run = await scene.run();
    expect([run.exitCode, run.outputs['updated-count']]).toEqual([0, '8']);
    expect(scene.invalidated[1]).not.toContain('/*');
    expect(scene.edge.paths).toContain('/same.html');
    expect(await scene.isFresh(keys)).toBe(true);
  });

  describe('permissions', () => {
    const inputs = { delete: 'true', 'cloudfront-wait': 'true', prefix: 'docs' };

    /** The policy that a run suggests for these inputs. */
    async function suggestion(scene: Scene): Promise<PolicyDocument> {
      const run = await scene.run({ ...inputs, mode: 'probe', probe: 'no-residue' });
      return JSON.parse(run.fileAt(run.outputs['suggested-policy-file'] ?? '') ?? '');
    }

    const actionsOf = ({ Statement }: PolicyDocument) =>
      (Statement as PolicyStatement[]).flatMap(({ Action }) => Action as string[]);

    test('the suggested policy is enough, and each action of it is needed', async () => {
      const scene = await Scene.open(cloud);
      const { stage } = scene;
      const policy = await suggestion(scene);
      const role = `role-${stage.bucket}`;
      cloud.setRolePolicy(role, policy);
      expect(policy.Statement).toContainEqual({
        Sid: 'InvalidateSite',
        Effect: 'Allow',
        Action: ['cloudfront:CreateInvalidation', 'cloudfront:GetInvalidation'],
        Resource: scene.edge.arn,
      });
      await stage.put('docs/old.html');
      const enough = await scene.run(inputs);
      expect([enough.exitCode, enough.outputs['deleted-count'], scene.invalidated.length]).toEqual([0, '1', 2]);

      stage.site.write('robots.txt', 'changed');
      await stage.put('docs/old.html');
      const before = await stage.bodies();
      // The initiator of an upload may abort it on AWS.
      for (const action of actionsOf(policy).filter((one) => one !== 's3:AbortMultipartUpload')) {
        const statements = (policy.Statement as PolicyStatement[]).map((one) => ({
          ...one,
          Action: (one.Action as string[]).filter((name) => name !== action),
        }));
        cloud.setRolePolicy(role, { ...policy, Statement: statements.filter(({ Action }) => Action.length > 0) });
        const run = await scene.run(inputs);
        expect([action, run.exitCode, run.result.error.code]).toEqual([action, 1, 'PERMISSION_DENIED']);
        expect(run.result.error.hint).toContain(`"${action}"`);
        if (action.startsWith('cloudfront:'))
          expect(run.result.error.hint).toContain(`"Resource": "${scene.edge.arn}"`);
        expect(run.outputs['missing-permissions']?.split(',')).toContain(action);
        expect(await stage.bodies()).toEqual(before);
      }
      cloud.setRolePolicy(role, policy);
      expect((await scene.run(inputs)).exitCode).toBe(0);
    });

    test('the session is narrowed to this distribution, and to what is asked for', async () => {
      const scene = await Scene.open(cloud, [{ Effect: 'Allow', Action: '*', Resource: '*' }]);
      const sent = () =>
        JSON.parse(
          cloud.requests.findLast(({ operation }) => operation === 'AssumeRoleWithWebIdentity')?.query.Policy ?? '{}',
        ).Statement.filter(({ Action }: { Action: string[] }) => Action.some((one) => one.startsWith('cloudfront')));
      const allowed = (...actions: string[]) => [
        expect.objectContaining({ Action: actions.map((one) => `cloudfront:${one}`), Resource: scene.edge.arn }),
      ];
      expect((await scene.run()).exitCode).toBe(0);
      expect(sent()).toEqual(allowed('CreateInvalidation'));
      expect((await scene.run({ 'cloudfront-wait': 'true' })).exitCode).toBe(0);
      expect(sent()).toEqual(allowed('CreateInvalidation', 'GetInvalidation'));
      await scene.run({ mode: 'plan' });
      expect(sent()).toEqual([]);
      await scene.run({ 'cloudfront-distribution-id': '' });
      expect(sent()).toEqual([]);
    });

    test('a session that is narrowed works with a prefix that STS has hardly room for', async () => {
      const scene = await Scene.open(cloud);
      const run = await scene.run({ ...inputs, prefix: 'ü'.repeat(470) });
      expect([run.exitCode, run.log.visible.includes('was refused')]).toEqual([0, false]);
      expect(scene.invalidated).toEqual([[`/${'%C3%BC'.repeat(470)}/*`]]);
    });

    test('a probe cannot prove the right to invalidate without doing it, and says so; probe: full does it', async () => {
      const scene = await Scene.open(cloud);
      const check = (run: ActionRun, action: string) =>
        run.result.probe.checks.find((one: { action: string }) => one.action === `cloudfront:${action}`);
      const run = await scene.run({ mode: 'probe', 'cloudfront-wait': 'true' });
      expect([run.exitCode, scene.edge.invalidations]).toEqual([0, []]);
      expect(check(run, 'CreateInvalidation')).toMatchObject({
        result: 'unknown',
        required: true,
        resource: scene.edge.arn,
        evidence: 'CreateInvalidation 400 InconsistentQuantities',
        why: expect.stringContaining('probe: full makes one'),
      });
      expect(check(run, 'GetInvalidation')).toMatchObject({
        result: 'allowed',
        evidence: 'GetInvalidation 404 NoSuchInvalidation',
      });
      const full = await scene.run({ mode: 'probe', probe: 'full', prefix: 'docs' });
      expect(check(full, 'CreateInvalidation')).toMatchObject({
        result: 'allowed',
        evidence: 'CreateInvalidation 201',
      });
      expect(scene.invalidated).toEqual([['/docs/.s3-deploy-probe/*']]);
    });

    test('a distribution that is not there is told before anything is written', async () => {
      const scene = await Scene.open(cloud);
      const run = await scene.run({ 'cloudfront-distribution-id': 'E0NOTHERE00000' });
      expect(run.result.error).toMatchObject({
        code: 'INPUT_INVALID',
        message: expect.stringContaining('cloudfront-distribution-id'),
      });
      expect(await scene.stage.keys()).toEqual([]);
    });

    test('masks the account in what it suggests', async () => {
      const scene = await Scene.open(cloud, OWNER);
      const run = await scene.run({ 'mask-aws-account-id': 'true' });
      expect(run.result.error.hint).toContain(`arn:aws:cloudfront::*:distribution/${scene.edge.id}`);
      expect(run.fileAt(run.outputs['suggested-policy-file'] ?? '')).not.toContain(cloud.account);
    });
  });

  describe('an invalidation that fails', () => {
    test('fails the step and keeps what is stale; the next run makes up for it', async () => {
      const scene = await Scene.open(cloud);
      const { stage, edge } = scene;
      await scene.run();
      expect(await scene.isFresh(await stage.keys())).toBe(true);
      await stage.put('old.html');
      stage.site.write('index.html', 'new');
      const role = `role-${stage.bucket}`;
      cloud.setRolePolicy(role, JSON.parse(JSON.stringify({ Statement: OWNER }).replaceAll('BUCKET', stage.bucket)));
      const denied = await scene.run({ delete: 'true', probe: 'off' });
      expect([denied.exitCode, denied.result.error.code]).toEqual([1, 'PERMISSION_DENIED']);
      expect(denied.result.error.message).toContain('CloudFront may go on serving');
      expect(denied.result.error.message).toContain('no identity-based policy allows');
      expect(denied.result.error.hint).toContain('"cloudfront:CreateInvalidation"');
      expect(denied.result.error.hint).toContain(edge.arn);
      expect(await stage.keys()).toContain('old.html');
      expect((await stage.bodies())['index.html']).toBe('new');
      expect(edge.get('/')).not.toBe('new');

      // A deploy that knows of no distribution leaves it to one that does.
      expect((await scene.run({ 'cloudfront-distribution-id': '' })).exitCode).toBe(0);
      cloud.setRolePolicy(role, { Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] });
      const plan = await scene.run({ delete: 'true', mode: 'plan' });
      expect(plan.result.invalidations).toEqual([
        { id: null, paths: ['/*'] },
        { id: null, paths: ['/old.html'] },
      ]);
      const again = await scene.run({ delete: 'true' });
      expect([again.exitCode, again.outputs['uploaded-count'], again.outputs['deleted-count']]).toEqual([0, '0', '1']);
      expect(scene.invalidated.slice(1)).toEqual([['/*'], ['/old.html']]);
      expect(edge.get('/')).toBe('new');
      await scene.run({ delete: 'true' });
      expect(scene.edge.invalidations).toHaveLength(3);
    });

    test.each<[string, FaultAnswer]>([
      ['throttled', { kind: 'error', status: 400, code: 'Throttling', message: 'Rate exceeded' }],
      ['too many at once', { kind: 'error', status: 400, code: 'TooManyInvalidationsInProgress' }],
      ['an error of the server', { kind: 'error', status: 500, code: 'InternalError' }],
      ['an error after it was made', { kind: 'error', status: 503, code: 'ServiceUnavailable', applied: true }],
      ['an answer that is cut off', { kind: 'reset', at: 'response' }],
      ['a reset', { kind: 'reset', at: 'body' }],
      ["a proxy's page", { kind: 'html' }],
      ['an answer without anything', { kind: 'empty' }],
    ])('is tried again: %s; and there is one', async (_, answer) => {
      const scene = await Scene.open(cloud);
      cloud.faults.add({ operation: 'CreateInvalidation', after: 1, times: 2, answer });
      const run = await scene.run();
      expect([run.exitCode, scene.invalidated]).toEqual([0, [['/*']]]);
      expect(cloud.requests.filter(({ operation, fault }) => operation === 'CreateInvalidation' && fault)).toHaveLength(
        2,
      );
      expect(run.result.requests.retries).toBe(2);
    });

    test('waits for a place among fifteen wildcards', async () => {
      const scene = await Scene.open(cloud);
      scene.edge.invalidationMs = 1500;
      for (let i = 0; i < 15; i++) scene.edge.invalidate(`other-${i}`, 1, [`/other-${i}/*`], Date.now());
      const run = await scene.run();
      expect([run.exitCode, scene.edge.invalidations.length]).toEqual([0, 16]);
      expect(run.result.requests.retries).toBeGreaterThan(0);
    });

    test.each<[string, FaultAnswer, string, string]>([
      ['refused', { kind: 'error', status: 400, code: 'InvalidArgument' }, 'INPUT_INVALID', 'Set invalidation-paths'],
      ['unknown', { kind: 'error', status: 413, code: 'BatchTooLarge' }, 'STORE_MISBEHAVED', 'run the job again'],
      ['denied', { kind: 'error', status: 403, code: 'AccessDenied' }, 'PERMISSION_DENIED', 'InvalidateSite'],
      [
        'for a wrong key',
        { kind: 'error', status: 403, code: 'SignatureDoesNotMatch' },
        'CREDENTIALS_INVALID',
        'secret',
      ],
    ])('is told in the words of CloudFront: %s', async (_, answer, code, hint) => {
      const scene = await Scene.open(cloud);
      cloud.faults.add({ operation: 'CreateInvalidation', after: 1, times: Infinity, answer });
      const run = await scene.run();
      expect([run.exitCode, run.result.error]).toEqual([
        1,
        expect.objectContaining({ code, hint: expect.stringContaining(hint) }),
      ]);
      expect(run.result.requests.retries).toBe(0);
      expect(run.result.counts.uploaded).toBe(5);
    });

    test('is made up for after a kill between manifest and invalidation', async () => {
      const scene = await Scene.open(cloud);
      const reached = Promise.withResolvers<void>();
      cloud.faults.add({
        operation: 'CreateInvalidation',
        after: 1,
        answer: { kind: 'silence', onReached: reached.resolve },
      });
      await scene.run({}, { signalAfter: { at: reached.promise, signal: 'SIGKILL' } });
      expect(scene.edge.invalidations).toEqual([]);
      const again = await scene.run();
      expect([again.outputs.changed, scene.invalidated]).toEqual(['false', [['/*']]]);
      await scene.run();
      expect(scene.edge.invalidations).toHaveLength(1);
    });

    test('is made up for after a kill between pages and manifest', async () => {
      const scene = await Scene.open(cloud);
      await scene.run();
      expect(await scene.isFresh(await scene.stage.keys())).toBe(true);
      scene.stage.site.write('about/index.html', 'new');
      const reached = Promise.withResolvers<void>();
      cloud.faults.add({
        operation: 'PutObject',
        key: '.s3-deploy/manifest',
        answer: { kind: 'silence', onReached: reached.resolve },
      });
      await scene.run({}, { signalAfter: { at: reached.promise, signal: 'SIGKILL' } });
      expect((await scene.stage.bodies())['about/index.html']).toBe('new');
      const again = await scene.run();
      expect([again.exitCode, again.outputs.changed]).toEqual([0, 'false']);
      expect(scene.invalidated[1]).toEqual(['/about/*']);
      expect(await scene.isFresh(await scene.stage.keys())).toBe(true);
    });

    test('is made up for after a kill between a deletion and its invalidation', async () => {
      const scene = await Scene.open(cloud);
      await scene.stage.put('old.html');
      await scene.run();
      expect(scene.edge.get('/old.html')).toBe('theirs');
      const reached = Promise.withResolvers<void>();
      cloud.faults.add({
        operation: 'CreateInvalidation',
        after: 1,
        answer: { kind: 'silence', onReached: reached.resolve },
      });
      await scene.run({ delete: 'true' }, { signalAfter: { at: reached.promise, signal: 'SIGKILL' } });
      expect(await scene.stage.keys()).not.toContain('old.html');
      expect((await scene.run({ delete: 'true' })).outputs.changed).toBe('false');
      expect(scene.edge.get('/old.html')).toBeUndefined();
    });

    test('is made up for after a cancellation, which deletes nothing', async () => {
      const scene = await Scene.open(cloud);
      await scene.stage.put('old.html');
      const reached = Promise.withResolvers<void>();
      cloud.faults.add({
        operation: 'CreateInvalidation',
        after: 1,
        answer: { kind: 'silence', onReached: reached.resolve },
      });
      const run = await scene.run({ delete: 'true' }, { signalAfter: reached.promise });
      expect([run.failed, run.result.error.code]).toEqual([true, 'UPLOAD_FAILED']);
      expect(await scene.stage.keys()).toContain('old.html');
      await scene.run({ delete: 'true' });
      expect(scene.invalidated).toEqual([['/*'], ['/old.html']]);
    });
  });

  test('a deploy that is overtaken while it invalidates leaves the manifest to the other', async () => {
    const scene = await Scene.open(cloud);
    const { stage } = scene;
    await scene.run();
    await stage.put('old.html');
    stage.site.write('robots.txt', 'first');
    const reached = Promise.withResolvers<void>();
    const done = Promise.withResolvers<void>();
    cloud.faults.add({
      operation: 'CreateInvalidation',
      after: 1,
      answer: { kind: 'wait', until: done.promise, onReached: reached.resolve },
    });
    const first = scene.run({ delete: 'true' });
    await reached.promise;
    stage.site.write('robots.txt', 'second');
    const second = await scene.run({ delete: 'true' });
    done.resolve();
    expect([(await first).exitCode, second.exitCode]).toEqual([0, 0]);
    // The second has heard that an invalidation was due, and made it.
    expect(scene.invalidated.slice(1, 3)).toEqual([['/*'], ['/old.html']]);
    expect((await stage.bodies())['robots.txt']).toBe('second');
    const made = scene.edge.invalidations.length;
    expect((await scene.run({ delete: 'true' })).outputs.changed).toBe('false');
    expect(scene.edge.invalidations).toHaveLength(made);
  });

  test('waits until old pages are gone from the edges before it deletes what they name', async () => {
    const scene = await Scene.open(cloud);
    await scene.stage.put('old.html');
    scene.edge.invalidationMs = 2000;
    const run = await scene.run({ 'cloudfront-wait': 'true', delete: 'true' });
    expect(run.exitCode).toBe(0);
    expect(run.log.visible).toMatch(/is complete after/);
    const [first, second] = scene.edge.invalidations;
    expect(second!.createTime).toBeGreaterThanOrEqual(first!.completeTime);
    expect(cloud.count('GetInvalidation')).toBeGreaterThanOrEqual(4);
    const order = cloud.requests
      .map(({ operation }) => operation)
      .filter((one) => /Invalidation$|^DeleteObjects$/.test(one));
    const looks = order.filter((one) => one !== 'GetInvalidation');
    // The probe has been before all of it.
    expect(looks).toEqual(['CreateInvalidation', 'CreateInvalidation', 'DeleteObjects', 'CreateInvalidation']);
    expect(order[order.indexOf('DeleteObjects') - 1]).toBe('GetInvalidation');
    expect(order.at(-1)).toBe('GetInvalidation');
  });

  test('a plan says what would be invalidated, and asks nothing of CloudFront', async () => {
    const scene = await Scene.open(cloud, OWNER);
    await scene.stage.put('old.html');
    const run = await scene.run({ mode: 'plan', delete: 'true' });
    expect(run.exitCode).toBe(0);
    expect(run.result.invalidations).toEqual([
      { id: null, paths: ['/*'] },
      { id: null, paths: ['/old.html'] },
    ]);
    expect(run.log.visible).toContain('/old.html  (to invalidate)');
    expect(run.summary).toContain('To invalidate: <code>/&#42;</code>');
    expect(run.outputs['invalidation-id']).toBeUndefined();
    expect(cloud.count('CreateInvalidation')).toBe(0);
  });

  test('a removal invalidates everything below the prefix, and once more if that failed', async () => {
    const scene = await Scene.open(cloud);
    await scene.run({ prefix: 'pr-1' });
    cloud.faults.add({
      operation: 'CreateInvalidation',
      after: 1,
      answer: { kind: 'error', status: 403, code: 'AccessDenied' },
    });
    const denied = await scene.run({ mode: 'remove', prefix: 'pr-1' });
    expect([denied.result.error.code, await scene.stage.keys()]).toEqual(['PERMISSION_DENIED', []]);
    const again = await scene.run({ mode: 'remove', prefix: 'pr-1' });
    expect([again.exitCode, scene.invalidated]).toEqual([0, [['/pr-1/*'], ['/pr-1/*']]]);
    await scene.run({ mode: 'remove', prefix: 'pr-1' });
    expect(scene.edge.invalidations).toHaveLength(2);
  });

  test('only adds, and invalidates what it added', async () => {
    const scene = await Scene.open(cloud);
    await scene.stage.put('robots.txt');
    const run = await scene.run({ overwrite: 'false' });
    expect([run.exitCode, run.outputs['kept-count']]).toEqual([0, '1']);
    expect(scene.invalidated[0]).not.toContain('/*');
    expect(scene.invalidated[0]).not.toContain('/robots.txt');
    expect((await scene.run({ overwrite: 'false' })).exitCode).toBe(0);
    expect(scene.edge.invalidations).toHaveLength(1);
    scene.stage.site.write('more.html', 'more');
    const answer = { kind: 'error', status: 403, code: 'AccessDenied' } as const;
    cloud.faults.add({ operation: 'CreateInvalidation', after: 1, answer });
    const denied = await scene.run({ overwrite: 'false' });
    expect(denied.result.error.hint).toContain('make it in the console of CloudFront');
  });

  test('signs with the time of AWS, not with that of a runner whose clock is wrong', async () => {
    cloud.time = 3_600_000;
    try {
      const scene = await Scene.open(cloud);
      const everything = { Statement: [{ Effect: 'Allow' as const, Action: '*', Resource: '*' }] };
      const keys = await cloud.createUser('skewed', everything);
      const run = await scene.run({
        'role-to-assume': '',
        'aws-access-key-id': keys.accessKeyId,
        'aws-secret-access-key': keys.secretAccessKey,
      });
      expect([run.exitCode, scene.edge.invalidations.length]).toEqual([0, 1]);
    } finally {
      cloud.time = 0;
    }
  });

  describe('refuses before any request', () => {
    test.each<[string, Record<string, string>, string]>([
      ['two ids', { 'cloudfront-distribution-id': 'E1AAAAAAAAAAAA, E2AAAAAAAAAAAA' }, 'is more than one id'],
      ['a domain name', { 'cloudfront-distribution-id': 'd111111abcdef8.cloudfront.net' }, 'is malformed'],
      ['a hostile id', { 'cloudfront-distribution-id': 'E1AAAAAA/../../x' }, 'is malformed'],
      ['a path without a slash', { 'invalidation-paths': 'docs/*' }, 'does not begin with a slash'],
      ['a wait that is neither', { 'cloudfront-wait': 'yes' }, 'is neither true nor false'],
      [
        'paths without a distribution',
        { 'cloudfront-distribution-id': '', 'invalidation-paths': '/*' },
        'without a dist',
      ],
      [
        'a wait without a distribution',
        { 'cloudfront-distribution-id': '', 'cloudfront-wait': 'true' },
        'without a dist',
      ],
      ['a store that is not of AWS', { endpoint: 'https://s3.example.org' }, 'endpoint that is not of AWS'],
    ])('%s', async (_, inputs, problem) => {
      const scene = await Scene.open(cloud);
      const run = await scene.run(inputs);
      expect(run.result.error).toMatchObject({ code: 'INPUT_INVALID', message: expect.stringContaining(problem) });
      expect(cloud.requests).toEqual([]);
    });
  });
});

describe('behind a CloudFront of the environment', () => {
  test('invalidates beside a store that is not of AWS', async () => {
    const cloud = await startCloud();
    try {
      const stage = await Stage.withKeys(cloud, [...OWNER, ANY_DISTRIBUTION]);
      const edge = cloud.createDistribution(stage.bucket);
      const inputs = { 'cloudfront-distribution-id': edge.id };
      const env = { AWS_ENDPOINT_URL_CLOUDFRONT: cloud.cloudFrontEndpoint };
      const run = await stage.run(inputs, { env });
      expect([run.exitCode, edge.invalidations.map(({ paths }) => paths)]).toEqual([0, [['/*']]]);
      const wrong = await stage.run(inputs, { env: { AWS_ENDPOINT_URL_CLOUDFRONT: 'https://a:b@example.org' } });
      expect(wrong.result.error.message).toBe('AWS_ENDPOINT_URL_CLOUDFRONT: the value carries credentials.');
    } finally {
      await cloud.close();
    }
  });
});
