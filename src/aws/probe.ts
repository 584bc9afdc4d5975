import { createHash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { denialOf, describe, explain, kindOf, misbehaved } from '../core/explain.ts';
import type { Destination } from '../core/key.ts';
import type { Check } from '../core/model.ts';
import { type Action, type Partition, resourceFor } from '../core/policy.ts';
import type { Caller, CallHow, CallOptions } from './clients.ts';
import { ServiceError } from './failure.ts';
import { deleted } from './object-store.ts';

export interface ProbeTarget {
  readonly destination: Destination;
  readonly partition: Partition;
  readonly isAws: boolean;
  /** Makes the probe's keys its own: no other run touches them. */
  readonly runId: string;
}

/** What a call showed, before it is put into a Check. */
type Finding = Pick<Check, 'result' | 'evidence' | 'why' | 'requestId'>;

/**
 * Tries each action under the very prefix of the deploy, with calls that leave no object, version or event behind:
 *
 * | action          | call                                             | allowed                | denied |
 * | --------------- | ------------------------------------------------ | ---------------------- | ------ |
 * | s3:ListBucket   | ListObjectsV2 with the prefix                    | 200                    | 403    |
 * | s3:GetObject    | GetObject of one byte of a listed object, or of  | 200, 206, 416, 404     | 403    |
 * |                 | a missing one                                    |                        |        |
 * | s3:PutObject    | on AWS a multipart start, aborted                | 200                    | 403    |
 * |                 | elsewhere PutObject with a Content-MD5 that lies | 400 BadDigest          | 403    |
 * | s3:DeleteObject | DeleteObject of a missing key, `If-Match: *`     | 404, 412, 204          | 403    |
 *
 * Multipart starts prove encryption with KMS as well; on stores that let nobody but holders of s3:AbortMultipartUpload
 * abort (Ceph), one would stay behind.
 * @throws DeployError when the bucket is missing or in another region, the keys are wrong, or the store is silent.
 */
export async function probe(
  s3: S3Client,
  caller: Caller,
  target: ProbeTarget,
  actions: readonly Action[],
): Promise<Check[]> {
  const prober = new Prober(s3, caller, target);
  const findings = await prober.findAll(actions);
  return actions.map((action, index) => {
    const finding = findings[index] ?? { result: 'unknown', evidence: 'not tried' };
    return { action, resource: resourceFor(action, target.destination, target.partition), ...finding };
  });
}

class Prober {
  readonly #s3: S3Client;
  readonly #caller: Caller;
  readonly #target: ProbeTarget;

  constructor(s3: S3Client, caller: Caller, target: ProbeTarget) {
    this.#s3 = s3;
    this.#caller = caller;
    this.#target = target;
  }

  async findAll(actions: readonly Action[]): Promise<Finding[]> {
    const listed = this.#list();
    const tried = await Promise.allSettled(
      actions.map(async (action): Promise<Finding> => {
        switch (action) {
          case 's3:ListBucket':
            return (await listed).finding;
          case 's3:GetObject':
            return this.#read((await listed).key);
          case 's3:PutObject':
            return this.#target.isAws ? this.#beginUpload() : this.#putWithWrongDigest();
          case 's3:DeleteObject':
            return this.#deleteNothing();
          case 's3:AbortMultipartUpload':
            return { result: 'unknown', evidence: 'not tried' };
        }
      }),
    );
    // Only now, when each check has taken back what it had to leave: the run ends with the first that throws.
    return tried.map((one) => {
      if (one.status === 'rejected') throw one.reason;
      return one.value;
    });
  }

  get #bucket() {
    return { Bucket: this.#target.destination.bucket };
  }

  #ownKey(name: string): string {
    return `${this.#target.destination.prefix}.s3-deploy-probe/${this.#target.runId}-${name}`;
  }

  async #list(): Promise<{ finding: Finding; key?: string }> {
    const command = new ListObjectsV2Command({ ...this.#bucket, Prefix: this.#target.destination.prefix, MaxKeys: 2 });
    const { finding, answer } = await this.#try('s3:ListBucket', 'ListObjectsV2', (options) =>
      this.#s3.send(command, options).then(having('Name', 'ListObjectsV2')),
    );
    // A folder marker may be there that nobody can read; any other object says whether reading is allowed.
    const key = answer?.Contents?.map(({ Key }) => Key).find((Key) => Key !== undefined && !Key.endsWith('/'));
    return key === undefined ? { finding } : { finding, key };
  }

  async #read(listedKey: string | undefined): Promise<Finding> {
    const Key = listedKey ?? this.#ownKey('read');
    const command = new GetObjectCommand({ ...this.#bucket, Key, Range: 'bytes=0-0' });
    const { finding, answer } = await this.#try(
      's3:GetObject',
      'GetObject',
      (options) => this.#s3.send(command, options),
      {
        NoSuchKey: 'allowed',
        NotFound: 'allowed',
        InvalidRange: 'allowed',
        InvalidObjectState: 'allowed', // archived: readable, not now
      },
    );
    await answer?.Body?.transformToByteArray();
    if (finding.result === 'denied' && listedKey === undefined && finding.why === undefined) {
      // Where the listing is limited to a prefix, a missing key is denied as well, and not every store says why.
      return {
        ...finding,
        result: 'unknown',
        why: 'nothing is there yet to read, and the store does not say who denied',
      };
    }
    return finding;
  }

  async #beginUpload(): Promise<Finding> {
    const target = { ...this.#bucket, Key: this.#ownKey('write') };
    const { finding, answer } = await this.#try(
      's3:PutObject',
      'CreateMultipartUpload',
      (options) =>
        this.#s3
          .send(new CreateMultipartUploadCommand(target), options)
          .then(having('UploadId', 'CreateMultipartUpload')),
      {},
      'hear',
    );
    if (answer?.UploadId === undefined) return finding;
    const abort = new AbortMultipartUploadCommand({ ...target, UploadId: answer.UploadId });
    return this.#cleanUp(finding, 'AbortMultipartUpload', `the open upload of ${target.Key}`, (options) =>
      this.#s3.send(abort, options).then(deleted),
    );
  }

  async #putWithWrongDigest(): Promise<Finding> {
    const target = { ...this.#bucket, Key: this.#ownKey('write') };
    const ContentMD5 = createHash('md5').update('another content').digest('base64');
    const { finding, answer } = await this.#try(
      's3:PutObject',
      'PutObject',
      (options) => this.#s3.send(new PutObjectCommand({ ...target, Body: 's3-deploy probe', ContentMD5 }), options),
      { BadDigest: 'allowed', InvalidDigest: 'allowed', XAmzContentSHA256Mismatch: 'allowed' },
      'hear',
    );
    if (answer === undefined) return finding;
    // The store does not look at Content-MD5, so the object is there.
    const remove = new DeleteObjectCommand({ ...target, ...(answer.VersionId && { VersionId: answer.VersionId }) });
    return this.#cleanUp(finding, 'DeleteObject', `the object ${target.Key}`, (options) =>
      this.#s3.send(remove, options).then(deleted),
    );
  }

  async #deleteNothing(): Promise<Finding> {
    const target = { ...this.#bucket, Key: this.#ownKey('delete') };
    const { finding, answer } = await this.#try(
      's3:DeleteObject',
      'DeleteObject',
      (options) => this.#s3.send(new DeleteObjectCommand({ ...target, IfMatch: '*' }), options),
      { PreconditionFailed: 'allowed', NoSuchKey: 'allowed', NotFound: 'allowed' },
    );
    if (answer?.DeleteMarker !== true || answer.VersionId === undefined) return finding;
    // A versioned bucket of a store that does not know the condition.
    const remove = new DeleteObjectCommand({ ...target, VersionId: answer.VersionId });
    return this.#cleanUp(finding, 'DeleteObject', `a delete marker at ${target.Key}`, (options) =>
      this.#s3.send(remove, options).then(deleted),
    );
  }

  /** Takes back what a check had to leave, also when the run is being cancelled; what stays is named. */
  async #cleanUp(
    finding: Finding,
    operation: string,
    leftover: string,
    send: (options: CallOptions) => Promise<unknown>,
  ): Promise<Finding> {
    try {
      await this.#caller.call(operation, send, { whenCancelled: 'go on' });
      return finding;
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      return { ...finding, why: `${leftover} stays behind: ${describe(error.failure)}` };
    }
  }

  /**
   * Makes one call and judges its answer.
   * @param verdicts error codes that tell that the action itself is allowed.
   */
  async #try<T extends { $metadata: { httpStatusCode?: number | undefined; requestId?: string | undefined } }>(
    action: Action,
    operation: string,
    send: (options: CallOptions) => Promise<T>,
    verdicts: Record<string, 'allowed'> = {},
    whenCancelled: CallHow['whenCancelled'] = 'end',
  ): Promise<{ finding: Finding; answer?: T }> {
    try {
      const answer = await this.#caller.call(operation, send, { expect: Object.keys(verdicts), whenCancelled });
      const { httpStatusCode, requestId } = answer.$metadata;
      return {
        finding: { result: 'allowed', evidence: `${operation} ${httpStatusCode}`, ...(requestId && { requestId }) },
        answer,
      };
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      const { failure } = error;
      const evidence = `${operation} ${failure.status} ${failure.code}`;
      const found = { evidence, ...(failure.requestId && { requestId: failure.requestId }) };
      if (verdicts[failure.code] === 'allowed') return { finding: { result: 'allowed', ...found } };
      if (kindOf(failure) === 'denied') return { finding: { ...found, ...judgeDenial(action, failure.message) } };
      if (kindOf(failure) === 'refused')
        return {
          finding: { result: 'unknown', ...found, why: failure.message || 'the store does not know this call' },
        };
      throw explain(failure, this.#target.destination);
    }
  }
}

/** Lets an answer pass that has what S3 always answers; HTML with 200 has nothing of it. */
function having<T extends object>(member: keyof T & string, operation: string): (answer: T) => T {
  return (answer) => {
    if (answer[member] === undefined) throw new ServiceError(misbehaved(operation, `an answer without ${member}`));
    return answer;
  };
}

/**
 * A missing key is denied for want of s3:ListBucket only to those who may do what they asked. Any other action that is
 * named instead (kms:GenerateDataKey) stands in the way of this one.
 */
function judgeDenial(action: Action, message: string): Pick<Finding, 'result' | 'why'> {
  const { action: denied, by } = denialOf(message);
  if (denied === undefined) return { result: 'denied' };
  if (denied === 's3:ListBucket' && action !== 's3:ListBucket')
    return { result: 'allowed', why: 'only s3:ListBucket was denied' };
  const why = [denied === action ? undefined : `${denied} was denied`, by]
    .filter((part) => part !== undefined)
    .join(', ');
  return why === '' ? { result: 'denied' } : { result: 'denied', why };
}
