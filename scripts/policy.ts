import { parseArgs } from 'node:util';
import { parseDestination } from '../src/core/key.ts';
import { distributionArn, neededActions, partitionOf, permissionPolicy } from '../src/core/policy.ts';
import { cloudFormation, type RoleSpec, terraform } from '../src/core/templates.ts';
import { plain } from '../src/core/text.ts';
import { GITHUB_ISSUER, trustPolicy } from '../src/core/trust.ts';
import { DeployError } from '../src/errors.ts';

const USAGE = `Prints the role that a workflow needs: its trust policy and its permission policy.

  npm run -s policy -- --bucket my-site --repo acme/site [options]

  --bucket NAME[/PATH]   where the site goes
  --repo OWNER/NAME      whose jobs may deploy; with ids as the token has them: acme@1/site@2
  --prefix PATH          as the input
  --delete               the workflow sets delete: true
  --distribution ID      the workflow sets cloudfront-distribution-id
  --wait                 the workflow sets cloudfront-wait: true
  --plan                 the workflow sets mode: plan, and never writes
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

/** How the role is printed. */
const FORMATS: Record<string, (role: RoleSpec) => string> = {
  json: ({ trust, permissions }) =>
    JSON.stringify({ 'trust-policy': trust, 'permission-policy': permissions }, null, 2),
  cloudformation: (role) => JSON.stringify(cloudFormation(role), null, 2),
  terraform: (role) => terraform(role).trimEnd(),
};

type Values = ReturnType<typeof readOptions>;

function readOptions() {
  return parseArgs({
    options: {
      bucket: { type: 'string' },
      repo: { type: 'string' },
      prefix: { type: 'string', default: '' },
      delete: { type: 'boolean', default: false },
      distribution: { type: 'string' },
      wait: { type: 'boolean', default: false },
      plan: { type: 'boolean', default: false },
      branch: { type: 'string' },
      environment: { type: 'string' },
      'pull-request': { type: 'boolean', default: false },
      'repository-id': { type: 'string' },
      account: { type: 'string' },
      region: { type: 'string' },
      role: { type: 'string', default: 'deploy-site' },
      audience: { type: 'string', default: 'sts.amazonaws.com' },
      format: { type: 'string', default: 'json' },
      help: { type: 'boolean', default: false },
    },
  }).values;
}

/** The value of an option, if it is of the form that AWS or GitHub takes. */
function matching(
  values: Values,
  name: Exclude<keyof Values, 'delete' | 'plan' | 'wait' | 'pull-request' | 'help'>,
  form: RegExp,
) {
  const value = values[name];
  if (value === undefined || form.test(value)) return value;
  throw new Error(`--${name}: '${plain(value, 200)}' is malformed.`);
}

/** The part of the subject that says which jobs of the repository are meant. */
function contextOf({ branch, environment, 'pull-request': pullRequest }: Values): string {
  if ([branch, environment, pullRequest || undefined].filter((one) => one !== undefined).length > 1) {
    throw new Error('Give one of --branch, --environment and --pull-request: a token has one of them as its subject.');
  }
  if (pullRequest) return 'pull_request';
  return environment === undefined ? `ref:refs/heads/${branch ?? 'main'}` : `environment:${environment}`;
}

function roleOf(values: Values): RoleSpec {
  const repo = matching(values, 'repo', /^[\w.@-]+\/[\w.@-]+$/);
  if (!values.bucket || repo === undefined) throw new Error(`--bucket and --repo are needed.\n\n${USAGE}`);
  const destination = parseDestination(values.bucket, values.prefix, false);
  const partition = partitionOf(values.region);
  const account = matching(values, 'account', /^\d{12}$/) ?? 'ACCOUNT_ID';
  const repositoryId = matching(values, 'repository-id', /^\d+$/);
  const name = matching(values, 'role', /^[\w+=,.@-]{1,64}$/) ?? '';
  const audience = matching(values, 'audience', /^[^\x00-\x20\x7f]{1,255}$/) ?? '';
  const id = matching(values, 'distribution', /^[A-Z0-9]{6,32}$/);
  if (values.wait && id === undefined) throw new Error('--wait: is given without --distribution.');
  const claims = {
    iss: GITHUB_ISSUER,
    aud: audience,
    sub: `repo:${repo}:${contextOf(values)}`,
    repository_id: repositoryId,
  };
  const actions = neededActions({
    mode: values.plan ? 'plan' : 'deploy',
    dryRun: values.plan,
    delete: values.delete ? 'all' : 'off',
    distribution: id,
    cloudfrontWait: values.wait,
  });
  return {
    name,
    audience,
    trust: trustPolicy(claims, `arn:${partition}:iam::${account}:role/${name}`, repositoryId !== undefined),
    permissions: permissionPolicy(actions, destination, partition, {
      ...(id !== undefined && { distribution: distributionArn(id, { partition, account }) }),
    }),
  };
}

function print(): string {
  const values = readOptions();
  if (values.help) return USAGE.trimEnd();
  const format = Object.hasOwn(FORMATS, values.format) ? FORMATS[values.format] : undefined;
  if (format === undefined) {
    throw new Error(`--format: '${plain(values.format, 100)}' is none of ${Object.keys(FORMATS).join(', ')}.`);
  }
  return format(roleOf(values));
}

try {
  console.log(print());
} catch (error) {
  console.error(error instanceof DeployError ? `${error.message}\n${error.hint}` : (error as Error).message);
  process.exitCode = 1;
}
