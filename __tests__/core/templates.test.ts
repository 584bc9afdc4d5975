import { describe, expect, test } from '@jest/globals';
import { distributionArn, neededActions, permissionPolicy } from '../../src/core/policy.ts';
import { cloudFormation, type RoleSpec, terraform } from '../../src/core/templates.ts';
import { trustPolicy } from '../../src/core/trust.ts';
import { type MadeRole, roleInCloudFormation } from '../support/cloudformation.ts';
import { roleInTerraform } from '../support/terraform.ts';

const ACCOUNT = '123456789012';
const ISSUER = 'https://token.actions.githubusercontent.com';
const AUDIENCE = 'sts.amazonaws.com';

function spec(sub: string, prefix: '' | `${string}/` = '', roleArn?: string): RoleSpec {
  return {
    name: 'deploy-site',
    audience: AUDIENCE,
    trust: trustPolicy({ iss: ISSUER, aud: AUDIENCE, sub }, roleArn),
    permissions: permissionPolicy(
      neededActions({ mode: 'deploy', dryRun: false, delete: 'all' }),
      { bucket: 'my-site', prefix },
      'aws',
    ),
  };
}

/** The role as it is meant: the account stands in the provider's ARN, and nowhere else. */
function meant({ name, trust, permissions }: RoleSpec, account = ACCOUNT): MadeRole {
  const text = JSON.stringify(trust).replace('arn:aws:iam::ACCOUNT_ID:', `arn:aws:iam::${account}:`);
  return { role: { name, trust: JSON.parse(text), permissions }, provider: { url: ISSUER, audiences: [AUDIENCE] } };
}

/** One whose permissions name a distribution of the account that the template is applied to. */
function withDistribution(): [RoleSpec, MadeRole] {
  const [printed, known] = ['ACCOUNT_ID', ACCOUNT].map((account) => {
    const actions = neededActions({ mode: 'deploy', delete: 'off', distribution: 'E1' });
    const distribution = distributionArn('E1', { partition: 'aws', account });
    const scope = { distribution };
    const prefix = 'arn:aws:cloudfront::ACCOUNT_ID:distribution/x/' as const;
    return permissionPolicy(actions, { bucket: 'my-site', prefix }, 'aws', scope);
  });
  const role = { ...spec('repo:acme/site:pull_request'), permissions: printed! };
  return [role, meant({ ...role, permissions: known! })];
}

test('a distribution is one of the account that the template is applied to', async () => {
  const [role, made] = withDistribution();
  expect(roleInCloudFormation(JSON.stringify(cloudFormation(role)), ACCOUNT)).toEqual(made);
  expect(await roleInTerraform(terraform(role), ACCOUNT)).toEqual(made);
});

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: text that the languages of templates would read as their own
const SPECS: [string, RoleSpec][] = [
  ['as usual', spec('repo:acme/site:ref:refs/heads/main')],
  ['with a prefix', spec('repo:acme/site:environment:prod', 'docs/')],
  ['with what is code in a template', spec('repo:acme/site:environment:${a}%{b}$${c}%%{d}', '${a}%{b}$${c}%%{d}*?/')],
  ['with quotes and backslashes', spec('repo:acme/site:environment:a"b\\n\\": c', 'a"b\\u0041\\/')],
  ['with the name of the placeholder', spec('repo:acme/ACCOUNT_ID:ref:refs/heads/ACCOUNT_ID', 'ACCOUNT_ID/')],
  ['with the ARN of a provider as a name', spec('repo:acme/site:environment:arn:aws:iam::ACCOUNT_ID:oidc-provider/x')],
  ['in other scripts', spec('repo:acme/site:ref:refs/heads/資料😀', 'ü/資料😀/')],
  ['in an account that is known', spec('repo:acme/site:pull_request', '', 'arn:aws:iam::210987654321:role/x')],
];
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: as above

describe.each(SPECS)('a role %s', (_, role) => {
  test('is the same in CloudFormation', () => {
    expect(roleInCloudFormation(JSON.stringify(cloudFormation(role)), ACCOUNT)).toEqual(meant(role));
  });

  test('is the same in Terraform', async () => {
    expect(await roleInTerraform(terraform(role), ACCOUNT)).toEqual(meant(role));
  });
});

test('CloudFormation makes the provider unless told that it is there, and says what it is all for', () => {
  const template = JSON.stringify(cloudFormation(spec('repo:acme/site:pull_request', 'docs/')));
  expect(roleInCloudFormation(template, ACCOUNT, { CreateProvider: 'false' })).not.toHaveProperty('provider');
  expect(() => roleInCloudFormation(template, ACCOUNT, { CreateProvider: 'no' })).toThrow('CreateProvider');
  expect(JSON.parse(template)).toMatchObject({
    Description: expect.stringContaining('my-site'),
    Outputs: { RoleToAssume: { Value: { 'Fn::GetAtt': ['Deploy', 'Arn'] } } },
  });
});

test('Terraform is laid out as its own formatter does, and answers the ARN of the role', () => {
  const text = terraform(spec('repo:acme/site:pull_request'));
  expect(text).toMatch(/^ {4}"Version" : "2012-10-17",$/m);
  expect(text).toContain('value = aws_iam_role.deploy.arn');
  expect(text).not.toMatch(/[ \t]$/m);
  expect(text.endsWith('}\n')).toBe(true);
});
