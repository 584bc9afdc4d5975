import { describe, expect, test } from '@jest/globals';
import {
  distributionArn,
  kmsKeyOf,
  neededActions,
  partitionOf,
  permissionPolicy,
  REMOVAL,
  resourceFor,
  sessionPolicy,
} from '../../src/core/policy.ts';

const docs = { bucket: 'my-site', prefix: 'docs/' } as const;

test.each([
  ['deploy', 'off', false, ['s3:ListBucket', 's3:GetObject', 's3:PutObject']],
  ['deploy', 'all', false, ['s3:ListBucket', 's3:GetObject', 's3:PutObject', 's3:DeleteObject']],
  ['deploy', 'owned', false, ['s3:ListBucket', 's3:GetObject', 's3:PutObject', 's3:DeleteObject']],
  ['probe', 'all', false, ['s3:ListBucket', 's3:GetObject', 's3:PutObject', 's3:DeleteObject']],
  ['probe', 'owned', false, ['s3:ListBucket', 's3:GetObject', 's3:PutObject', 's3:DeleteObject']],
  ['probe', 'off', false, ['s3:ListBucket', 's3:GetObject', 's3:PutObject']],
  ['probe', 'all', true, ['s3:ListBucket', 's3:GetObject']], // what a plan would need
  ['plan', 'all', true, ['s3:ListBucket', 's3:GetObject']],
  ['plan', 'owned', true, ['s3:ListBucket', 's3:GetObject']],
  ['plan', 'off', true, ['s3:ListBucket', 's3:GetObject']],
  ['remove', 'off', false, ['s3:ListBucket', 's3:DeleteObject']],
  ['remove', 'all', false, ['s3:ListBucket', 's3:DeleteObject']],
  ['remove', 'off', true, ['s3:ListBucket']],
] as const)('mode %s with delete %s and dry-run %s needs %j', (mode, deletes, dryRun, actions) => {
  expect(neededActions({ mode, delete: deletes, dryRun })).toEqual(actions);
});

describe('the least policy', () => {
  test('lists below the prefix alone, and writes below it alone', () => {
    const actions = neededActions({ mode: 'deploy', delete: 'all', dryRun: false });
    expect(permissionPolicy(actions, docs, 'aws')).toEqual({
      Version: '2012-10-17',
      Statement: [
        {
          Sid: 'ListSite',
          Effect: 'Allow',
          Action: ['s3:ListBucket'],
          Resource: 'arn:aws:s3:::my-site',
          Condition: { StringLike: { 's3:prefix': 'docs/*' } },
        },
        {
          Sid: 'DeploySite',
          Effect: 'Allow',
          Action: ['s3:GetObject', 's3:PutObject', 's3:AbortMultipartUpload', 's3:DeleteObject'],
          Resource: 'arn:aws:s3:::my-site/docs/*',
        },
      ],
    });
  });

  test('of a whole bucket has no condition', () => {
    const [list, objects] = permissionPolicy(
      ['s3:ListBucket', 's3:GetObject'],
      { bucket: 'b', prefix: '' },
      'aws',
    ).Statement;
    expect(list).not.toHaveProperty('Condition');
    expect(objects?.Resource).toBe('arn:aws:s3:::b/*');
  });

  test.each([
    [['s3:ListBucket'], ['ListSite']],
    [['s3:DeleteObject'], ['DeploySite']],
    [[], []],
  ] as const)('for %j has the statements %j and no empty one', (actions, sids) => {
    expect(permissionPolicy(actions, docs, 'aws').Statement.map(({ Sid }) => Sid)).toEqual(sids);
  });

  test('that writes nothing aborts nothing', () => {
    expect(permissionPolicy(['s3:GetObject', 's3:DeleteObject'], docs, 'aws').Statement[0]?.Action).toEqual([
      's3:GetObject',
      's3:DeleteObject',
    ]);
  });

  test('leaves the actions that it was given as they were', () => {
    const actions = neededActions({ mode: 'deploy', delete: 'all', dryRun: false });
    const before = [...actions];
    permissionPolicy(actions, docs, 'aws');
    expect(actions).toEqual(before);
  });
});

describe('a prefix means itself in a policy, whatever IAM reads in it', () => {
  test.each([
    ['pr-*/', `pr-\${*}/*`],
    ['a?/', `a\${?}/*`],
    ['$a/', `\${$}a/*`],
    [`\${aws:username}/`, `\${$}{aws:username}/*`],
    ['a b/ü/', 'a b/ü/*'],
    ['[a]/', '[a]/*'],
  ] as const)('%s', (prefix, pattern) => {
    const [list, objects] = permissionPolicy(
      ['s3:ListBucket', 's3:PutObject'],
      { bucket: 'b', prefix },
      'aws',
    ).Statement;
    expect(list?.Condition).toEqual({ StringLike: { 's3:prefix': pattern } });
    expect(objects?.Resource).toBe(`arn:aws:s3:::b/${pattern}`);
    expect(resourceFor('s3:PutObject', { bucket: 'b', prefix }, 'aws')).toBe(`arn:aws:s3:::b/${pattern}`);
  });
});

describe('the policy that narrows a session', () => {
  const actions = neededActions({ mode: 'deploy', delete: 'all', dryRun: false });
  /** What a pattern of a policy matches: `*` anything, and what stands in `${…}` itself. */
  const covers = (pattern: string, key: string) => {
    const literal = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
    const parts = pattern.split(/(?<!\$\{)\*(?!\})/).map((part) => literal(part.replace(/\$\{([*?$])\}/g, '$1')));
    return new RegExp(`^${parts.join('.*')}$`, 's').test(key);
  };

  test('is the least one, where STS takes it', () => {
    const policy = sessionPolicy(actions, docs, 'aws');
    expect(JSON.parse(policy)).toEqual(permissionPolicy(actions, docs, 'aws'));
  });

  test.each([
    ['one long name', `${'x'.repeat(960)}/`],
    ['letters that are long in JSON', `${'ü'.repeat(480)}/`],
    ['characters of two units, one of which a cut would leave', `${'😀'.repeat(240)}/`],
    ['the same, off by one', `a${'😀'.repeat(239)}/`],
    ['wildcards', `${'*?$'.repeat(320)}/`],
    ['a word that is no wildcard', 'a b/c/'],
  ] as const)('has 2,048 characters at most, all of them ASCII, and covers every key below %s', (_what, name) => {
    const prefix = name as `${string}/`;
    const text = sessionPolicy(actions, { bucket: 'my-site', prefix }, 'aws');
    expect(text).toMatch(/^[\x20-\x7e]{1,2048}$/);
    const [list, objects] = JSON.parse(text).Statement;
    expect(objects.Resource.isWellFormed()).toBe(true);
    expect(covers(list.Condition.StringLike['s3:prefix'], prefix)).toBe(true);
    expect(covers(objects.Resource, `arn:aws:s3:::my-site/${prefix}a/b.html`)).toBe(true);
    expect(covers(objects.Resource, 'arn:aws:s3:::my-site/other.html')).toBe(false);
    expect(covers(objects.Resource, 'arn:aws:s3:::other/a.html')).toBe(false);
  });
});

test.each([
  ['s3:ListBucket', 'aws-cn', 'arn:aws-cn:s3:::my-site'],
  ['s3:GetObject', 'aws-cn', 'arn:aws-cn:s3:::my-site/docs/*'],
  ['s3:DeleteObject', 'aws-us-gov', 'arn:aws-us-gov:s3:::my-site/docs/*'],
] as const)('%s in %s is granted on %s', (action, partition, resource) => {
  expect(resourceFor(action, docs, partition)).toBe(resource);
  expect(permissionPolicy([action], docs, partition).Statement[0]?.Resource).toBe(resource);
});

test.each([
  [undefined, 'aws'],
  ['eu-central-1', 'aws'],
  ['us-east-1', 'aws'],
  ['auto', 'aws'],
  ['cn-north-1', 'aws-cn'],
  ['cn-northwest-1', 'aws-cn'],
  ['us-gov-west-1', 'aws-us-gov'],
  ['arn:aws:iam::123456789012:role/cn-north-1', 'aws'],
  ['arn:aws-cn:iam::123456789012:role/x', 'aws-cn'],
  ['arn:aws-us-gov:iam::123456789012:role/x', 'aws-us-gov'],
])('the partition of %s is %s', (regionOrArn, partition) => {
  expect(partitionOf(regionOrArn)).toBe(partition);
});

describe('the KMS key of a policy', () => {
  const place = { partition: 'aws', region: 'eu-central-1', account: '123456789012' };
  test.each([
    ['an id', 'k-1', 'arn:aws:kms:eu-central-1:123456789012:key/k-1'],
    ['an ARN', 'arn:aws:kms:us-east-1:1:key/k', 'arn:aws:kms:us-east-1:1:key/k'],
    ['a path', 'key/k-1', 'arn:aws:kms:eu-central-1:123456789012:key/k-1'],
  ])('from %s', (_form, id, arn) => {
    expect(kmsKeyOf(id, place)).toEqual({ arn });
  });

  test.each(['alias/site', 'arn:aws:kms:eu-central-1:123456789012:alias/site'])('from %s is a condition', (id) => {
    expect(kmsKeyOf(id, place)).toEqual({
      arn: 'arn:aws:kms:eu-central-1:123456789012:key/*',
      condition: { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': 'alias/site' } },
    });
  });

  test('is any in a place that is not known', () => {
    expect(kmsKeyOf('k', { partition: 'aws-cn', region: undefined, account: undefined }).arn).toBe(
      'arn:aws-cn:kms:*:*:key/k',
    );
  });

  test('has a statement of its own', () => {
    const policy = permissionPolicy(['s3:PutObject', 'kms:GenerateDataKey', 'kms:Decrypt'], docs, 'aws', {
      key: { arn: 'arn:key' },
    });
    expect(policy.Statement.map(({ Sid, Action, Resource }) => [Sid, Action, Resource])).toEqual([
      ['DeploySite', ['s3:PutObject', 's3:AbortMultipartUpload'], 'arn:aws:s3:::my-site/docs/*'],
      ['EncryptSite', ['kms:GenerateDataKey', 'kms:Decrypt'], 'arn:key'],
    ]);
  });
});

describe('the distribution of a policy', () => {
  const invalidating = ['cloudfront:CreateInvalidation', 'cloudfront:GetInvalidation'] as const;
  test.each([
    [
      'of an account',
      { partition: 'aws', account: '123456789012' },
      'arn:aws:cloudfront::123456789012:distribution/E1',
    ],
    ['of any account', { partition: 'aws', account: undefined }, 'arn:aws:cloudfront::*:distribution/E1'],
    ['in China', { partition: 'aws-cn', account: '1' }, 'arn:aws-cn:cloudfront::1:distribution/E1'],
  ])('%s', (_, place, arn) => {
    expect(distributionArn('E1', place)).toBe(arn);
  });

  test('has a statement of its own, and nothing else in it', () => {
    const distribution = distributionArn('E1', { partition: 'aws', account: '1' });
    const policy = permissionPolicy(['s3:DeleteObject', ...invalidating], docs, 'aws', { distribution });
    expect(policy.Statement.map(({ Sid, Action, Resource }) => [Sid, Action, Resource])).toEqual([
      ['DeploySite', ['s3:DeleteObject'], 'arn:aws:s3:::my-site/docs/*'],
      ['InvalidateSite', invalidating, distribution],
    ]);
    expect(resourceFor('cloudfront:GetInvalidation', docs, 'aws', { distribution })).toBe(distribution);
  });

  test('leaves room for the prefix, and never makes a session policy go on for ever', () => {
    const distribution = distributionArn('E'.padEnd(32, 'X'), { partition: 'aws-us-gov', account: '123456789012' });
    const prefix = `${'ü'.repeat(480)}/` as const;
    const key = { arn: `arn:aws:kms:eu-central-1:123456789012:key/${'k'.repeat(36)}` };
    const all = neededActions({
      mode: 'deploy',
      delete: 'all',
      storage: { acl: 'private', tags: [['a', 'b']], kmsKeyId: 'k' },
      distribution: 'E1',
      cloudfrontWait: true,
    });
    const scope = { key, distribution, looks: true, probeObjects: REMOVAL };
    const text = sessionPolicy(all, { bucket: 'my-site', prefix }, 'aws', scope);
    expect(text.length).toBeLessThanOrEqual(2048);
    expect(JSON.parse(text).Statement.flatMap(({ Action }: { Action: string[] }) => Action)).toEqual(
      expect.arrayContaining(all),
    );
    const long = { ...scope, key: { arn: `arn:aws:kms:eu-central-1:123456789012:key/${'k'.repeat(2048)}` } };
    expect(sessionPolicy(all, docs, 'aws', long).length).toBeGreaterThan(2048);
  });
});

test('a session of a probe may look around and take back its own objects', () => {
  const text = sessionPolicy(['s3:PutObject'], docs, 'aws', { looks: true, probeObjects: REMOVAL });
  const [, own, looks] = JSON.parse(text).Statement;
  expect(own).toMatchObject({ Action: REMOVAL, Resource: 'arn:aws:s3:::my-site/docs/.s3-deploy-probe/*' });
  expect(looks.Action.every((action: string) => /^s3:(List|GetBucket)/.test(action))).toBe(true);
});
