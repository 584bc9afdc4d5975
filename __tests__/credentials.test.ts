import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from './support/cloud/cloud.ts';
import type { Fault } from './support/cloud/faults.ts';
import { OWNER, Stage } from './support/deploys.ts';
import type { PolicyDocument } from './support/test-cloud.ts';

const AWS = { endpoint: '', 'sts-endpoint': '' };

describe('credentials', () => {
  let cloud: LoopbackCloud;
  beforeAll(async () => {
    cloud = await startCloud({ hosts: 'aws', region: 'eu-central-1' });
  });
  afterAll(() => cloud.close());
  afterEach(() => {
    cloud.faults.clear();
    cloud.clearRequests();
    cloud.sessionSeconds = undefined;
    cloud.time = 0;
    cloud.disabledStsRegions.clear();
  });

  const job = (more: Record<string, string> = {}) => ({
    env: { ...cloud.awsEnvironment(), ...cloud.github.jobEnvironment(), ...more },
  });
  const noJob = (more: Record<string, string> = {}) => ({ env: { ...cloud.awsEnvironment(), ...more } });
  const policyOf = (stage: Stage): PolicyDocument => ({
    Statement: JSON.parse(JSON.stringify(OWNER).replaceAll('BUCKET', stage.bucket)),
  });
  const sts = (status: number, code: string, message: string) => ({ kind: 'error', status, code, message }) as const;
  const assumption = (answer: Fault['answer'], times = Number.POSITIVE_INFINITY): Fault => ({
    operation: 'AssumeRoleWithWebIdentity',
    times,
    answer,
  });

  describe('what STS says', () => {
    const permanent: [string, Fault['answer'], string, number][] = [
      [
        'no provider',
        sts(
          400,
          'InvalidIdentityToken',
          'No OpenIDConnect provider found in your account for https://token.actions.githubusercontent.com',
        ),
        'aws iam create-open-id-connect-provider',
        1,
      ],
      [
        'a wrong audience',
        sts(400, 'InvalidIdentityToken', 'Incorrect token audience'),
        'aws iam add-client-id-to-open-id-connect-provider',
        1,
      ],
      [
        'not authorized',
        sts(403, 'AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity'),
        'The trust policy that matches this job:',
        3,
      ],
      [
        'too long a session',
        sts(400, 'ValidationError', 'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.'),
        'role-duration-seconds',
        1,
      ],
      [
        'a disabled region',
        sts(403, 'RegionDisabledException', 'STS is not activated in this region for account:123456789012.'),
        'Activate STS',
        1,
      ],
    ];
    test.each(permanent)('%s costs a few seconds and says what to do', async (_, answer, remedy, calls) => {
      const stage = await Stage.withRole(cloud, OWNER);
      cloud.faults.add(assumption(answer));
      const run = await stage.run(AWS, job());
      expect(run.result.error).toMatchObject({ code: 'ROLE_DENIED', hint: expect.stringContaining(remedy) });
      expect(cloud.count('AssumeRoleWithWebIdentity')).toBe(calls);
      expect(run.durationMs).toBeLessThan(10_000);
      expect(cloud.requests.every(({ operation }) => operation === 'AssumeRoleWithWebIdentity')).toBe(true);
    });

    const passing: [string, Fault['answer'], number][] = [
      [
        'a key it could not fetch',
        sts(
          400,
          'InvalidIdentityToken',
          "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements",
        ),
        2,
      ],
      [
        'an identity provider it could not reach',
        sts(400, 'IDPCommunicationError', 'Error communicating with the identity provider'),
        3,
      ],
      ['a token that has expired', sts(400, 'ExpiredTokenException', 'Token must not be expired'), 1],
      [
        'a token that was rejected',
        sts(403, 'IDPRejectedClaim', 'The identity provider reported that authentication failed'),
        1,
      ],
      ['throttling', sts(400, 'Throttling', 'Rate exceeded'), 3],
      ['500', sts(500, 'InternalFailure', ''), 3],
      ['503', sts(503, 'ServiceUnavailable', ''), 2],
      [
        'a role that is not known everywhere yet',
        sts(403, 'AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity'),
        2,
      ],
      ['a reset', { kind: 'reset', at: 'response' }, 2],
      ['HTML from a proxy', { kind: 'html', status: 502 }, 2],
    ];
    test.each(passing)(
      '%s is ridden out',
      async (_, answer, times) => {
        const stage = await Stage.withRole(cloud, OWNER);
        cloud.faults.add(assumption(answer, times));
        const issued = cloud.github.issued.length;
        const run = await stage.run(AWS, job());
        expect(run.exitCode).toBe(0);
        expect(cloud.count('AssumeRoleWithWebIdentity')).toBe(times + 1);
        expect(cloud.github.issued.length - issued).toBe(times + 1); // a new token each time
      },
      20_000,
    );

    test('silence costs seconds', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      cloud.faults.add(assumption({ kind: 'silence' }, 1));
      const run = await stage.run(AWS, job());
      expect(run.exitCode).toBe(0);
      expect(run.durationMs).toBeLessThan(30_000);
    }, 60_000);

    test('a session policy that is refused is left out, with a warning', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      cloud.faults.add(
        assumption(
          sts(400, 'PackedPolicyTooLarge', 'Packed policy consumes 104% of allotted space, please use smaller policy.'),
          1,
        ),
      );
      const run = await stage.run(AWS, job());
      expect(run.exitCode).toBe(0);
      expect(run.log.annotations).toMatchObject([
        { kind: 'warning', message: expect.stringContaining('session policy') },
      ]);
    });

    test('a policy of the user that is refused is an error', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      const run = await stage.run({ ...AWS, 'inline-session-policy': '{"Statement":[{"Effect":"Maybe"}]}' }, job());
      expect(run.result.error).toMatchObject({
        code: 'ROLE_DENIED',
        hint: expect.stringContaining('inline-session-policy'),
      });
    });

    test('prints claims and subject form, and never the token', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      const env = cloud.github.jobEnvironment({
        environment: 'production',
        sub: 'repo:acme@11/site@22:environment:production',
      });
      const run = await stage.run(AWS, { env: { ...cloud.awsEnvironment(), ...env } });
      expect(run.result.error.hint).toContain('environment: production');
      expect(run.result.error.hint).toContain('The job has an environment');
      expect(run.result.error.hint).toContain('since July 2026');
      expect(run.result.error.hint).toMatch(/lifetime: \d+ s/);
    });
  });

  describe('ways in', () => {
    test('a profile of the shared files, masked although it came from a file', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      const keys = await cloud.createUser(`profile-${stage.bucket}`, policyOf(stage));
      const home = join(stage.site.workspace, 'home');
      mkdirSync(join(home, '.aws'), { recursive: true });
      writeFileSync(
        join(home, '.aws/credentials'),
        `[store]\naws_access_key_id = ${keys.accessKeyId}\naws_secret_access_key = ${keys.secretAccessKey}\n`,
      );
      const inputs = { ...AWS, 'aws-access-key-id': '', 'aws-secret-access-key': '', 'aws-profile': 'store' };
      const env = { HOME: home, AWS_SECRET_ACCESS_KEY: 'leftover-of-another-step' };
      const run = await stage.run(inputs, noJob(env));
      expect(run.exitCode).toBe(0);
      expect(run.log.masks).toContain(keys.secretAccessKey);
      expect(run.outputs['authenticated-arn']).toContain(`user/profile-${stage.bucket}`);
      const missing = await stage.run({ ...inputs, 'aws-profile': 'nobody' }, noJob({ HOME: home }));
      expect(missing.result.error).toMatchObject({
        code: 'CREDENTIALS_INVALID',
        message: expect.stringContaining('nobody'),
      });
    });

    test('a role from the credentials of the environment, with an external id', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      const name = `chain-${stage.bucket}`;
      const keys = await cloud.createUser(name, {
        Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Resource: '*' }],
      });
      const trust: PolicyDocument = {
        Statement: {
          Effect: 'Allow',
          Principal: { AWS: `arn:aws:iam::${cloud.account}:user/${name}` },
          Action: 'sts:AssumeRole',
          Condition: { StringEquals: { 'sts:ExternalId': 'partner-7' } },
        },
      };
      const role = await cloud.createRole(`chained-${stage.bucket}`, { trust, policy: policyOf(stage) });
      const inputs = { ...AWS, 'role-to-assume': role, 'role-chaining': 'true', 'role-external-id': 'partner-7' };
      const env = { AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey };
      const run = await stage.run(inputs, job(env)); // the job has a token too, which is not asked for
      expect(run.exitCode).toBe(0);
      expect(cloud.count('AssumeRole')).toBe(1);
      expect(cloud.count('AssumeRoleWithWebIdentity')).toBe(0);
      const without = await stage.run({ ...inputs, 'role-external-id': '' }, job(env));
      expect(without.result.error).toMatchObject({ code: 'ROLE_DENIED', hint: expect.stringContaining('external id') });
    });

    test('nothing at all says what to give', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      const none = { ...AWS, 'aws-access-key-id': '', 'aws-secret-access-key': '' };
      const run = await stage.run(none, noJob({ AWS_EC2_METADATA_DISABLED: 'true' }));
      expect(run.result.error).toMatchObject({
        code: 'CREDENTIALS_INVALID',
        hint: expect.stringContaining('role-to-assume'),
      });
    });

    test('role, session name, duration and audience are handed on', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      await stage.run({ ...AWS, 'role-session-name': 'nightly@site', 'role-duration-seconds': '900' }, job());
      const request = cloud.requests.find(({ operation }) => operation === 'AssumeRoleWithWebIdentity');
      expect(request?.query).toMatchObject({ RoleSessionName: 'nightly@site', DurationSeconds: '900' });
      const other = await stage.run({ ...AWS, audience: 'somebody else' }, job());
      expect(other.result.error.hint).toContain('somebody else');
    });

    test('a token file that is a link in the checkout is refused', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      const file = join(stage.site.workspace, 'token');
      symlinkSync('/etc/hostname', file);
      const none = { ...AWS, 'aws-access-key-id': '', 'aws-secret-access-key': '' };
      const run = await stage.run(
        none,
        noJob({ AWS_WEB_IDENTITY_TOKEN_FILE: file, AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/x' }),
      );
      expect(run.result.error.message).toContain('symbolic link');
      expect(cloud.count()).toBe(0);
    });

    test('goes on without the files of the runner', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      const env = {
        ...job().env,
        GITHUB_OUTPUT: undefined,
        GITHUB_STEP_SUMMARY: undefined,
        GITHUB_EVENT_PATH: undefined,
        GITHUB_RUN_ID: undefined,
        GITHUB_REPOSITORY: undefined,
        RUNNER_TEMP: undefined,
      };
      const run = await stage.run(AWS, { env });
      expect(run.exitCode).toBe(0);
      expect((await stage.keys()).length).toBe(5);
    });
  });

  describe('contradictions are refused before any request', () => {
    const wrong: [string, Record<string, string>, string][] = [
      [
        'a profile beside keys',
        { 'aws-profile': 'x', 'aws-access-key-id': 'AKIAX', 'aws-secret-access-key': 'y' },
        'aws-profile',
      ],
      ['chaining without a role', { 'role-chaining': 'true', 'role-to-assume': '' }, 'role-chaining'],
      ['an external id with OIDC', { 'role-external-id': 'abc' }, 'role-external-id'],
      ['a role that is no ARN', { 'role-to-assume': 'deploy' }, 'role-to-assume'],
      ['a session name with blanks', { 'role-session-name': 'a b' }, 'role-session-name'],
      ['a duration of a minute', { 'role-duration-seconds': '60' }, 'role-duration-seconds'],
      ['an account of eleven digits', { 'allowed-account-ids': '12345678901' }, 'allowed-account-ids'],
      ['policies outside of a probe', { 'show-policies': 'true' }, 'show-policies'],
    ];
    test.each(wrong)('%s', async (_, inputs, name) => {
      const stage = await Stage.withRole(cloud, OWNER);
      const run = await stage.run({ ...AWS, ...inputs }, job());
      expect(run.result.error).toMatchObject({ code: 'INPUT_INVALID', message: expect.stringContaining(name) });
      expect(cloud.count()).toBe(0);
    });
  });

  describe('the account', () => {
    test('that is not allowed is refused before anything is asked of S3', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      const run = await stage.run({ ...AWS, 'allowed-account-ids': '111111111111, 222222222222' }, job());
      expect(run.result).toMatchObject({
        status: 'refused',
        error: { code: 'ACCOUNT_NOT_ALLOWED', message: expect.stringContaining(cloud.account) },
      });
      expect(cloud.requests.map(({ operation }) => operation)).toEqual(['AssumeRoleWithWebIdentity']);
      const allowed = await stage.run({ ...AWS, 'allowed-account-ids': `111111111111\n${cloud.account}` }, job());
      expect(allowed.exitCode).toBe(0);
    });

    test('of keys is asked of STS; without an answer the guard refuses, and nobody else minds', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      const run = await stage.run({ ...AWS, 'allowed-account-ids': '111111111111' }, noJob());
      expect(run.result.error.code).toBe('ACCOUNT_NOT_ALLOWED');
      cloud.faults.add({ operation: 'GetCallerIdentity', times: 2, answer: sts(403, 'AccessDenied', 'no') });
      expect((await stage.run({ ...AWS, 'allowed-account-ids': cloud.account }, noJob())).result.error.code).toBe(
        'ACCOUNT_NOT_ALLOWED',
      );
      const anyone = await stage.run(AWS, noJob());
      expect([anyone.exitCode, anyone.outputs['aws-account-id']]).toEqual([0, undefined]);
      expect(anyone.log.annotations).toMatchObject([
        { kind: 'notice', message: expect.stringContaining('long-lived access keys') },
      ]);
    });

    test('is masked on request, wherever it stands', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      const shown = await stage.run(AWS, job());
      expect(shown.outputs['aws-account-id']).toBe(cloud.account);
      const masked = await stage.run({ ...AWS, 'mask-aws-account-id': 'true' }, { ...job(), secrets: [cloud.account] });
      expect(masked.exitCode).toBe(0);
      expect(masked.log.visible).not.toContain(cloud.account);
      expect(masked.outputs).not.toHaveProperty('aws-account-id');
    });
  });

  describe('a session that ends', () => {
    test('is renewed at three forced expiries in one run, with a new token each time', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      for (let i = 0; i < 60; i++) stage.site.write(`assets/${i}.txt`, `${i}`);
      const issued = cloud.github.issued.length;
      cloud.faults.add({ operation: 'PutObject', times: Infinity, answer: { kind: 'delay', ms: 30 } });
      let expired = 0;
      const timer = setInterval(() => {
        if (expired < 3 && cloud.count('PutObject') > 15 * (expired + 1)) {
          cloud.expireSessions();
          expired++;
        }
      }, 1);
      const run = await stage.run({ ...AWS, concurrency: '4' }, { ...job() });
      clearInterval(timer);
      expect(expired).toBe(3);
      expect(run.exitCode).toBe(0);
      expect((await stage.keys()).length).toBe(65);
      expect(cloud.count('AssumeRoleWithWebIdentity')).toBe(4); // single-flight: one renewal for each expiry
      expect(cloud.github.issued.length - issued).toBe(4);
    }, 20_000);

    test('is renewed before it runs out', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      for (let i = 0; i < 4; i++) stage.site.write(`assets/${i}.txt`, `${i}`);
      cloud.sessionSeconds = 4;
      cloud.faults.add({ operation: 'PutObject', times: Infinity, answer: { kind: 'delay', ms: 600 } });
      const run = await stage.run({ ...AWS, concurrency: '1' }, { ...job() });
      expect(run.exitCode).toBe(0);
      expect(cloud.requests.filter(({ code }) => code === 'ExpiredToken')).toEqual([]);
      expect(cloud.count('AssumeRoleWithWebIdentity')).toBeGreaterThan(1);
    }, 20_000);

    test('with keys that cannot be renewed stops clearly, and deletes nothing', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      await stage.put('stale.html');
      cloud.faults.add({
        operation: 'PutObject',
        after: 2,
        times: Infinity,
        answer: sts(400, 'ExpiredToken', 'The provided token has expired.'),
      });
      const run = await stage.run({ ...AWS, delete: 'true', concurrency: '1' }, noJob());
      expect(run.result.error).toMatchObject({ code: 'CREDENTIALS_INVALID', hint: expect.stringContaining('expired') });
      expect(cloud.count('PutObject')).toBe(3);
      expect(await stage.keys()).toContain('stale.html');
    });

    test('that S3 does not know yet gets five seconds', async () => {
      const stage = await Stage.withRole(cloud, OWNER);
      cloud.faults.add({
        operation: 'ListObjectsV2',
        times: 3,
        answer: sts(403, 'InvalidAccessKeyId', 'The AWS Access Key Id you provided does not exist in our records.'),
      });
      expect((await stage.run(AWS, job())).exitCode).toBe(0);
      cloud.faults.add({
        operation: 'ListObjectsV2',
        times: Infinity,
        answer: sts(403, 'InvalidAccessKeyId', 'The AWS Access Key Id you provided does not exist in our records.'),
      });
      const never = await stage.run(AWS, job());
      expect(never.result.error.code).toBe('CREDENTIALS_INVALID');
      expect(never.durationMs).toBeLessThan(9_000);
    }, 20_000);
  });

  describe('in a store that rotates its keys', () => {
    const told: [string, string, string][] = [
      ['InvalidAccessKeyId', 'does not know this access key', 'CREDENTIALS_INVALID'],
      ['SignatureDoesNotMatch', 'not the one that belongs', 'CREDENTIALS_INVALID'],
      ['ExpiredToken', 'has expired', 'CREDENTIALS_INVALID'],
      ['RequestTimeTooSkewed', 'clock', 'CREDENTIALS_INVALID'],
    ];
    test.each(told)('%s says what to do, and what to forward to its support', async (code, hint, expected) => {
      const stage = await Stage.withKeys(cloud, OWNER);
      cloud.faults.add({ operation: 'ListObjectsV2', times: Infinity, answer: sts(403, code, `${code} it is.`) });
      const run = await stage.run({ prefix: 'docs' });
      expect(run.result.error).toMatchObject({ code: expected, hint: expect.stringContaining(hint) });
      const forwarded = run.log.visible.slice(run.log.visible.indexOf('For the support of the store:'));
      for (const part of [
        'acme/site',
        `${stage.bucket}/docs/`,
        cloud.s3Endpoint,
        /s3-deploy \d+\.\d+\.\d+/,
        code,
        /request \w+/,
      ]) {
        expect(forwarded).toMatch(part);
      }
      expect(run.summary).toContain('For the support of the store');
    });

    test('a clock that is off by hours is corrected, as the SDK does', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      cloud.time = 3 * 3_600_000;
      expect((await stage.run()).exitCode).toBe(0);
    });
  });

  test('shows the policies that a new set-up needs, before there is a role', async () => {
    const stage = await Stage.withKeys(cloud, OWNER);
    const none = {
      ...AWS,
      'aws-access-key-id': '',
      'aws-secret-access-key': '',
      mode: 'probe',
      'show-policies': 'true',
      prefix: 'docs',
    };
    const run = await stage.run(none, job({ AWS_EC2_METADATA_DISABLED: 'true' }));
    const policies = [...run.log.visible.matchAll(/^\{$[\s\S]*?^\}$/gm)].map(([text]) => JSON.parse(text));
    expect(policies).toHaveLength(3);
    const [permission, trust] = policies;
    const role = await cloud.createRole('from-show', {
      trust: JSON.parse(JSON.stringify(trust).replace('ACCOUNT_ID', cloud.account)),
      policy: permission,
    });
    const deployed = await stage.run(
      { ...none, mode: 'deploy', 'show-policies': 'false', 'role-to-assume': role },
      job(),
    );
    expect(deployed.exitCode).toBe(0);
  });

  test('narrows a session for a prefix too long for STS, in any script', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    for (const prefix of ['d'.repeat(900), '資料'.repeat(90), `${'x/'.repeat(200)}*?$`]) {
      const run = await stage.run({ ...AWS, prefix }, job());
      expect(run.exitCode).toBe(0);
      const request = cloud.requests.findLast(({ operation }) => operation === 'AssumeRoleWithWebIdentity');
      expect(request?.query.Policy?.length).toBeLessThanOrEqual(2048);
      expect(request?.query.Policy).toMatch(/^[\x20-\x7e]*$/);
    }
  });
});
