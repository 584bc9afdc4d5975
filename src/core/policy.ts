import { type Destination, probeFolder } from './key.ts';
import type { Action } from './needs.ts';

export { type Action, type Needs, neededActions, needsOf, type Purpose } from './needs.ts';

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

/** What a policy is about besides bucket and prefix. */
export interface PolicyScope {
  /** The keys it is about, as a pattern; those below the prefix unless given. */
  readonly within?: string | undefined;
  /** The KMS key of `sse-kms-key-id`. */
  readonly key?: KmsKey | undefined;
  /** The ARN of `cloudfront-distribution-id`. */
  readonly distribution?: string | undefined;
  /** What a full probe needs to take its own objects back, besides. */
  readonly probeObjects?: readonly string[] | undefined;
  /** Keep what tells a probe how wide the credentials are, and what the bucket would keep of it. */
  readonly looks?: boolean | undefined;
}

/** What a full probe reads and takes back its object with, whatever the inputs say, in a bucket of any kind. */
export const REMOVAL = ['s3:GetObject', 's3:DeleteObject', 's3:DeleteObjectVersion'];
/** What a probe looks at that no deploy needs; in a session policy it grants nothing that the role lacks. */
const LOOKS = [
  's3:ListBucket',
  's3:ListAllMyBuckets',
  's3:GetBucketVersioning',
  's3:GetBucketObjectLockConfiguration',
  's3:GetBucketNotification',
];

/**
 * The smallest policy for these actions at this destination. Uploads in parts are aborted after a failure, which some
 * stores allow only to those who hold s3:AbortMultipartUpload, so it comes with s3:PutObject.
 */
export function permissionPolicy(
  actions: readonly Action[],
  destination: Destination,
  partition: Partition,
  { within = keyPattern(destination.prefix), key, distribution, probeObjects, looks }: PolicyScope = {},
): Policy {
  const bucket = bucketArn(destination, partition);
  const all = actions.includes('s3:PutObject') ? [...actions, 's3:AbortMultipartUpload' as const] : actions;
  const objects = ORDER.filter((action) => all.includes(action));
  const keys = (['kms:GenerateDataKey', 'kms:Decrypt'] as const).filter((action) => actions.includes(action));
  const invalidating = actions.filter((action) => action.startsWith('cloudfront:'));
  const statements: Statement[] = [];
  const allow = (Sid: string, Action: readonly string[], Resource: string, Condition?: Statement['Condition']) => {
    if (Action.length > 0) statements.push({ Sid, Effect: 'Allow', Action, Resource, ...(Condition && { Condition }) });
  };
  if (actions.includes('s3:ListBucket')) {
    const limited = within === '*' ? undefined : { StringLike: { 's3:prefix': within } };
    allow('ListSite', ['s3:ListBucket'], bucket, limited);
  }
  allow('DeploySite', objects, `${bucket}/${within}`);
  allow('EncryptSite', keys, key?.arn ?? '*', key?.condition);
  allow('InvalidateSite', invalidating, distribution ?? '*');
  allow('ProbeSite', probeObjects ?? [], `${bucket}/${probePattern(destination, within)}`);
  if (looks) allow('LookAround', LOOKS, '*');
  return { Version: '2012-10-17', Statement: statements };
}

/** The actions on objects, as a reader of the policy expects them. */
const ORDER: readonly Action[] = [
  's3:GetObject',
  's3:PutObject',
  's3:PutObjectAcl',
  's3:PutObjectTagging',
  's3:AbortMultipartUpload',
  's3:DeleteObject',
];

/** Where a probe puts its objects; the whole pattern where that had to be cut. */
function probePattern({ prefix }: Destination, within: string): string {
  return within === keyPattern(prefix) ? keyPattern(probeFolder(prefix)) : within;
}

/** A KMS key as a policy names it. */
export interface KmsKey {
  readonly arn: string;
  readonly condition?: Statement['Condition'];
}

/** Where a key lies whose id alone is given; what is not known is any. */
export interface KeyPlace {
  readonly partition: Partition;
  readonly region: string | undefined;
  readonly account: string | undefined;
}

/**
 * The key of `sse-kms-key-id`, which may be an id, an alias or an ARN of either. Policies name keys by id alone; an alias
 * is a condition. https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html
 */
export function kmsKeyOf(id: string, place: KeyPlace): KmsKey {
  const { partition, region = '*', account = '*' } = place;
  const arn = id.startsWith('arn:') ? id : `arn:${partition}:kms:${region}:${account}:${toKeyPath(id)}`;
  const [, key = '', alias] = /^(.*:)(alias\/.*)$/.exec(arn) ?? [];
  if (alias === undefined) return { arn };
  return { arn: `${key}key/*`, condition: { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': alias } } };
}

function toKeyPath(id: string): string {
  return /^(alias|key)\//.test(id) ? id : `key/${id}`;
}

/** What STS takes as a session policy: 2,048 characters up to U+00FF. API reference of AssumeRole, `Policy`. */
const SESSION_POLICY_CHARACTERS = 2048;

/**
 * The policy, as STS takes it, that narrows a session to these actions at this destination. A prefix that is too long
 * for it is cut: the session then reaches neighbours that begin alike, and nothing else.
 */
export function sessionPolicy(
  actions: readonly Action[],
  destination: Destination,
  partition: Partition,
  scope: Omit<PolicyScope, 'within'> = {},
): string {
  for (
    let prefix: string = destination.prefix;
    ;
    prefix = prefix.slice(0, Math.floor(prefix.length * 0.9)).toWellFormed()
  ) {
    const within = keyPattern(prefix.replace(/\ufffd$/, ''));
    const policy = permissionPolicy(actions, destination, partition, { ...scope, within });
    const text = JSON.stringify(policy).replace(/[^\x20-\x7e]/g, escapeUnicode);
    // What is too long without any prefix is STS's to refuse.
    if (text.length <= SESSION_POLICY_CHARACTERS || prefix === '') return text;
  }
}

function escapeUnicode(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** A CloudFront distribution as a policy names it: they are of an account, and of no region. */
export function distributionArn(id: string, { partition, account = '*' }: Omit<KeyPlace, 'region'>): string {
  return `arn:${partition}:cloudfront::${account}:distribution/${id}`;
}

/** The ARN that a policy must name to allow an action at this destination. */
export function resourceFor(
  action: Action,
  destination: Destination,
  partition: Partition,
  { key, distribution }: Pick<PolicyScope, 'key' | 'distribution'> = {},
): string {
  if (action.startsWith('cloudfront:')) return distribution ?? '*';
  if (action.startsWith('kms:')) return key?.arn ?? `arn:${partition}:kms:*:*:key/*`;
  return action === 's3:ListBucket' ? bucketArn(destination, partition) : objectsArn(destination, partition);
}

function bucketArn({ bucket }: Destination, partition: Partition): string {
  return `arn:${partition}:s3:::${bucket}`;
}

/** The ARN of every key below a prefix. */
export function objectsArn(destination: Destination, partition: Partition): string {
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

/** The account that an ARN belongs to. */
export function accountOf(arn: string | undefined): string | undefined {
  return arn?.split(':')[4] || undefined;
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
