import { describe, expect, test } from '@jest/globals';
import type { ServiceFailure } from '../../src/core/explain.ts';
import {
  commonMisses,
  describeClaims,
  roleProblemOf,
  subjectOf,
  trustPolicy,
  trustRemedy,
} from '../../src/core/trust.ts';

const ISS = 'token.actions.githubusercontent.com';
const ROLE = 'arn:aws:iam::123456789012:role/deploy';
const CLAIMS = {
  iss: `https://${ISS}`,
  aud: 'sts.amazonaws.com',
  sub: 'repo:acme@1/web@2:environment:prod',
  repository: 'acme/web',
  repository_id: 42,
  ref: 'refs/heads/main',
  jti: 'not-telling',
};

describe('claims are told', () => {
  test('in the order a person looks for them, and only those that matter', () => {
    expect(describeClaims(CLAIMS)).toEqual([
      `iss: https://${ISS}`,
      'aud: sts.amazonaws.com',
      'sub: repo:acme@1/web@2:environment:prod',
      'repository: acme/web',
      'repository_id: 42',
      'ref: refs/heads/main',
    ]);
    expect(describeClaims({})).toEqual([]);
  });

  test('with the time that the token lives', () => {
    expect(describeClaims({ iat: 1000, exp: 1300 })).toEqual(['lifetime: 300 s']);
    expect(describeClaims({ iat: 'x', exp: 1300 })).toEqual([]);
  });

  test('harmlessly, whatever a branch is called', () => {
    expect(describeClaims({ ref: 'refs/heads/##[stop-commands]x\n::y::' })).toEqual([
      'ref: refs/heads/##\\[stop-commands]x\\x0a::y::',
    ]);
  });
});

test.each([
  ['repo:acme/web:ref:refs/heads/main', 'branch', false],
  ['repo:acme/web:ref:refs/heads/a:b', 'branch', false],
  ['repo:acme/web:ref:refs/tags/v1', 'tag', false],
  ['repo:acme/web:environment:prod', 'environment', false],
  ['repo:acme/web:environment:ref:refs/heads/main', 'environment', false],
  ['repo:acme/web:pull_request', 'pull request', false],
  ['repo:acme@1/web@2:ref:refs/heads/main', 'branch', true],
  ['repo:acme@1/web@2:pull_request', 'pull request', true],
  ['repo:acme@x/web@2:pull_request', 'pull request', false],
  ['repository_id:42:ref:refs/heads/main', 'custom', false],
  ['repo:acme/web:job_workflow_ref:x', 'custom', false],
  ['repo:acme/web:ref:refs/heads/', 'custom', false],
  ['', 'custom', false],
])("the subject '%s' is of the form %s, immutable: %s", (sub, form, immutable) => {
  expect(subjectOf(sub)).toEqual({ form, immutable });
});

test.each([
  ['repo:acme/web:ref:refs/heads/main', 'names the branch', false],
  ['repo:acme/web:ref:refs/tags/v1', 'names the tag', false],
  ['repo:acme@1/web@2:environment:prod', 'has an environment', true],
  ['repo:acme/web:pull_request', 'Jobs of a pull request', false],
  ['x', 'custom template', false],
])('why policies miss the subject %s', (sub, why, ids) => {
  const misses = commonMisses(sub);
  expect(misses[0]).toContain(why);
  expect(misses.some((sentence) => sentence.includes('carries the ids'))).toBe(ids);
  expect(misses.at(-1)).toContain('StringLike');
});

describe('the trust policy that matches', () => {
  test.each([
    ['arn:aws:iam::123456789012:role/deploy', `arn:aws:iam::123456789012:oidc-provider/${ISS}`],
    ['arn:aws-cn:iam::123456789012:role/a/b', `arn:aws-cn:iam::123456789012:oidc-provider/${ISS}`],
    ['arn:aws:iam:::role/deploy', `arn:aws:iam:::oidc-provider/${ISS}`],
    [undefined, `arn:aws:iam::ACCOUNT_ID:oidc-provider/${ISS}`],
  ])('for %s names the provider of its account', (role, provider) => {
    expect(trustPolicy(CLAIMS, role).Statement).toMatchObject([{ Principal: { Federated: provider } }]);
  });

  test('takes subject and audience from the token, letter for letter', () => {
    expect(trustPolicy(CLAIMS, ROLE)).toEqual({
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: { Federated: `arn:aws:iam::123456789012:oidc-provider/${ISS}` },
          Action: 'sts:AssumeRoleWithWebIdentity',
          Condition: { StringEquals: { [`${ISS}:aud`]: CLAIMS.aud, [`${ISS}:sub`]: CLAIMS.sub } },
        },
      ],
    });
  });

  test.each([false, true])('lets no character of a branch mean something else, pinned: %s', (pinned) => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a policy variable, as a branch may be called
    const sub = 'repo:acme/web:ref:refs/heads/${aws:userid}';
    const text = JSON.stringify(trustPolicy({ ...CLAIMS, sub }, ROLE, pinned));
    // biome-ignore lint/suspicious/noTemplateCurlyInString: how a policy spells a dollar sign
    expect(text).toContain(':ref:refs/heads/${$}{aws:userid}"');
  });

  test('pinned to the repository leaves its name open, and nothing else', () => {
    expect(trustPolicy(CLAIMS, ROLE, true).Statement).toMatchObject([
      {
        Condition: {
          StringEquals: { [`${ISS}:aud`]: CLAIMS.aud, [`${ISS}:repository_id`]: '42' },
          StringLike: { [`${ISS}:sub`]: 'repo:acme@1/*:environment:prod' },
        },
      },
    ]);
  });

  test('of an enterprise issuer carries its path', () => {
    const text = JSON.stringify(trustPolicy({ ...CLAIMS, iss: `https://${ISS}/acme` }, ROLE));
    expect(text).toContain(`oidc-provider/${ISS}/acme"`);
    expect(text).toContain(`"${ISS}/acme:sub"`);
  });
});

const refusal = (code: string, message = ''): ServiceFailure => ({
  operation: 'AssumeRoleWithWebIdentity',
  code,
  message,
  status: 400,
  requestId: undefined,
  region: undefined,
  retryAfter: undefined,
});

test.each([
  ['InvalidIdentityToken', 'No OpenIDConnect provider found in your account for https://x', 'no provider'],
  ['InvalidIdentityToken', 'Incorrect token audience', 'wrong audience'],
  ['InvalidIdentityToken', '', 'token refused'],
  ['ExpiredTokenException', 'Token expired', 'token refused'],
  ['IDPRejectedClaim', '', 'token refused'],
  ['ValidationError', 'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.', 'too long'],
  ['PackedPolicyTooLarge', '', 'policy refused'],
  ['MalformedPolicyDocument', '', 'policy refused'],
  ['MalformedPolicyDocumentException', '', 'policy refused'],
  ['ValidationError', "Value at 'policy' failed to satisfy constraint: length", 'policy refused'],
  ['RegionDisabledException', '', 'region disabled'],
  ['AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity', 'not trusted'],
  ['SomethingNew', '', 'not trusted'],
])('STS says %s: %s', (code, message, problem) => {
  expect(roleProblemOf(refusal(code, message))).toBe(problem);
});

describe('the remedy', () => {
  test.each([
    ['no provider', `--url https://${ISS} --client-id-list sts.amazonaws.com`],
    ['wrong audience', `oidc-provider/${ISS} --client-id sts.amazonaws.com`],
    ['too long', '--role-name deploy --max-session-duration'],
    ['policy refused', 'inline-session-policy'],
    ['region disabled', 'sts-endpoint'],
    ['token refused', '    sub: repo:acme@1/web@2:environment:prod'],
    ['not trusted', '    sub: repo:acme@1/web@2:environment:prod'],
  ] as const)('for %s has %s', (problem, line) => {
    expect(trustRemedy(problem, CLAIMS, ROLE).join('\n')).toContain(line);
  });

  test('for a role in a folder names the role alone', () => {
    expect(trustRemedy('too long', CLAIMS, 'arn:aws:iam::1:role/ci/deploy').join('\n')).toContain(
      '--role-name deploy ',
    );
  });

  test('for a role that does not trust the job holds both policies to paste, whole', () => {
    const text = trustRemedy('not trusted', CLAIMS, ROLE).join('\n');
    const policies = text.match(/^\{$.*?^\}$/gms)?.map((json) => JSON.parse(json));
    expect(policies).toEqual([trustPolicy(CLAIMS, ROLE), trustPolicy(CLAIMS, ROLE, true)]);
  });

  test('for a token without a repository id offers no policy pinned to one', () => {
    const { repository_id: _, ...rest } = CLAIMS;
    const text = trustRemedy('not trusted', rest, ROLE).join('\n');
    expect(text).not.toContain('repository_id');
    expect(text.match(/^\{$/gm)).toHaveLength(1);
  });
});
