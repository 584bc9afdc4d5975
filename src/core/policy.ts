import type { Destination } from './key.ts';

/** AWS partitions: ordinary regions, China, GovCloud. */
export type Partition = 'aws' | 'aws-cn' | 'aws-us-gov';

export type Action = 's3:ListBucket' | 's3:GetObject' | 's3:PutObject' | 's3:AbortMultipartUpload' | 's3:DeleteObject';

export interface Statement {
  readonly Sid: string;
  readonly Effect: 'Allow';
  readonly Action: readonly string[];
  readonly Resource: string;
  readonly Condition?: Record<string, Record<string, string>>;
}

export interface Policy {
  readonly Version: '2012-10-17';
  readonly Statement: readonly Statement[];
}

/** What decides which actions a run needs. A probe asks for what a deploy with the same inputs would. */
export interface Purpose {
  readonly mode: 'deploy' | 'plan' | 'probe';
  readonly delete: boolean;
}

/** The actions that a run needs; each is proved by the probe. */
export function neededActions({ mode, delete: deletes }: Purpose): Action[] {
  const actions: Action[] = ['s3:ListBucket', 's3:GetObject'];
  if (mode !== 'plan') actions.push('s3:PutObject');
  if (mode !== 'plan' && deletes) actions.push('s3:DeleteObject');
  return actions;
}

/**
 * The smallest policy for these actions at this destination. Uploads in parts are aborted after a failure, which some
 * stores allow only to those who hold s3:AbortMultipartUpload, so it comes with s3:PutObject.
 */
export function permissionPolicy(actions: readonly Action[], destination: Destination, partition: Partition): Policy {
  const bucket = bucketArn(destination, partition);
  const objects = actions.filter((action) => action !== 's3:ListBucket');
  if (objects.includes('s3:PutObject'))
    objects.splice(objects.indexOf('s3:PutObject') + 1, 0, 's3:AbortMultipartUpload');
  const statements: Statement[] = [];
  if (actions.includes('s3:ListBucket')) {
    const prefix = escapeWildcards(destination.prefix);
    const within = prefix === '' ? {} : { Condition: { StringLike: { 's3:prefix': `${prefix}*` } } };
    statements.push({ Sid: 'ListSite', Effect: 'Allow', Action: ['s3:ListBucket'], Resource: bucket, ...within });
  }
  if (objects.length > 0) {
    statements.push({
      Sid: 'DeploySite',
      Effect: 'Allow',
      Action: objects,
      Resource: objectsArn(destination, partition),
    });
  }
  return { Version: '2012-10-17', Statement: statements };
}

/** The ARN that a policy must name to allow an action at this destination. */
export function resourceFor(action: Action, destination: Destination, partition: Partition): string {
  return action === 's3:ListBucket' ? bucketArn(destination, partition) : objectsArn(destination, partition);
}

function bucketArn({ bucket }: Destination, partition: Partition): string {
  return `arn:${partition}:s3:::${bucket}`;
}

function objectsArn(destination: Destination, partition: Partition): string {
  return `${bucketArn(destination, partition)}/${escapeWildcards(destination.prefix)}*`;
}

/** A literal in a policy: `*`, `?` and `$` mean something there. Policy variables, IAM user guide. */
function escapeWildcards(text: string): string {
  return text.replace(/[*?$]/g, '$${$&}');
}

/** The partition that a region or an ARN belongs to. */
export function partitionOf(regionOrArn: string | undefined): Partition {
  if (regionOrArn === undefined) return 'aws';
  if (/^(cn-|arn:aws-cn:)/.test(regionOrArn)) return 'aws-cn';
  if (/^(us-gov-|arn:aws-us-gov:)/.test(regionOrArn)) return 'aws-us-gov';
  return 'aws';
}

/** What a job's OIDC token says of the job. */
export type Claims = Readonly<Record<string, unknown>>;

/** The claims that trust policies are written about, in the order a person looks for them. */
const TELLING_CLAIMS = [
  'iss',
  'aud',
  'sub',
  'repository',
  'repository_id',
  'ref',
  'event_name',
  'environment',
  'job_workflow_ref',
];

/** The telling claims of a token as lines `name: value`. */
export function describeClaims(claims: Claims): string[] {
  return TELLING_CLAIMS.filter((name) => claims[name] !== undefined).map((name) => `${name}: ${String(claims[name])}`);
}

/** The trust policy that lets the job of these claims assume a role. The subject is taken from the token, never built. */
export function trustPolicy(claims: Claims, roleArn: string): object {
  const [, partition = 'aws', , , account = 'ACCOUNT'] = roleArn.split(':');
  const provider = String(claims.iss).replace(/^https:\/\//, '');
  return {
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Allow',
        Principal: { Federated: `arn:${partition}:iam::${account}:oidc-provider/${provider}` },
        Action: 'sts:AssumeRoleWithWebIdentity',
        Condition: {
          StringEquals: { [`${provider}:aud`]: String(claims.aud), [`${provider}:sub`]: String(claims.sub) },
        },
      },
    ],
  };
}
