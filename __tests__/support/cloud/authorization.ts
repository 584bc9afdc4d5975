import type { Call, CloudState } from './call.ts';
import { s3Error } from './errors.ts';
import type { Principal } from './identities.ts';
import type { Context } from './patterns.ts';

/** Request headers that policies can ask about, as `s3:` and the name. */
const HEADER_KEYS = [
  'x-amz-acl',
  'x-amz-content-sha256',
  'x-amz-copy-source',
  'x-amz-metadata-directive',
  'x-amz-server-side-encryption',
  'x-amz-server-side-encryption-aws-kms-key-id',
  'x-amz-storage-class',
  'x-amz-website-redirect-location',
  'if-match',
  'if-none-match',
];

/** The condition keys of a request that do not depend on the action. */
export function requestContext(
  state: CloudState,
  request: { headers: Record<string, string>; secure: boolean; region: string; principal: Principal },
): Context {
  const context: Context = {
    'aws:securetransport': String(request.secure),
    'aws:sourceip': '127.0.0.1',
    'aws:currenttime': new Date(state.now()).toISOString(),
    'aws:epochtime': String(Math.floor(state.now() / 1000)),
    'aws:requestedregion': request.region,
    'aws:resourceaccount': state.account,
    'aws:useragent': request.headers['user-agent'],
    's3:resourceaccount': state.account,
  };
  if (request.principal.kind !== 'anonymous') {
    context['s3:authtype'] = 'REST-HEADER';
    context['s3:signatureversion'] = 'AWS4-HMAC-SHA256';
  }
  for (const name of HEADER_KEYS) context[`s3:${name}`] = request.headers[name];
  return context;
}

export const bucketArn = (name: string) => `arn:aws:s3:::${name}`;
export const objectArn = (bucket: string, key: string) => `${bucketArn(bucket)}/${key}`;

/** Whether the sender may; `resource` and `context` default to the object of the call. */
export function may(
  call: Call,
  action: string,
  resource = objectArn(call.bucket.name, call.key),
  context: Context = {},
) {
  const question = { action, resource, context: { ...call.context, ...context } };
  return call.state.identities.decide(call.principal, question, call.bucket.options.policy);
}

/** Throws AWS's AccessDenied when the sender may not. */
export function authorize(
  call: Call,
  action: string,
  resource = objectArn(call.bucket.name, call.key),
  context: Context = {},
): void {
  const verdict = may(call, action, resource, context);
  if (verdict.allowed) return;
  if (call.principal.kind === 'anonymous' || call.bucket.options.bareDenials) throw s3Error('AccessDenied');
  throw s3Error(
    'AccessDenied',
    {},
    `User: ${call.principal.arn} is not authorized to perform: ${action} on resource: "${resource}" ${verdict.because}`,
  );
}

/** For an object that is not there: S3 says so only to those who may list the bucket, whatever the prefix. */
export function missing(call: Call, code: 'NoSuchKey' | 'NoSuchVersion', details: Record<string, string> = {}): never {
  authorize(call, 's3:ListBucket', bucketArn(call.bucket.name));
  throw s3Error(code, { Key: call.key, ...details });
}

/** The ARN of a KMS key that a request names by id or ARN. */
export function kmsKeyArn(call: Call, key: string): string {
  if (key.startsWith('arn:')) return key;
  const region = call.bucket.options.region ?? call.state.region;
  return `arn:aws:kms:${region}:${call.state.account}:${key.startsWith('alias/') ? key : `key/${key}`}`;
}

/** Asks KMS in the sender's name. The key that AWS manages for S3 serves everybody in the account. */
export function authorizeKms(call: Call, action: 'kms:GenerateDataKey' | 'kms:Decrypt', key: string | undefined): void {
  if (key === undefined || key.endsWith('alias/aws/s3')) return;
  const { identities } = call.state;
  const region = call.bucket.options.region ?? call.state.region;
  const context: Context = {
    ...call.context,
    'kms:viaservice': `s3.${region}.amazonaws.com`,
    'kms:calleraccount': call.state.account,
    'kms:encryptioncontext:aws:s3:arn': objectArn(call.bucket.name, call.key),
  };
  // A policy never sees an alias as the resource: it is a condition on the key behind it.
  const [, place = '', alias] = /^(.*:)(alias\/.*)$/.exec(key) ?? [];
  if (alias !== undefined) context['kms:resourcealiases'] = [alias];
  const resource = alias === undefined ? key : `${place}key/behind-${alias.slice('alias/'.length)}`;
  const verdict = identities.decide(call.principal, { action, resource, context });
  if (verdict.allowed) return;
  if (call.principal.kind === 'anonymous' || call.bucket.options.bareDenials) throw s3Error('AccessDenied');
  throw s3Error(
    'AccessDenied',
    {},
    `User: ${call.principal.arn} is not authorized to perform: ${action} on resource: ${resource} ${verdict.because}`,
  );
}
