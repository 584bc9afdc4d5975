import { allow } from './deploys.ts';
import type { PolicyDocument, PolicyStatement } from './test-cloud.ts';

/** A set-up of policies, and what a probe has to say of it. `BUCKET` and `USER` stand for those of the case. */
export interface ProbeCase {
  readonly name: string;
  readonly inputs?: Record<string, string>;
  /** Of the user, or with `session` of the role. */
  readonly policy: PolicyStatement[];
  readonly boundary?: PolicyStatement[];
  readonly bucketPolicy?: PolicyStatement[];
  /** `inline-session-policy` of a role that is assumed through OIDC. */
  readonly session?: 'auto' | 'none' | PolicyStatement[];
  readonly bucket?: { kmsKey?: string; acls?: boolean; bareDenials?: boolean };
  /** Nothing is below the prefix yet. */
  readonly empty?: true;
  /** Required actions that are not there. Every other check must be `allowed`, but for those that are `unknown`. */
  readonly denied: readonly string[];
  readonly unknown?: readonly string[];
  /** What a store cannot tell that says no more than "Access Denied". */
  readonly unknownWhereBare?: readonly string[];
  /** What AWS alone tells. */
  readonly unknownElsewhere?: readonly string[];
  /** The kind of policy that AWS's denial names. */
  readonly by?: string;
  readonly explicit?: boolean;
  /** A feature that Ceph does not have, or has otherwise. */
  readonly notOnCeph?: string;
  /** AWS alone: KMS. */
  readonly awsOnly?: true;
}

export const KEY = 'arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555';
const BUCKET = 'arn:aws:s3:::BUCKET';
const DOCS = `${BUCKET}/docs/*`;
const [L, G, P, D] = ['s3:ListBucket', 's3:GetObject', 's3:PutObject', 's3:DeleteObject'] as const;
const [ACL, TAG] = ['s3:PutObjectAcl', 's3:PutObjectTagging'] as const;
const [GEN, DEC] = ['kms:GenerateDataKey', 'kms:Decrypt'] as const;

const deny = (actions: string[], resource: string, Condition?: PolicyStatement['Condition']): PolicyStatement => ({
  Effect: 'Deny',
  Action: actions,
  Resource: resource,
  ...(Condition && { Condition }),
});
const listing = (Condition?: PolicyStatement['Condition']): PolicyStatement => ({
  ...allow([L], BUCKET),
  ...(Condition && { Condition }),
});
const LIST = listing({ StringLike: { 's3:prefix': 'docs/*' } });
const SITE = [LIST, allow([G, P, D], DOCS)];
const ALL: PolicyStatement[] = [{ Effect: 'Allow', Action: 's3:*', Resource: '*' }];
const EVERYTHING: PolicyStatement[] = [{ Effect: 'Allow', Action: '*', Resource: '*' }];
const everybody = (statement: PolicyStatement): PolicyStatement => ({ ...statement, Principal: '*' });
const user = (statement: PolicyStatement): PolicyStatement => ({ ...statement, Principal: { AWS: 'USER' } });

const APPEND = { overwrite: 'false', delete: 'false' };
const ACL_INPUT = { acl: 'bucket-owner-full-control' };
const TAGS_INPUT = { tags: 'team=web' };
const KMS_INPUT = { sse: 'aws:kms', 'sse-kms-key-id': KEY };
const KMS_ALIAS = { sse: 'aws:kms', 'sse-kms-key-id': 'alias/site' };
const withKey = (actions: string[]) => [...SITE, allow(actions, KEY)];
const CEPH_NEEDS_NO_MORE = 's3:PutObject is enough for ACL and tags';
const NO_BOUNDARIES = 'knows no permissions boundaries';

/** Every case of a deploy with `delete` below `docs/`, where an object is already, unless its inputs say otherwise. */
export const PROBE_CASES: readonly ProbeCase[] = [
  { name: 'exactly what is needed', policy: SITE, denied: [] },
  { name: 'everything', policy: ALL, denied: [] },
  { name: 'nothing', policy: [allow([L], 'arn:aws:s3:::another')], denied: [L, G, P, D], unknownWhereBare: [G] },
  {
    name: 'no list',
    policy: [allow([G, P, D], DOCS)],
    denied: [L],
    unknownWhereBare: [G],
    by: 'identity-based policy',
  },
  { name: 'no get', policy: [LIST, allow([P, D], DOCS)], denied: [G] },
  { name: 'no put', policy: [LIST, allow([G, D], DOCS)], denied: [P], by: 'identity-based policy' },
  { name: 'no delete', policy: [LIST, allow([G, P], DOCS)], denied: [D] },
  {
    name: 'no delete, where none is asked for',
    inputs: { delete: 'false' },
    policy: [LIST, allow([G, P], DOCS)],
    denied: [],
  },
  {
    name: 'no get, and nothing is there',
    empty: true,
    policy: [LIST, allow([P, D], DOCS)],
    denied: [G],
    unknownWhereBare: [G],
  },
  {
    name: 'exactly what is needed, and nothing is there',
    empty: true,
    policy: SITE,
    denied: [],
    unknownElsewhere: [G],
  },
  { name: 'put alone', policy: [allow([P], DOCS)], denied: [L, G, D], unknownWhereBare: [G] },
  { name: 'put alone, to append', inputs: APPEND, policy: [allow([P], DOCS)], denied: [] },
  { name: 'put and delete, to append', inputs: APPEND, policy: [allow([P, D], DOCS)], denied: [] },
  { name: 'no put, to append', inputs: APPEND, policy: [LIST, allow([G], DOCS)], denied: [P] },
  { name: 'list and get, for a plan', inputs: { 'dry-run': 'true' }, policy: [LIST, allow([G], DOCS)], denied: [] },
  {
    name: 'put and delete, for a plan',
    inputs: { 'dry-run': 'true' },
    policy: [allow([P, D], DOCS)],
    denied: [L, G],
    unknownWhereBare: [G],
  },
  {
    name: 'list denied',
    policy: [...SITE, deny([L], BUCKET)],
    denied: [L],
    unknownWhereBare: [G],
    by: 'identity-based policy',
    explicit: true,
  },
  { name: 'get denied', policy: [...SITE, deny([G], DOCS)], denied: [G], explicit: true },
  { name: 'put denied', policy: [...SITE, deny([P], DOCS)], denied: [P], explicit: true },
  { name: 'delete denied', policy: [...SITE, deny([D], DOCS)], denied: [D], explicit: true },
  { name: 'all denied elsewhere', policy: [...SITE, deny(['s3:*'], `${BUCKET}/blog/*`)], denied: [] },
  {
    name: 'list of another prefix',
    policy: [listing({ StringLike: { 's3:prefix': 'blog/*' } }), allow([G, P, D], DOCS)],
    denied: [L],
    unknownWhereBare: [G],
  },
  {
    name: 'list of exactly this prefix',
    policy: [listing({ StringEquals: { 's3:prefix': 'docs/' } }), allow([G, P, D], DOCS)],
    denied: [],
  },
  {
    name: 'list of the prefix without its slash',
    policy: [listing({ StringEquals: { 's3:prefix': 'docs' } }), allow([G, P, D], DOCS)],
    denied: [L],
    unknownWhereBare: [G],
  },
  {
    name: 'list of one of several prefixes',
    policy: [listing({ StringLike: { 's3:prefix': ['blog/*', 'docs*'] } }), allow([G, P, D], DOCS)],
    denied: [],
  },
  {
    name: 'list of folders only',
    policy: [listing({ StringEquals: { 's3:delimiter': '/' } }), allow([G, P, D], DOCS)],
    denied: [L],
    unknownWhereBare: [G],
  },
  {
    name: 'list denied but for another prefix',
    policy: [...SITE, deny([L], BUCKET, { StringNotLike: { 's3:prefix': 'blog/*' } })],
    denied: [L],
    unknownWhereBare: [G],
    explicit: true,
  },
  { name: 'put on another prefix', policy: [LIST, allow([G, D], DOCS), allow([P], `${BUCKET}/blog/*`)], denied: [P] },
  {
    name: 'put on a neighbour that begins alike',
    policy: [LIST, allow([G, D], DOCS), allow([P], `${BUCKET}/docs2/*`)],
    denied: [P],
  },
  {
    name: 'put in another bucket',
    policy: [LIST, allow([G, D], DOCS), allow([P], 'arn:aws:s3:::another/docs/*')],
    denied: [P],
  },
  { name: 'wildcards in actions', policy: [LIST, allow(['s3:*Object'], DOCS)], denied: [] },
  {
    name: 'all but delete, by NotAction',
    policy: [{ Effect: 'Allow', NotAction: D, Resource: [BUCKET, DOCS] }],
    denied: [D],
    notOnCeph: 'NotAction allows nothing',
  },
  {
    name: 'from this address',
    policy: SITE.map((one) => ({
      ...one,
      Condition: { ...one.Condition, IpAddress: { 'aws:SourceIp': '127.0.0.0/8' } },
    })),
    denied: [],
  },
  {
    name: 'from another address',
    policy: SITE.map((one) => ({
      ...one,
      Condition: { ...one.Condition, IpAddress: { 'aws:SourceIp': '192.0.2.0/24' } },
    })),
    denied: [L, G, P, D],
    unknownWhereBare: [G],
  },
  {
    name: 'denied from everywhere but another address',
    policy: [...SITE, deny([P], DOCS, { NotIpAddress: { 'aws:SourceIp': '192.0.2.0/24' } })],
    denied: [P],
    explicit: true,
  },
  {
    name: 'put denied by the bucket',
    policy: SITE,
    bucketPolicy: [everybody(deny([P], DOCS))],
    denied: [P],
    by: 'resource-based policy',
    explicit: true,
  },
  {
    name: 'delete denied by the bucket',
    policy: ALL,
    bucketPolicy: [everybody(deny([D], DOCS))],
    denied: [D],
    by: 'resource-based policy',
    explicit: true,
  },
  {
    name: 'list denied by the bucket',
    policy: SITE,
    bucketPolicy: [user(deny([L], BUCKET))],
    denied: [L],
    unknownWhereBare: [G],
    by: 'resource-based policy',
    explicit: true,
  },
  {
    name: 'put and delete granted by the bucket',
    policy: [LIST, allow([G], DOCS)],
    bucketPolicy: [user(allow([P, D], DOCS))],
    denied: [],
  },
  {
    name: 'a bucket that wants encryption asked for',
    policy: SITE,
    bucketPolicy: [everybody(deny([P], DOCS, { Null: { 's3:x-amz-server-side-encryption': 'true' } }))],
    denied: [P],
    by: 'resource-based policy',
    explicit: true,
  },
  {
    name: 'the same, asked for',
    inputs: { sse: 'AES256' },
    policy: SITE,
    bucketPolicy: [everybody(deny([P], DOCS, { Null: { 's3:x-amz-server-side-encryption': 'true' } }))],
    denied: [],
  },
  {
    name: 'a bucket that wants an ACL',
    policy: ALL,
    bucketPolicy: [everybody(deny([P], DOCS, { StringNotEquals: { 's3:x-amz-acl': 'bucket-owner-full-control' } }))],
    denied: [P],
    explicit: true,
  },
  {
    name: 'the same, with it',
    inputs: ACL_INPUT,
    policy: [...SITE, allow([ACL], DOCS)],
    bucketPolicy: [everybody(deny([P], DOCS, { StringNotEquals: { 's3:x-amz-acl': 'bucket-owner-full-control' } }))],
    denied: [],
  },
  {
    name: 'an ACL without the permission',
    inputs: ACL_INPUT,
    policy: SITE,
    denied: [ACL],
    notOnCeph: CEPH_NEEDS_NO_MORE,
  },
  { name: 'an ACL with the permission', inputs: ACL_INPUT, policy: [...SITE, allow([ACL], DOCS)], denied: [] },
  {
    name: 'tags without the permission',
    inputs: TAGS_INPUT,
    policy: SITE,
    denied: [TAG],
    notOnCeph: CEPH_NEEDS_NO_MORE,
  },
  { name: 'tags with the permission', inputs: TAGS_INPUT, policy: [...SITE, allow([TAG], DOCS)], denied: [] },
  {
    name: 'ACL and tags without either permission',
    inputs: { ...ACL_INPUT, ...TAGS_INPUT },
    policy: SITE,
    denied: [ACL, TAG],
    notOnCeph: CEPH_NEEDS_NO_MORE,
  },
  {
    name: 'tags denied',
    inputs: { ...ACL_INPUT, ...TAGS_INPUT },
    policy: [...SITE, allow([ACL, TAG], DOCS), deny([TAG], DOCS)],
    denied: [TAG],
    explicit: true,
    notOnCeph: CEPH_NEEDS_NO_MORE,
  },
  {
    name: 'tags, and no put',
    inputs: TAGS_INPUT,
    policy: [LIST, allow([G, D, TAG], DOCS)],
    denied: [P],
    unknown: [TAG],
  },
  { name: 'a key that may be used', inputs: KMS_INPUT, policy: withKey([GEN, DEC]), denied: [], awsOnly: true },
  {
    name: 'a key by its alias',
    inputs: KMS_ALIAS,
    policy: [
      ...SITE,
      {
        ...allow([GEN, DEC], 'arn:aws:kms:eu-central-1:123456789012:key/*'),
        Condition: { 'ForAnyValue:StringEquals': { 'kms:ResourceAliases': 'alias/site' } },
      },
    ],
    denied: [],
    awsOnly: true,
  },
  { name: 'a key that may not be used', inputs: KMS_INPUT, policy: SITE, denied: [GEN], unknown: [DEC], awsOnly: true },
  { name: 'a key that may only encrypt', inputs: KMS_INPUT, policy: withKey([GEN]), denied: [DEC], awsOnly: true },
  {
    name: 'a key that may only decrypt',
    inputs: KMS_INPUT,
    policy: withKey([DEC]),
    denied: [GEN],
    unknown: [DEC],
    awsOnly: true,
  },
  {
    name: 'another key',
    inputs: KMS_INPUT,
    policy: [...SITE, allow([GEN, DEC], `${KEY.slice(0, -1)}6`)],
    denied: [GEN],
    unknown: [DEC],
    awsOnly: true,
  },
  {
    name: 'a key that is denied',
    inputs: KMS_INPUT,
    policy: [...ALL, ...withKey([GEN, DEC]), deny(['kms:*'], KEY)],
    denied: [GEN],
    unknown: [DEC],
    explicit: true,
    awsOnly: true,
  },
  {
    name: 'a key and tags, neither granted',
    inputs: { ...KMS_INPUT, ...TAGS_INPUT },
    policy: SITE,
    denied: [TAG, GEN],
    unknown: [DEC],
    awsOnly: true,
  },
  {
    name: "the bucket's own key, not granted",
    policy: SITE,
    bucket: { kmsKey: KEY },
    denied: [GEN, DEC],
    awsOnly: true,
  },
  {
    name: "the bucket's own key, granted",
    policy: withKey([GEN, DEC]),
    bucket: { kmsKey: KEY },
    denied: [],
    awsOnly: true,
  },
  {
    name: 'a boundary without put',
    policy: ALL,
    boundary: [LIST, allow([G, D], DOCS)],
    denied: [P],
    by: 'permissions boundary',
    notOnCeph: NO_BOUNDARIES,
  },
  {
    name: 'a boundary that denies delete',
    policy: ALL,
    boundary: [...ALL, deny([D], DOCS)],
    denied: [D],
    by: 'permissions boundary',
    explicit: true,
    notOnCeph: NO_BOUNDARIES,
  },
  {
    name: 'a boundary without list',
    policy: ALL,
    boundary: [allow([G, P, D], DOCS)],
    denied: [L],
    by: 'permissions boundary',
    notOnCeph: NO_BOUNDARIES,
  },
  { name: 'a wide boundary', policy: SITE, boundary: EVERYTHING, denied: [], notOnCeph: NO_BOUNDARIES },
  { name: 'a role, narrowed by itself', policy: ALL, session: 'auto', denied: [] },
  { name: 'a least role, narrowed by itself', policy: SITE, session: 'auto', denied: [] },
  {
    name: 'a role without put, narrowed by itself',
    policy: [LIST, allow([G, D], DOCS)],
    session: 'auto',
    denied: [P],
    by: 'identity-based policy',
  },
  { name: 'a role as it is', policy: SITE, session: 'none', denied: [] },
  {
    name: 'a session without put',
    policy: ALL,
    session: [LIST, allow([G, D], DOCS)],
    denied: [P],
    by: 'session policy',
  },
  {
    name: 'a session without list',
    policy: ALL,
    session: [allow([G, P, D], DOCS)],
    denied: [L],
    unknownWhereBare: [G],
    by: 'session policy',
  },
  {
    name: 'a session that denies delete',
    policy: ALL,
    session: [...ALL, deny([D], DOCS)],
    denied: [D],
    by: 'session policy',
    explicit: true,
  },
  {
    name: 'a session for another prefix',
    policy: ALL,
    session: [listing({ StringLike: { 's3:prefix': 'blog/*' } }), allow([G, P, D], `${BUCKET}/blog/*`)],
    denied: [L, G, P, D],
    unknownWhereBare: [G],
  },
  {
    name: 'a session without the key',
    inputs: KMS_INPUT,
    policy: EVERYTHING,
    session: SITE,
    denied: [GEN],
    unknown: [DEC],
    by: 'session policy',
    awsOnly: true,
  },
  {
    name: 'a role with its key, narrowed by itself',
    inputs: KMS_INPUT,
    policy: withKey([GEN, DEC]),
    session: 'auto',
    denied: [],
    awsOnly: true,
  },
  {
    name: 'a role with ACL and tags, narrowed by itself',
    inputs: { ...ACL_INPUT, ...TAGS_INPUT },
    policy: [...SITE, allow([ACL, TAG], DOCS)],
    session: 'auto',
    denied: [],
  },
  {
    name: 'bare: no put',
    policy: [LIST, allow([G, D], DOCS)],
    bucket: { bareDenials: true },
    denied: [P],
    notOnCeph: 'always bare',
  },
  {
    name: 'bare: no list',
    policy: [allow([G, P, D], DOCS)],
    bucket: { bareDenials: true },
    denied: [L],
    unknown: [G],
    notOnCeph: 'always bare',
  },
  {
    name: 'bare: no get',
    policy: [LIST, allow([P, D], DOCS)],
    bucket: { bareDenials: true },
    denied: [G],
    notOnCeph: 'always bare',
  },
  {
    name: 'bare: ACL and tags, tags not granted',
    inputs: { ...ACL_INPUT, ...TAGS_INPUT },
    policy: [...SITE, allow([ACL], DOCS)],
    bucket: { bareDenials: true },
    denied: [TAG],
    notOnCeph: 'always bare',
  },
  {
    name: 'bare: ACL, and no put',
    inputs: ACL_INPUT,
    policy: [LIST, allow([G, D, ACL], DOCS)],
    bucket: { bareDenials: true },
    denied: [P],
    unknown: [ACL],
    notOnCeph: 'always bare',
  },
];

/** The statements about one bucket and user. */
export function documentOf(statements: PolicyStatement[], bucket: string, userArn: string): PolicyDocument {
  const text = JSON.stringify({ Version: '2012-10-17', Statement: statements });
  return JSON.parse(text.replaceAll('BUCKET', bucket).replaceAll('"USER"', JSON.stringify(userArn)));
}
