import { authorize, bucketArn } from './authorization.ts';
import type { Answer, Call } from './call.ts';
import { s3Error } from './errors.ts';
import { S3_NAMESPACE, xml } from './xml.ts';

/** HeadBucket wants what a list wants, but has no prefix that a condition could look at. */
export function headBucket(call: Call): Answer {
  authorize(call, 's3:ListBucket', bucketArn(call.bucket.name));
  return { status: 200, headers: { 'content-type': 'application/xml', 'x-amz-access-point-alias': 'false' } };
}

export function getBucketLocation(call: Call): Answer {
  authorize(call, 's3:GetBucketLocation', bucketArn(call.bucket.name));
  const region = call.bucket.options.region ?? call.state.region;
  // us-east-1 has no name here, for reasons of 2006.
  return { status: 200, body: xml('LocationConstraint', region === 'us-east-1' ? '' : region, S3_NAMESPACE) };
}

export function getBucketVersioning(call: Call): Answer {
  authorize(call, 's3:GetBucketVersioning', bucketArn(call.bucket.name));
  const content = call.bucket.isVersioned ? { Status: 'Enabled' } : '';
  return { status: 200, body: xml('VersioningConfiguration', content, S3_NAMESPACE) };
}

export function getObjectLockConfiguration(call: Call): Answer {
  authorize(call, 's3:GetBucketObjectLockConfiguration', bucketArn(call.bucket.name));
  const lock = call.bucket.options.objectLock;
  if (!lock) throw s3Error('ObjectLockConfigurationNotFoundError', { BucketName: call.bucket.name });
  const content = { ObjectLockEnabled: 'Enabled', Rule: { DefaultRetention: { Mode: lock.mode, Days: lock.days } } };
  return { status: 200, body: xml('ObjectLockConfiguration', content, S3_NAMESPACE) };
}

export function getBucketEncryption(call: Call): Answer {
  authorize(call, 's3:GetEncryptionConfiguration', bucketArn(call.bucket.name));
  const key = call.bucket.options.kmsKey;
  const byDefault = key ? { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: key } : { SSEAlgorithm: 'AES256' };
  const content = { Rule: { ApplyServerSideEncryptionByDefault: byDefault, BucketKeyEnabled: false } };
  return { status: 200, body: xml('ServerSideEncryptionConfiguration', content, S3_NAMESPACE) };
}

export function getBucketNotification(call: Call): Answer {
  authorize(call, 's3:GetBucketNotification', bucketArn(call.bucket.name));
  const content = call.bucket.options.notifies ? { EventBridgeConfiguration: '' } : '';
  return { status: 200, body: xml('NotificationConfiguration', content, S3_NAMESPACE) };
}
