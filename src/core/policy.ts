import type { Destination } from './key.ts';

/** An AWS partition, the second part of an ARN: `aws`, `aws-cn`, `aws-us-gov`, `aws-eusc`, … */
export type Partition = string;

/** Partitions by the beginning of their regions' names, and a region in each that is always there. */
const PARTITIONS: readonly { partition: Partition; regions: RegExp; home: string }[] = [
  { partition: 'aws-cn', regions: /^cn-/, home: 'cn-north-1' },
  { partition: 'aws-us-gov', regions: /^us-gov-/, home: 'us-gov-west-1' },
  { partition: 'aws-eusc', regions: /^eusc-/, home: 'eusc-de-east-1' },
  { partition: 'aws-iso', regions: /^us-iso-/, home: 'us-iso-east-1' },
  { partition: 'aws-iso-b', regions: /^us-isob-/, home: 'us-isob-east-1' },
  { partition: 'aws-iso-e', regions: /^eu-isoe-/, home: 'eu-isoe-west-1' },
  { partition: 'aws-iso-f', regions: /^us-isof-/, home: 'us-isof-south-1' },
];

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
  readonly mode: 'deploy' | 'plan' | 'probe' | 'remove';
  readonly delete: 'off' | 'all' | 'owned';
  readonly dryRun: boolean;
}

/** The actions that a run needs; each is proved by the probe. */
export function neededActions({ mode, delete: deletes, dryRun }: Purpose): Action[] {
  if (mode === 'remove') return dryRun ? ['s3:ListBucket'] : ['s3:ListBucket', 's3:DeleteObject'];
  const actions: Action[] = ['s3:ListBucket', 's3:GetObject'];
  if (mode !== 'plan') actions.push('s3:PutObject');
  if (mode !== 'plan' && deletes !== 'off') actions.push('s3:DeleteObject');
  return actions;
}

/**
 * The smallest policy for these actions at this destination. Uploads in parts are aborted after a failure, which some
 * stores allow only to those who hold s3:AbortMultipartUpload, so it comes with s3:PutObject.
 * @param within the keys it is about, as a pattern.
 */
export function permissionPolicy(
  actions: readonly Action[],
  destination: Destination,
  partition: Partition,
  within = keyPattern(destination.prefix),
): Policy {
  const bucket = bucketArn(destination, partition);
  const objects = actions
    .filter((action) => action !== 's3:ListBucket')
    .flatMap((action): Action[] => (action === 's3:PutObject' ? [action, 's3:AbortMultipartUpload'] : [action]));
  const statements: Statement[] = [];
  if (actions.includes('s3:ListBucket')) {
    const limited = within === '*' ? {} : { Condition: { StringLike: { 's3:prefix': within } } };
    statements.push({ Sid: 'ListSite', Effect: 'Allow', Action: ['s3:ListBucket'], Resource: bucket, ...limited });
  }
  if (objects.length > 0) {
    statements.push({ Sid: 'DeploySite', Effect: 'Allow', Action: objects, Resource: `${bucket}/${within}` });
  }
  return { Version: '2012-10-17', Statement: statements };
}

/** What STS takes as a session policy: 2,048 characters up to U+00FF. API reference of AssumeRole, `Policy`. */
const SESSION_POLICY_CHARACTERS = 2048;

/**
 * The policy, as STS takes it, that narrows a session to these actions at this destination. A prefix that is too long
 * for it is cut: the session then reaches neighbours that begin alike, and nothing else.
 */
export function sessionPolicy(actions: readonly Action[], destination: Destination, partition: Partition): string {
  for (
    let prefix: string = destination.prefix;
    ;
    prefix = prefix.slice(0, Math.floor(prefix.length * 0.9)).toWellFormed()
  ) {
    const policy = permissionPolicy(actions, destination, partition, keyPattern(prefix.replace(/\ufffd$/, '')));
    const text = JSON.stringify(policy).replace(/[^\x20-\x7e]/g, escapeUnicode);
    if (text.length <= SESSION_POLICY_CHARACTERS) return text;
  }
}

function escapeUnicode(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** The ARN that a policy must name to allow an action at this destination. */
export function resourceFor(action: Action, destination: Destination, partition: Partition): string {
  return action === 's3:ListBucket' ? bucketArn(destination, partition) : objectsArn(destination, partition);
}

function bucketArn({ bucket }: Destination, partition: Partition): string {
  return `arn:${partition}:s3:::${bucket}`;
}

function objectsArn(destination: Destination, partition: Partition): string {
  return `${bucketArn(destination, partition)}/${keyPattern(destination.prefix)}`;
}

/** Every key below a prefix, as policies write it. */
function keyPattern(prefix: string): string {
  return `${escapeWildcards(prefix)}*`;
}

/** Text that means itself in a policy, where `*`, `?` and `$` mean something else. Policy variables, IAM guide. */
export function escapeWildcards(text: string): string {
  return text.replace(/[*?$]/g, '$${$&}');
}

/** Text that means itself where only variables mean something else: StringEquals and its kin know no wildcards. */
export function escapeVariables(text: string): string {
  return text.replace(/\$/g, '$${$&}');
}

/** The partition that a region or an ARN belongs to. */
export function partitionOf(regionOrArn: string | undefined): Partition {
  if (regionOrArn === undefined) return 'aws';
  const arn = /^arn:([\w-]+):/.exec(regionOrArn)?.[1];
  return arn ?? PARTITIONS.find(({ regions }) => regions.test(regionOrArn))?.partition ?? 'aws';
}

/** A region of the partition where STS can be asked, and S3 for any bucket. */
export function homeRegion(partition: Partition): string {
  return PARTITIONS.find((one) => one.partition === partition)?.home ?? 'us-east-1';
}
