import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { neededActions, permissionPolicy } from '../src/core/policy.ts';
import { trustPolicy } from '../src/core/trust.ts';
import { type LoopbackCloud, startCloud } from './support/cloud/cloud.ts';
import { roleInCloudFormation } from './support/cloudformation.ts';
import { OWNER, Stage } from './support/deploys.ts';
import { roleInTerraform } from './support/terraform.ts';

const ROOT = join(import.meta.dirname, '..');
const ACCOUNT = '123456789012';
const ISSUER = 'https://token.actions.githubusercontent.com';
const SITE = ['--bucket', 'my-site', '--repo', 'acme/site'];
// Text that means something else in JSON, HCL, CloudFormation or a policy.
// biome-ignore-start lint/suspicious/noTemplateCurlyInString: no template of this language is meant
const ODD_PREFIX = 'a${b}%{c}/$${d}*';
const BESIDE_ODD_PREFIX = 'a${b}%{c}/$${d}x';
const ODD_BRANCH = 'x"y${z}%{if}*ACCOUNT_ID';
const BESIDE_ODD_BRANCH = 'x"y${z}%{if}xACCOUNT_ID';
const ODD_AUDIENCE = 'a${b}%{c}"\\';
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: as above

interface Printed {
  exitCode: number;
  stdout: string;
  stderr: string;
}

function run(command: string, args: string[]): Promise<Printed> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd: ROOT }, (error, stdout, stderr) => {
      resolve({ exitCode: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

const policy = (...args: string[]) => run(process.execPath, ['scripts/policy.ts', ...args]);

/** The two documents that the script prints as JSON. */
async function documents(...args: string[]) {
  const { exitCode, stdout, stderr } = await policy(...args);
  expect([exitCode, stderr]).toEqual([0, '']);
  const { 'trust-policy': trust, 'permission-policy': permissions, ...others } = JSON.parse(stdout);
  expect(others).toEqual({});
  return { trust, permissions };
}

describe('npm run policy prints as JSON', () => {
  test('what the core makes of the same options, and nothing else', async () => {
    const { exitCode, stdout } = await run('npm', ['run', '-s', 'policy', '--', ...SITE, '--delete']);
    expect(exitCode).toBe(0);
    const claims = { iss: ISSUER, aud: 'sts.amazonaws.com', sub: 'repo:acme/site:ref:refs/heads/main' };
    expect(JSON.parse(stdout)).toEqual({
      'trust-policy': trustPolicy(claims, undefined),
      'permission-policy': permissionPolicy(
        neededActions({ mode: 'deploy', dryRun: false, delete: 'all' }),
        { bucket: 'my-site', prefix: '' },
        'aws',
      ),
    });
  });

  const subjects: [string[], string][] = [
    [['--branch', 'release/1'], 'repo:acme/site:ref:refs/heads/release/1'],
    [['--environment', 'prod'], 'repo:acme/site:environment:prod'],
    [['--pull-request'], 'repo:acme/site:pull_request'],
    [['--repo', 'acme@1/site@2'], 'repo:acme@1/site@2:ref:refs/heads/main'],
  ];
  test.each(subjects)('with %j the subject %s', async (args, sub) => {
    const { trust } = await documents(...SITE, ...args);
    expect(trust.Statement[0].Condition.StringEquals['token.actions.githubusercontent.com:sub']).toBe(sub);
  });

  test('the other options where they belong', async () => {
    const china = await documents(
      ...SITE,
      ...['--account', ACCOUNT, '--region', 'cn-north-1', '--audience', 'sts.amazonaws.com.cn'],
      ...['--repository-id', '42', '--prefix', 'docs', '--plan', '--delete'],
    );
    expect(china.trust.Statement[0]).toMatchObject({
      Principal: { Federated: `arn:aws-cn:iam::${ACCOUNT}:oidc-provider/token.actions.githubusercontent.com` },
      Condition: {
        StringEquals: {
          'token.actions.githubusercontent.com:aud': 'sts.amazonaws.com.cn',
          'token.actions.githubusercontent.com:repository_id': '42',
        },
        StringLike: { 'token.actions.githubusercontent.com:sub': 'repo:acme/*:ref:refs/heads/main' },
      },
    });
    expect(china.permissions.Statement).toEqual([
      {
        Sid: 'ListSite',
        Effect: 'Allow',
        Action: ['s3:ListBucket'],
        Resource: 'arn:aws-cn:s3:::my-site',
        Condition: { StringLike: { 's3:prefix': 'docs/*' } },
      },
      { Sid: 'DeploySite', Effect: 'Allow', Action: ['s3:GetObject'], Resource: 'arn:aws-cn:s3:::my-site/docs/*' },
    ]);
  });
});

test('README.md shows commands that work', async () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const commands = [...readme.matchAll(/^ *npm run -s policy -- ([^>\n]*)/gm)].map(([, args = '']) => args.trim());
  expect(commands.length).toBeGreaterThanOrEqual(3);
  for (const args of commands) expect(await policy(...args.split(' '))).toMatchObject({ exitCode: 0, stderr: '' });
});

describe('npm run policy refuses', () => {
  const wrong: [string[], string][] = [
    [[], '--bucket and --repo are needed.'],
    [['--bucket', 'my-site'], '--bucket and --repo are needed.'],
    [['--bucket', 'my-site', '--repo', 'site'], "--repo: 'site' is malformed."],
    [['--bucket', 'arn:aws:s3:::my-site', '--repo', 'acme/site'], 'is not a bucket name'],
    [[...SITE, '--prefix', 'a//b'], 'holds an empty segment'],
    [[...SITE, '--account', '1234'], "--account: '1234' is malformed."],
    [[...SITE, '--repository-id', 'site'], "--repository-id: 'site' is malformed."],
    [[...SITE, '--role', 'a b\n::error::x'], "--role: 'a b\\x0a::error::x' is malformed."],
    [[...SITE, '--audience', ''], "--audience: '' is malformed."],
    [[...SITE, '--format', 'yaml'], "--format: 'yaml' is none of json, cloudformation, terraform."],
    [[...SITE, '--format', 'toString'], "--format: 'toString' is none of"],
    [[...SITE, '--branch', 'main', '--environment', 'prod'], 'Give one of --branch, --environment and --pull-request'],
    [[...SITE, '--pull-request', '--branch', 'main'], 'Give one of --branch, --environment and --pull-request'],
    [[...SITE, '--distribution', 'E1, E2'], "--distribution: 'E1, E2' is malformed."],
    [[...SITE, '--wait'], '--wait: is given without --distribution.'],
    [[...SITE, '--brunch', 'main'], "Unknown option '--brunch'"],
    [[...SITE, 'main'], "Unexpected argument 'main'"],
  ];
  test.each(wrong)('%j', async (args, message) => {
    const { exitCode, stdout, stderr } = await policy(...args);
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/^ +at /m);
  });

  test('nothing of --help, which tells every option', async () => {
    const { exitCode, stdout } = await policy('--help');
    expect(exitCode).toBe(0);
    for (const option of ['bucket', 'plan', 'distribution', 'wait', 'pull-request', 'format'])
      expect(stdout).toContain(`--${option} `);
  });
});

describe('a role of exactly what npm run policy prints', () => {
  let cloud: LoopbackCloud;
  beforeAll(async () => {
    cloud = await startCloud({ hosts: 'aws', account: ACCOUNT });
  });
  afterAll(() => cloud.close());

  let roles = 0;
  /** A stage with a bucket of its own, whose runs assume a role of the printed documents. */
  async function stageFor(args: string[], inputs: Record<string, string> = {}) {
    const stage = await Stage.withRole(cloud, OWNER);
    const printed = await documents('--bucket', stage.bucket, '--repo', 'acme/site', '--account', ACCOUNT, ...args);
    const role = await cloud.createRole(`printed-${++roles}`, { trust: printed.trust, policy: printed.permissions });
    const run = (claims: Record<string, unknown> = {}, more: Record<string, string> = {}) =>
      stage.run(
        {
          endpoint: '',
          'sts-endpoint': '',
          'inline-session-policy': 'none',
          ...inputs,
          ...more,
          'role-to-assume': role,
        },
        { env: { ...cloud.awsEnvironment(), ...cloud.github.jobEnvironment(claims) } },
      );
    /** How STS answers a job of these claims: the run itself would ask three times, and take its time. */
    const stsAnswer = async (claims: Record<string, unknown>) => {
      const form = {
        Action: 'AssumeRoleWithWebIdentity',
        Version: '2011-06-15',
        RoleArn: role,
        RoleSessionName: 'job',
      };
      const body = new URLSearchParams({ ...form, WebIdentityToken: cloud.github.token(claims) });
      return (await fetch(cloud.stsEndpoint, { method: 'POST', body })).status;
    };
    return { stage, run, stsAnswer };
  }

  const jobs: [string, string[], Record<string, unknown>, Record<string, unknown>][] = [
    ['a branch', ['--branch', 'next'], { ref: 'refs/heads/next' }, { ref: 'refs/heads/main' }],
    [
      'an odd branch',
      ['--branch', ODD_BRANCH],
      { ref: `refs/heads/${ODD_BRANCH}` },
      { ref: `refs/heads/${BESIDE_ODD_BRANCH}` },
    ],
    ['an environment', ['--environment', 'prod'], { environment: 'prod' }, {}],
    ['pull requests', ['--pull-request'], { event_name: 'pull_request' }, {}],
    [
      'a repository whose subject has ids',
      ['--repo', 'acme@1/site@2'],
      { sub: 'repo:acme@1/site@2:ref:refs/heads/main' },
      { sub: 'repo:acme@1/site@3:ref:refs/heads/main' },
    ],
    [
      'a repository by its id, under any name',
      ['--repository-id', '90210'],
      { repository: 'acme/renamed' },
      { repository_id: '90211' },
    ],
  ];
  test.each(jobs)('lets jobs of %s deploy, and no others', async (_, args, right, wrong) => {
    const { stage, run, stsAnswer } = await stageFor(args);
    expect([await stsAnswer(wrong), await stsAnswer(right)]).toEqual([403, 200]);
    const deployed = await run(right);
    expect(deployed.log.visible).toContain('Deployed: 5 new');
    expect(await stage.keys()).toHaveLength(5);
  });

  test('reaches an odd prefix and nothing beside it, and deletes there', async () => {
    const prefix = ODD_PREFIX;
    const { stage, run } = await stageFor(['--prefix', prefix, '--delete'], { prefix, delete: 'true' });
    await stage.put(`${prefix}/stale.html`);
    expect((await run()).log.visible).toContain('Deployed: 5 new, 0 changed, 1 deleted');
    const beside = await run({}, { prefix: BESIDE_ODD_PREFIX });
    expect(beside.result.error).toMatchObject({ code: 'PERMISSION_DENIED' });
  });

  test('with --distribution lets a deploy invalidate that one, and look at it', async () => {
    const site = await Stage.withRole(cloud, OWNER);
    const { id } = cloud.createDistribution(site.bucket);
    const other = cloud.createDistribution(site.bucket);
    const { run } = await stageFor(['--distribution', id, '--wait'], { 'cloudfront-wait': 'true' });
    expect((await run({}, { 'cloudfront-distribution-id': id })).outputs['invalidation-id']).toMatch(/^I/);
    const denied = await run({}, { 'cloudfront-distribution-id': other.id });
    expect(denied.outputs['missing-permissions']).toBe('cloudfront:CreateInvalidation,cloudfront:GetInvalidation');
  });

  test('with --plan lets a plan through, and no deploy', async () => {
    const { stage, run } = await stageFor(['--plan']);
    expect((await run({}, { mode: 'plan' })).outputs).toMatchObject({ changed: 'true', 'uploaded-count': '5' });
    expect((await run()).outputs).toMatchObject({ 'missing-permissions': 's3:PutObject' });
    expect(await stage.keys()).toEqual([]);
  });
});

describe.each([
  ['plain', [] as string[]],
  ['odd', ['--prefix', ODD_PREFIX, '--branch', ODD_BRANCH, '--account', ACCOUNT]],
  ['CloudFront', ['--distribution', 'E2QWRUHAPOMQZL', '--wait']],
  ['pinned', ['--repository-id', '42', '--role', 'site+deploy', '--audience', ODD_AUDIENCE]],
])('npm run policy, with %s options,', (_, args) => {
  /** What the JSON says, with the account filled in. */
  const expected = async () =>
    JSON.parse(
      JSON.stringify(await documents(...SITE, ...args)).replace(/(?<=(iam|cloudfront)::)ACCOUNT_ID(?=:)/g, ACCOUNT),
    );
  const name = args.includes('--role') ? 'site+deploy' : 'deploy-site';
  const audience = args.includes('--audience') ? ODD_AUDIENCE : 'sts.amazonaws.com';

  test('prints a CloudFormation template of the same role, with and without the provider', async () => {
    const { exitCode, stdout, stderr } = await policy(...SITE, ...args, '--format', 'cloudformation');
    expect([exitCode, stderr]).toEqual([0, '']);
    const role = { name, ...(await expected()) };
    const provider = { url: ISSUER, audiences: [audience] };
    expect(roleInCloudFormation(stdout, ACCOUNT)).toEqual({ role, provider });
    expect(roleInCloudFormation(stdout, ACCOUNT, { CreateProvider: 'false' })).toEqual({ role });
  });

  test('prints Terraform of the same role', async () => {
    const { exitCode, stdout, stderr } = await policy(...SITE, ...args, '--format', 'terraform');
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(await roleInTerraform(stdout, ACCOUNT)).toEqual({
      role: { name, ...(await expected()) },
      provider: { url: ISSUER, audiences: [audience] },
    });
  });
});
