import type { StorageOptions } from './model.ts';

/** An IAM action that a run may need. */
export type Action =
  | 's3:ListBucket'
  | 's3:GetObject'
  | 's3:PutObject'
  | 's3:PutObjectAcl'
  | 's3:PutObjectTagging'
  | 's3:AbortMultipartUpload'
  | 's3:DeleteObject'
  | 'kms:GenerateDataKey'
  | 'kms:Decrypt'
  | 'cloudfront:CreateInvalidation'
  | 'cloudfront:GetInvalidation';

/** What decides which actions a run needs. A probe asks for what a deploy with the same inputs would. */
export interface Purpose {
  readonly mode: 'deploy' | 'plan' | 'probe' | 'remove';
  /** A probe with `dry-run` asks for what a plan would need. */
  readonly dryRun?: boolean | undefined;
  readonly delete: boolean | 'off' | 'all' | 'owned';
  /** Default true. */
  readonly overwrite?: boolean | undefined;
  readonly storage?: StorageOptions | undefined;
  /** A store that is not AWS knows no actions of KMS. */
  readonly endpoint?: string | undefined;
  /** The CloudFront distribution that is invalidated after changes. */
  readonly distribution?: string | undefined;
  /** A run waits until the invalidation is complete. */
  readonly cloudfrontWait?: boolean | undefined;
}

/** What a run cannot do without, and what it makes use of where it is granted. */
export interface Needs {
  readonly required: readonly Action[];
  readonly wanted: readonly Action[];
}

/**
 * The actions that these inputs imply; each is proved by the probe.
 *
 * | action                  | required                           | wanted               |
 * | ----------------------- | ---------------------------------- | -------------------- |
 * | list, get               | to compare, and to delete          | when only appending  |
 * | put                     | but in a plan                      |                      |
 * | put ACL, put tagging    | with `acl`, with `tags`            |                      |
 * | abort multipart         |                                    | with put             |
 * | KMS                     | with `sse-kms-key-id`, on AWS      |                      |
 * | delete                  | with `delete`                      |                      |
 * | create invalidation     | with `cloudfront-distribution-id`  |                      |
 * | get invalidation        | with `cloudfront-wait` besides     |                      |
 *
 * Who only appends (`overwrite: false` without `delete`) puts on the condition that nothing is there, and need not see
 * what is. S3 lets the initiator of an upload abort it; some stores do not, and all a deploy loses there is tidiness.
 */
export function needsOf(purpose: Purpose): Needs {
  const { storage = {}, mode, dryRun } = purpose;
  const deletes = purpose.delete !== false && purpose.delete !== 'off';
  const invalidating: Action[] = purpose.distribution === undefined ? [] : ['cloudfront:CreateInvalidation'];
  if (invalidating.length > 0 && purpose.cloudfrontWait) invalidating.push('cloudfront:GetInvalidation');
  if (mode === 'remove') {
    const removing = dryRun ? [] : ['s3:DeleteObject' as const, ...invalidating];
    return { required: ['s3:ListBucket', ...removing], wanted: [] };
  }
  const reading: Action[] = ['s3:ListBucket', 's3:GetObject'];
  const appends = purpose.overwrite === false && !deletes;
  const required: Action[] = appends ? [] : [...reading];
  const wanted: Action[] = appends ? reading : [];
  if (mode === 'plan' || dryRun) return { required, wanted };
  required.push('s3:PutObject');
  if (storage.acl !== undefined) required.push('s3:PutObjectAcl');
  if (storage.tags !== undefined) required.push('s3:PutObjectTagging');
  if (storage.kmsKeyId !== undefined && purpose.endpoint === undefined) {
    required.push('kms:GenerateDataKey', 'kms:Decrypt');
  }
  if (deletes) required.push('s3:DeleteObject');
  required.push(...invalidating);
  return { required, wanted: [...wanted, 's3:AbortMultipartUpload'] };
}

/** The actions without which a run with these inputs fails. */
export function neededActions(purpose: Purpose): Action[] {
  return [...needsOf(purpose).required];
}
