import { describe, expect, test } from '@jest/globals';
import {
  describeClaims,
  neededActions,
  partitionOf,
  permissionPolicy,
  resourceFor,
  trustPolicy,
} from '../../src/core/policy.ts';

const docs = { bucket: 'my-site', prefix: 'docs/' } as const;

test.each([
  ['deploy', false, ['s3:ListBucket', 's3:GetObject', 's3:PutObject']],
  ['deploy', true, ['s3:ListBucket', 's3:GetObject', 's3:PutObject', 's3:DeleteObject']],
  ['probe', true, ['s3:ListBucket', 's3:GetObject', 's3:PutObject', 's3:DeleteObject']],
  ['probe', false, ['s3:ListBucket', 's3:GetObject', 's3:PutObject']],
  ['plan', true, ['s3:ListBucket', 's3:GetObject']],
  ['plan', false, ['s3:ListBucket', 's3:GetObject']],
] as const)('mode %s with delete %s needs %j', (mode, deletes, actions) => {
  expect(neededActions({ mode, delete: deletes })).toEqual(actions);
});

describe('the least policy', () => {
  test('lists below the prefix alone, and writes below it alone', () => {
    const actions = neededActions({ mode: 'deploy', delete: true });
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
    const actions = neededActions({ mode: 'deploy', delete: true });
    const before = [...actions];
    permissionPolicy(actions, docs, 'aws');
    expect(actions).toEqual(before);
  });
});

describe('a prefix means itself in a policy, whatever IAM reads in it', () => {
  test.each([
    ['pr-*/', 'pr-${*}/*'],
    ['a?/', 'a${?}/*'],
    ['$a/', '${$}a/*'],
    ['${aws:username}/', '${$}{aws:username}/*'],
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

const CLAIMS = {
  iss: 'https://token.actions.githubusercontent.com',
  aud: 'sts.amazonaws.com',
  sub: 'repo:acme@1/web@2:environment:prod',
  repository: 'acme/web',
  ref: 'refs/heads/main',
  jti: 'not-telling',
};

test('claims are told in the order a person looks for them, and only those that matter', () => {
  expect(describeClaims({ ...CLAIMS, repository_id: 42 })).toEqual([
    'iss: https://token.actions.githubusercontent.com',
    'aud: sts.amazonaws.com',
    'sub: repo:acme@1/web@2:environment:prod',
    'repository: acme/web',
    'repository_id: 42',
    'ref: refs/heads/main',
  ]);
  expect(describeClaims({})).toEqual([]);
});

describe('the trust policy that would match', () => {
  const ISS = 'token.actions.githubusercontent.com';
  test.each([
    ['arn:aws:iam::123456789012:role/deploy', `arn:aws:iam::123456789012:oidc-provider/${ISS}`],
    ['arn:aws-cn:iam::123456789012:role/a/b', `arn:aws-cn:iam::123456789012:oidc-provider/${ISS}`],
    ['arn:aws:iam:::role/deploy', `arn:aws:iam:::oidc-provider/${ISS}`],
  ])('for %s names the provider of its account', (role, provider) => {
    expect(trustPolicy(CLAIMS, role)).toMatchObject({ Statement: [{ Principal: { Federated: provider } }] });
  });

  test('takes subject and audience from the token, letter for letter', () => {
    expect(trustPolicy(CLAIMS, 'arn:aws:iam::123456789012:role/deploy')).toEqual({
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: { Federated: `arn:aws:iam::123456789012:oidc-provider/${ISS}` },
          Action: 'sts:AssumeRoleWithWebIdentity',
          Condition: {
            StringEquals: { [`${ISS}:aud`]: 'sts.amazonaws.com', [`${ISS}:sub`]: 'repo:acme@1/web@2:environment:prod' },
          },
        },
      ],
    });
  });

  test('of an enterprise issuer carries its path', () => {
    const claims = { ...CLAIMS, iss: `https://${ISS}/acme` };
    expect(JSON.stringify(trustPolicy(claims, 'arn:aws:iam::1:role/x'))).toContain(`oidc-provider/${ISS}/acme"`);
    expect(JSON.stringify(trustPolicy(claims, 'arn:aws:iam::1:role/x'))).toContain(`"${ISS}/acme:sub"`);
  });

  test('of something that is no ARN says what is missing', () => {
    expect(JSON.stringify(trustPolicy(CLAIMS, 'deploy'))).toContain('arn:aws:iam::ACCOUNT:oidc-provider/');
  });
});
