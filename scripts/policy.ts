import { parseArgs } from 'node:util';
import { parseDestination } from '../src/core/key.ts';
import { neededActions, partitionOf, permissionPolicy } from '../src/core/policy.ts';
import { cloudFormation, terraform } from '../src/core/templates.ts';
import { GITHUB_ISSUER, trustPolicy } from '../src/core/trust.ts';
import { DeployError } from '../src/errors.ts';

const USAGE = `Prints the role that a workflow needs: its trust policy and its permission policy.

  npm run -s policy -- --bucket my-site --repo acme/site [options]

  --bucket NAME[/PATH]   where the site goes
  --repo OWNER/NAME      whose jobs may deploy; with ids as the token has them: acme@1/site@2
  --prefix PATH          as the input
  --delete               the workflow sets delete: true
  --branch NAME          jobs on this branch (default main)
  --environment NAME     jobs with this environment, instead of a branch
  --pull-request         jobs of pull requests, instead of a branch
  --repository-id ID     pin the repository by its id
  --account ID           the AWS account, else ACCOUNT_ID is printed
  --region REGION        for China and GovCloud
  --role NAME            name of the role (default deploy-site)
  --audience NAME        as the input
  --format FORMAT        json (default), cloudformation or terraform
`;

const { values } = parseArgs({
  options: {
    bucket: { type: 'string' },
    repo: { type: 'string' },
    prefix: { type: 'string', default: '' },
    delete: { type: 'boolean', default: false },
    branch: { type: 'string', default: 'main' },
    environment: { type: 'string' },
    'pull-request': { type: 'boolean', default: false },
    'repository-id': { type: 'string' },
    account: { type: 'string', default: 'ACCOUNT_ID' },
    region: { type: 'string' },
    role: { type: 'string', default: 'deploy-site' },
    audience: { type: 'string', default: 'sts.amazonaws.com' },
    format: { type: 'string', default: 'json' },
  },
});

function role() {
  if (!values.bucket || !/^[\w.@-]+\/[\w.@-]+$/.test(values.repo ?? '')) throw new Error(USAGE);
  const destination = parseDestination(values.bucket, values.prefix, false);
  const partition = partitionOf(values.region);
  const context = values['pull-request']
    ? 'pull_request'
    : values.environment === undefined
      ? `ref:refs/heads/${values.branch}`
      : `environment:${values.environment}`;
  const claims = {
    iss: GITHUB_ISSUER,
    aud: values.audience,
    sub: `repo:${values.repo}:${context}`,
    repository_id: values['repository-id'],
  };
  return {
    name: values.role,
    audience: values.audience,
    trust: trustPolicy(
      claims,
      `arn:${partition}:iam::${values.account}:role/${values.role}`,
      values['repository-id'] !== undefined,
    ),
    permissions: permissionPolicy(
      neededActions({ mode: 'deploy', dryRun: false, delete: values.delete ? 'all' : 'off' }),
      destination,
      partition,
    ),
  };
}

function print(): string {
  const { trust, permissions } = role();
  switch (values.format) {
    case 'json':
      return JSON.stringify({ 'trust-policy': trust, 'permission-policy': permissions }, null, 2);
    case 'cloudformation':
      return JSON.stringify(cloudFormation(role()), null, 2);
    case 'terraform':
      return terraform(role()).trimEnd();
    default:
      throw new Error(USAGE);
  }
}

try {
  console.log(print());
} catch (error) {
  console.error(error instanceof DeployError ? `${error.message}\n${error.hint}` : (error as Error).message);
  process.exitCode = 1;
}
