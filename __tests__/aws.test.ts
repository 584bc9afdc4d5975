import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from './support/cloud/cloud.ts';
import { allow, OWNER, Stage } from './support/deploys.ts';

/** What only AWS does: regions, host names, denials that say who denied. The action is given no endpoint. */
describe('on AWS', () => {
  let cloud: LoopbackCloud;
  beforeAll(async () => {
    cloud = await startCloud({ hosts: 'aws', region: 'eu-central-1' });
  });
  afterAll(() => cloud.close());
  beforeEach(() => cloud.clearRequests());

  const onAws = () => ({ env: { ...cloud.awsEnvironment(), ...cloud.github.jobEnvironment() } });
  const noEndpoint = { endpoint: '', 'sts-endpoint': '' };

  test('finds the region of the bucket, and deploys there', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    cloud.bucket(stage.bucket).options.region = 'ap-southeast-2';
    const run = await stage.run({ ...noEndpoint, prefix: 'docs' }, onAws());
    expect(run.log.visible).toContain('Deployed: 5 new');
    expect(run.outputs).toMatchObject({
      region: 'ap-southeast-2',
      url: `http://${stage.bucket}.s3-website-ap-southeast-2.amazonaws.com/docs/`,
    });
  });

  test('prefers the bucket to AWS_REGION, and says which region is right when aws-region is wrong', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    const env = { ...onAws().env, AWS_REGION: 'us-west-2' };
    const found = await stage.run(noEndpoint, { env });
    expect([found.exitCode, found.outputs.region]).toEqual([0, 'eu-central-1']);
    // It is the probe that is told, or HeadBucket where there is none.
    for (const probe of ['auto', 'full', 'off']) {
      cloud.clearRequests();
      const wrong = await stage.run({ ...noEndpoint, 'aws-region': 'us-east-1', probe }, onAws());
      expect([probe, wrong.result.error]).toEqual([
        probe,
        expect.objectContaining({
          code: 'BUCKET_WRONG_REGION',
          message: expect.stringContaining('is in eu-central-1'),
          hint: expect.stringContaining('Set aws-region: eu-central-1'),
        }),
      ]);
      expect([probe, cloud.count('HeadBucket')]).toEqual([probe, probe === 'off' ? 1 : 0]);
    }
  });

  test.each([
    ['IllegalLocationConstraintException', 400],
    ['TemporaryRedirect', 307],
  ])('says which region is right when it answers %s', async (code, status) => {
    const stage = await Stage.withRole(cloud, OWNER);
    const headers = { 'x-amz-bucket-region': 'af-south-1' };
    cloud.faults.add({ bucket: stage.bucket, times: Infinity, answer: { kind: 'error', status, code, headers } });
    for (const mode of ['probe', 'deploy']) {
      const run = await stage.run({ ...noEndpoint, 'aws-region': 'eu-central-1', mode }, onAws());
      expect([mode, run.exitCode, run.result.error.code]).toEqual([mode, 1, 'BUCKET_WRONG_REGION']);
      expect(run.result.error.hint).toContain('Set aws-region: af-south-1');
    }
    cloud.faults.clear();
  });

  test('sends parts of the default size with their checksum behind them, whatever becomes of the first tries', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    const films = [1, 2].map((i) => randomBytes(27 * 1024 ** 2 + i));
    for (const [i, film] of films.entries()) stage.site.write(`film-${i}.mp4`, film);
    cloud.faults.addMix({
      seed: 3,
      rate: 0.3,
      bucket: stage.bucket,
      answers: [
        [2, { kind: 'reset', at: 'request' }],
        [2, { kind: 'reset', at: 'body' }],
        [2, { kind: 'reset', at: 'response' }],
        [2, { kind: 'error', status: 503, code: 'SlowDown' }],
        [1, { kind: 'error', status: 400, code: 'BadDigest' }],
        [1, { kind: 'etag' }],
      ],
    });
    const run = await stage.run(noEndpoint, onAws());
    cloud.faults.clear();
    expect([run.exitCode, run.result.error, run.stderr]).toEqual([0, null, '']);
    const parts = cloud.requests.filter(({ operation }) => operation === 'UploadPart');
    expect(parts.length).toBeGreaterThan(8);
    expect(new Set(parts.map(({ headers }) => headers['x-amz-trailer']))).toEqual(new Set(['x-amz-checksum-sha256']));
    const objects = await cloud.objects(stage.bucket);
    for (const [i, film] of films.entries()) expect(objects.get(`film-${i}.mp4`)?.body.equals(film)).toBe(true);
    expect((await stage.run(noEndpoint, onAws())).result.counts).toMatchObject({ uploaded: 0, unchanged: 7 });
  }, 60_000);

  test('sends parts with a signature of their content where a policy wants no other', async () => {
    const Condition = { StringLike: { 's3:x-amz-content-sha256': '*UNSIGNED*' } };
    const unsigned = { Effect: 'Deny' as const, Action: 's3:*', Resource: '*', Condition };
    const stage = await Stage.withRole(cloud, [...OWNER, unsigned]);
    const film = randomBytes(100 * 1024 ** 2);
    stage.site.write('film.mp4', film);
    const run = await stage.run(noEndpoint, onAws());
    expect([run.exitCode, run.result.error]).toEqual([0, null]);
    expect((await cloud.objects(stage.bucket)).get('film.mp4')?.body.equals(film)).toBe(true);
    const parts = cloud.requests.filter(({ operation }) => operation === 'UploadPart');
    // Those that were under way when the first one was refused, and no others.
    expect(parts.filter(({ status }) => status === 403).length).toBeLessThanOrEqual(8);
    expect(parts.filter(({ status }) => status === 200)).toHaveLength(13);
  });

  test('signs the content of parts, so that no policy which forbids what is not signed is in the way', async () => {
    const Condition = { StringEquals: { 's3:x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } };
    const unsigned = { Effect: 'Deny' as const, Action: 's3:*', Resource: '*', Condition };
    const stage = await Stage.withRole(cloud, [...OWNER, unsigned]);
    stage.site.write('video.mp4', Buffer.alloc(11 * 1024 ** 2, 'film'));
    stage.site.write('film.mp4', Buffer.alloc(11 * 1024 ** 2, 'film'));
    const run = await stage.run({ ...noEndpoint, 'part-size': '5MiB', concurrency: '1' }, onAws());
    expect([run.exitCode, run.result.error]).toEqual([0, null]);
    const parts = cloud.requests.filter(({ operation }) => operation === 'UploadPart');
    expect(parts.map(({ status }) => status)).toEqual(Array(6).fill(200));
    const signed = parts.map(({ headers }) => Buffer.from(headers['x-amz-content-sha256'] ?? '', 'hex'));
    expect(parts.map(({ headers }) => headers['x-amz-checksum-sha256'])).toEqual(
      signed.map((digest) => digest.toString('base64')),
    );
  });

  test('puts objects and parts with a SHA-256, which it holds them against and which a bucket with Object Lock wants', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    cloud.bucket(stage.bucket).options.versioning = true;
    cloud.bucket(stage.bucket).options.objectLock = { mode: 'GOVERNANCE', days: 1 };
    stage.site.write('video.mp4', Buffer.alloc(11 * 1024 ** 2, 'film'));
    // An answer to a part that names another ETag than the store keeps: only the end of the upload shows it.
    cloud.faults.add({ operation: 'UploadPart', answer: { kind: 'etag', value: 'a'.repeat(32) } });
    const run = await stage.run({ ...noEndpoint, 'part-size': '5MiB' }, onAws());
    expect([run.exitCode, run.result.error]).toEqual([0, null]);
    expect((await cloud.objects(stage.bucket)).get('video.mp4')?.body.length).toBe(11 * 1024 ** 2);
    const puts = cloud.requests.filter(({ operation }) => operation === 'PutObject' || operation === 'UploadPart');
    const without = puts.filter(({ headers }) => !headers['x-amz-checksum-sha256'] || headers['content-md5']);
    expect([puts.length, without.map(({ key }) => key)]).toEqual([12, []]);
    expect(cloud.count('CreateMultipartUpload')).toBe(3); // One is the probe's.
    expect(await cloud.openUploads(stage.bucket)).toEqual([]);
    cloud.clearRequests();
    expect((await stage.run({ ...noEndpoint, 'part-size': '5MiB' }, onAws())).exitCode).toBe(0);
    expect(cloud.requests.filter(({ operation }) => /^(Put|Upload|HeadObject)/.test(operation))).toEqual([]);
  });

  test('narrows the session to bucket, prefix and actions, however wide the role is', async () => {
    const stage = await Stage.withRole(cloud, [{ Effect: 'Allow', Action: '*', Resource: '*' }]);
    const run = await stage.run({ ...noEndpoint, prefix: 'docs' }, onAws());
    expect(run.exitCode).toBe(0);
    const assumed = cloud.requests.find(({ operation }) => operation === 'AssumeRoleWithWebIdentity');
    expect(JSON.parse(assumed?.query.Policy ?? '{}')).toEqual(
      JSON.parse(run.fileAt(run.outputs['suggested-policy-file'] ?? '') ?? ''),
    );
  });

  test('leaves the role as it is with inline-session-policy: none, or hands on a policy of ones own', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    const none = await stage.run({ ...noEndpoint, 'inline-session-policy': 'none' }, onAws());
    expect(none.exitCode).toBe(0);
    const own = {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: ['s3:ListBucket', 's3:GetObject'], Resource: '*' }],
    };
    const narrowed = await stage.run({ ...noEndpoint, 'inline-session-policy': JSON.stringify(own) }, onAws());
    expect(narrowed.result.error.message).toContain('no session policy allows it');
  });

  test('says which kind of policy denied', async () => {
    const stage = await Stage.withRole(cloud, [
      ...OWNER,
      { Effect: 'Deny', Action: 's3:PutObject', Resource: 'arn:aws:s3:::BUCKET/docs/*' },
    ]);
    const run = await stage.run({ ...noEndpoint, prefix: 'docs' }, onAws());
    expect(run.result.error.message).toContain('an explicit deny in an identity-based policy');
    expect((await stage.run({ ...noEndpoint, prefix: 'blog' }, onAws())).exitCode).toBe(0);
  });

  test('with keys of a user that assume a role', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    const keys = await cloud.createUser('assumer', {
      Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Resource: '*' }],
    });
    const trust = {
      Statement: {
        Effect: 'Allow' as const,
        Principal: { AWS: `arn:aws:iam::${cloud.account}:user/assumer` },
        Action: 'sts:AssumeRole',
      },
    };
    const role = await cloud.createRole('assumed', {
      trust,
      policy: { Statement: JSON.parse(JSON.stringify(OWNER).replaceAll('BUCKET', stage.bucket)) },
    });
    const inputs = {
      ...noEndpoint,
      'role-to-assume': role,
      'aws-access-key-id': keys.accessKeyId,
      'aws-secret-access-key': keys.secretAccessKey,
    };
    const run = await stage.run(inputs, { env: cloud.awsEnvironment() });
    expect(run.exitCode).toBe(0);
    expect(cloud.count('AssumeRole')).toBe(1);
    const other = await stage.run({ ...inputs, 'role-to-assume': `${role}x` }, { env: cloud.awsEnvironment() });
    expect(other.result.error).toMatchObject({ code: 'ROLE_DENIED', hint: expect.stringContaining('sts:AssumeRole') });
  });

  test('tells an unknown key, a wrong secret and an expired session apart', async () => {
    const stage = await Stage.withKeys(cloud, OWNER);
    const env = cloud.awsEnvironment();
    const unknown = await stage.run({ ...noEndpoint, 'aws-access-key-id': 'AKIAUNKNOWN000000000' }, { env });
    expect(unknown.result.error).toMatchObject({
      code: 'CREDENTIALS_INVALID',
      hint: expect.stringContaining('does not know this access key'),
    });
    const secret = await stage.run({ ...noEndpoint, 'aws-secret-access-key': 'wrong-secret-wrong-secret' }, { env });
    expect(secret.result.error).toMatchObject({
      code: 'CREDENTIALS_INVALID',
      hint: expect.stringContaining('secret access key'),
    });
    const half = await stage.run({ ...noEndpoint, 'aws-secret-access-key': '' }, { env });
    expect(half.result.error).toMatchObject({
      code: 'INPUT_INVALID',
      message: expect.stringContaining('aws-secret-access-key'),
    });
    expect(cloud.requests.every(({ status }) => status !== 200)).toBe(true);
  });

  test('proves the write without writing: no object, no version, no open upload', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    cloud.bucket(stage.bucket).options.versioning = true;
    const run = await stage.run({ ...noEndpoint, mode: 'probe', delete: 'true', probe: 'no-residue' }, onAws());
    expect(run.result.probe.checks.map(({ result }: { result: string }) => result)).toEqual([
      'allowed',
      'allowed',
      'allowed',
      'allowed',
      'allowed',
    ]);
    expect(await stage.keys()).toEqual([]);
    expect(cloud.count('PutObject')).toBe(0);
    expect(await cloud.openUploads(stage.bucket)).toEqual([]);
  });

  test('a role that may put but not abort can still abort what it began itself', async () => {
    const stage = await Stage.withRole(cloud, [
      allow(['s3:ListBucket'], 'arn:aws:s3:::BUCKET'),
      allow(['s3:GetObject', 's3:PutObject'], 'arn:aws:s3:::BUCKET/*'),
    ]);
    const run = await stage.run({ ...noEndpoint, 'inline-session-policy': 'none' }, onAws());
    expect(run.exitCode).toBe(0);
    expect(await cloud.openUploads(stage.bucket)).toEqual([]);
  });
});
