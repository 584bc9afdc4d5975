import type { ServiceFailure } from './explain.ts';
import { escapeVariables, escapeWildcards } from './policy.ts';
import { plain } from './text.ts';

/** What a job's OIDC token says of the job. */
export type Claims = Readonly<Record<string, unknown>>;

/** GitHub's token service, as it names itself in tokens and as it is registered in accounts. */
export const GITHUB_ISSUER = 'https://token.actions.githubusercontent.com';

/** The claims that trust policies are written about, in the order in which a person looks for them. */
const TELLING_CLAIMS = [
  'iss',
  'aud',
  'sub',
  'repository',
  'repository_id',
  'repository_owner_id',
  'ref',
  'event_name',
  'environment',
  'job_workflow_ref',
];

/** The telling claims of a token as lines `name: value`, and how long it lives. Never the token. */
export function describeClaims(claims: Claims): string[] {
  const lines = TELLING_CLAIMS.filter((name) => claims[name] !== undefined).map(
    (name) => `${name}: ${plain(String(claims[name]), 300)}`,
  );
  const lifetime = Number(claims.exp) - Number(claims.iat);
  return Number.isFinite(lifetime) ? [...lines, `lifetime: ${lifetime} s`] : lines;
}

/** What kind of subject a token has. */
export interface Subject {
  readonly form: 'branch' | 'tag' | 'environment' | 'pull request' | 'custom';
  /** Repository and owner carry their ids: `repo:O@1/R@2:…`, the form of repositories made or moved since July 2026. */
  readonly immutable: boolean;
}

/** Reads the form of a subject. https://docs.github.com/en/actions/reference/security/oidc */
export function subjectOf(sub: string): Subject {
  const [, name = '', context = ''] = /^repo:([^:]+):(.*)$/s.exec(sub) ?? [];
  const immutable = /^[^/]+@\d+\/[^/]+@\d+$/.test(name);
  const form = /^ref:refs\/heads\/./.test(context)
    ? 'branch'
    : /^ref:refs\/tags\/./.test(context)
      ? 'tag'
      : /^environment:./.test(context)
        ? 'environment'
        : context === 'pull_request'
          ? 'pull request'
          : 'custom';
  return { form, immutable };
}

const MISSES: Record<Subject['form'], string> = {
  branch: 'The subject names the branch: a policy for another branch, or for an environment, does not match it.',
  tag: "The subject names the tag: a policy for a branch ('ref:refs/heads/…') does not match it.",
  environment:
    "The job has an environment, so the subject names that instead of the branch: a policy for 'ref:refs/heads/…' does not match it.",
  'pull request':
    "Jobs of a pull request have the subject '…:pull_request' and no branch: a policy for 'ref:refs/heads/…' does not match it.",
  custom:
    'The subject is not of a form that GitHub makes by itself: the repository or its owner has a custom template.',
};

/** Why policies that look right miss a subject: a sentence each. */
export function commonMisses(sub: string): string[] {
  const { form, immutable } = subjectOf(sub);
  const ids =
    "The subject carries the ids of owner and repository ('@…'), as it does for repositories created, renamed or transferred since July 2026: a policy for 'repo:owner/name:…' does not match it.";
  const wildcard = "A '*' in a policy counts with StringLike only; with StringEquals it is a character. Case counts.";
  return [MISSES[form], ...(immutable ? [ids] : []), wildcard];
}

/** The ARN of GitHub's OIDC provider, in the account and partition of a role. */
function providerArn(issuer: string, roleArn: string | undefined): string {
  const [, partition = 'aws', , , account = 'ACCOUNT_ID'] = (roleArn ?? '').split(':');
  return `arn:${partition}:iam::${account}:oidc-provider/${withoutScheme(issuer)}`;
}

function withoutScheme(issuer: string): string {
  return issuer.replace(/^https?:\/\//, '');
}

export interface TrustPolicy {
  readonly Version: '2012-10-17';
  readonly Statement: readonly object[];
}

/**
 * The trust policy that lets jobs of these claims assume a role: `iss`, `aud` and `sub` as the token has them, since a
 * subject built from names would miss custom templates and immutable ids.
 * @param pinned also pins `repository_id`, and leaves the repository's name in the subject open: a renamed repository
 * keeps its access, and nobody else who takes the old name gets it.
 */
export function trustPolicy(claims: Claims, roleArn: string | undefined, pinned = false): TrustPolicy {
  const issuer = String(claims.iss ?? GITHUB_ISSUER);
  const key = (claim: string) => `${withoutScheme(issuer)}:${claim}`;
  const sub = String(claims.sub);
  const audience = { [key('aud')]: escapeVariables(String(claims.aud)) };
  const Condition = pinned
    ? {
        StringEquals: { ...audience, [key('repository_id')]: String(claims.repository_id) },
        StringLike: { [key('sub')]: escapeWildcards(sub).replace(/^(repo:[^:/]+)\/[^:]+:/, '$1/*:') },
      }
    : { StringEquals: { ...audience, [key('sub')]: escapeVariables(sub) } };
  return {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { Federated: providerArn(issuer, roleArn) },
        Action: 'sts:AssumeRoleWithWebIdentity',
        Condition,
      },
    ],
  };
}

/** Why STS refused a role; each has its own remedy. */
export type RoleProblem =
  | 'no provider'
  | 'wrong audience'
  | 'too long'
  | 'policy refused'
  | 'region disabled'
  | 'token refused'
  | 'not trusted';

/** Tells the refusals of STS apart, by its code and its words. */
export function roleProblemOf({ code, message }: ServiceFailure): RoleProblem {
  if (/No OpenIDConnect provider found/i.test(message)) return 'no provider';
  if (/Incorrect token audience/i.test(message)) return 'wrong audience';
  if (/DurationSeconds|MaxSessionDuration/i.test(message)) return 'too long';
  if (
    code === 'PackedPolicyTooLarge' ||
    code === 'PackedPolicyTooLargeException' ||
    /^MalformedPolicyDocument/.test(code)
  ) {
    return 'policy refused';
  }
  if (/at 'policy' failed to satisfy constraint/i.test(message)) return 'policy refused';
  if (/^RegionDisabled/.test(code)) return 'region disabled';
  if (/^(ExpiredToken|IDPRejectedClaim|InvalidIdentityToken)/.test(code)) return 'token refused';
  return 'not trusted';
}

/** What to change so that STS grants the role to this job, in lines to read and paste. */
export function trustRemedy(problem: RoleProblem, claims: Claims, roleArn: string): string[] {
  const account = roleArn.split(':')[4];
  const issuer = plain(String(claims.iss ?? GITHUB_ISSUER), 300);
  const audience = plain(String(claims.aud), 300);
  switch (problem) {
    case 'no provider':
      return [
        `The account ${account} has no OIDC provider for ${issuer}. If role-to-assume names the right account, create it once:`,
        `    aws iam create-open-id-connect-provider --url ${issuer} --client-id-list ${audience}`,
      ];
    case 'wrong audience':
      return [
        `The OIDC provider of account ${account} does not list the audience of this job's token. Add it:`,
        '    aws iam add-client-id-to-open-id-connect-provider \\',
        `      --open-id-connect-provider-arn ${plain(providerArn(issuer, roleArn))} --client-id ${audience}`,
        'or set audience to one that is listed.',
      ];
    case 'too long':
      return [
        "Lower role-duration-seconds, or raise the role's maximum session duration:",
        `    aws iam update-role --role-name ${plain(roleArn.replace(/^.*\//, ''))} --max-session-duration 43200`,
      ];
    case 'policy refused':
      return ['The session policy was not accepted: shorten or mend inline-session-policy, or set it to auto or none.'];
    case 'region disabled':
      return [
        'Activate STS in this region (IAM console, account settings), or set sts-endpoint to the URL of another region.',
      ];
    case 'token refused':
      return [
        `The token of this job was refused. Its claims:`,
        ...claimLines(claims),
        'Check audience and the OIDC provider in the account.',
      ];
    case 'not trusted':
      return [
        'The role does not exist, or its trust policy does not match this job. STS does not say which: check the ARN first.',
        '',
        "This job's token says:",
        ...claimLines(claims),
        ...commonMisses(String(claims.sub)).map((sentence) => `- ${sentence}`),
        '',
        'The trust policy that matches this job:',
        JSON.stringify(trustPolicy(claims, roleArn), null, 2),
        ...(claims.repository_id === undefined
          ? []
          : [
              '',
              'Or pinned to the repository by its id, so that it survives a new name:',
              JSON.stringify(trustPolicy(claims, roleArn, true), null, 2),
            ]),
      ];
  }
}

function claimLines(claims: Claims): string[] {
  return describeClaims(claims).map((line) => `    ${line}`);
}
