import { DeleteObjectCommand, DeleteObjectsCommand, type S3Client } from '@aws-sdk/client-s3';
import { eachOf } from '../core/each-of.ts';
import { describe, kindOf, misbehaved, type ServiceFailure } from '../core/explain.ts';
import type { Failure } from '../core/model.ts';
import { fitsXml } from '../core/storable.ts';
import type { Caller } from './caller.ts';
import { ServiceError, toServiceError } from './failure.ts';
import type { StoreKnowledge } from './store-knowledge.ts';

const BATCH = 1000;
/** A batch is sent again for the keys that the store was too busy to delete. */
const DELETE_ROUNDS = 4;

/** Keys that are deleted one by one between two looks at whether that may go on. */
const GROUP = 100;

type MayGoOn = () => Promise<boolean>;

/** Deletes keys, in batches where the store has them. */
export class Deletions {
  readonly #s3: S3Client;
  readonly #caller: Caller;
  readonly #bucket: string;
  readonly #knowledge: StoreKnowledge;
  /** False after a batch was refused as a whole. */
  #mayBatch = true;

  constructor(s3: S3Client, caller: Caller, bucket: string, knowledge: StoreKnowledge) {
    this.#s3 = s3;
    this.#caller = caller;
    this.#bucket = bucket;
    this.#knowledge = knowledge;
  }

  /**
   * Answers the keys that are still there, with the reason.
   * @param mayGoOn asked before anything is tried again, and now and then where keys are deleted one by one.
   * @throws ServiceError for a failure of all that is left.
   */
  async deleteMany(keys: readonly string[], mayGoOn: MayGoOn = async () => true): Promise<Failure[]> {
    // A key that XML cannot carry goes alone, in the URL.
    const together = this.#mayBatch && !this.#knowledge.lacks('batchDelete') ? keys.filter(fitsXml) : [];
    const alone = together.length === 0 ? keys : keys.filter((key) => !fitsXml(key));
    const failures = await this.#deleteOneByOne(alone, mayGoOn);
    for (let i = 0; i < together.length; i += BATCH) {
      failures.push(...(await this.#deleteBatch(together.slice(i, i + BATCH), mayGoOn)));
    }
    return failures;
  }

  async #deleteBatch(keys: readonly string[], mayGoOn: MayGoOn): Promise<Failure[]> {
    const operation = 'DeleteObjects';
    if (!this.#mayBatch) return this.#deleteOneByOne(keys, mayGoOn);
    const failed = new Map<string, ServiceFailure>();
    let left = keys;
    for (let round = 1; round <= DELETE_ROUNDS && left.length > 0; round++) {
      if (round > 1 && !(await mayGoOn())) break;
      failed.clear();
      try {
        for (const { Key, Code, Message } of await this.#sendBatch(left, mayGoOn)) {
          const error = { name: Code ?? 'Unknown', message: Message ?? '', $metadata: { httpStatusCode: 200 } };
          failed.set(Key ?? '', toServiceError(operation, error).failure);
        }
      } catch (error) {
        // Stores without batches say 400, 403 or 501; Ceph wants the permission on the bucket for them.
        if (!(error instanceof ServiceError) || !['refused', 'denied'].includes(kindOf(error.failure))) throw error;
        this.#mayBatch = false;
        if (kindOf(error.failure) === 'refused') {
          this.#knowledge.learn({ batchDelete: false });
          this.#knowledge.lacks('batchDelete');
        }
        return this.#deleteOneByOne(left, mayGoOn);
      }
      left = [...failed]
        .filter(([, failure]) => ['throttled', 'transient'].includes(kindOf(failure)))
        .map(([key]) => key);
      if (left.length < failed.size) break;
    }
    return [...failed].map(([key, failure]) => toFailure(key, failure));
  }

  async #sendBatch(keys: readonly string[], mayRetry: MayGoOn) {
    const operation = 'DeleteObjects';
    return this.#caller.call(
      operation,
      async (options) => {
        const command = new DeleteObjectsCommand({
          Bucket: this.#bucket,
          // Not quiet: an answer that was cut short, or is not S3's, must not look like one without errors.
          Delete: { Quiet: false, Objects: keys.map((Key) => ({ Key })) },
          // Content-MD5 instead of CRC32: older stores know nothing else.
          ChecksumAlgorithm: 'MD5' as never,
        });
        const { Deleted = [], Errors = [] } = await this.#s3.send(command, options);
        if (Deleted.length + Errors.length < keys.length) {
          throw new ServiceError(misbehaved(operation, 'an answer that does not name every key'));
        }
        return Errors;
      },
      { slow: true, mayRetry },
    );
  }

  async #deleteOneByOne(keys: readonly string[], mayGoOn: MayGoOn): Promise<Failure[]> {
    const failures: Failure[] = [];
    for (let i = 0; i < keys.length; i += GROUP) {
      const group = keys.slice(i, i + GROUP);
      if (i > 0 && !(await mayGoOn())) return [...failures, ...keys.slice(i).map(leftToAnother)];
      await eachOf(group, 16, async (Key) => {
        try {
          const command = new DeleteObjectCommand({ Bucket: this.#bucket, Key });
          const how = { mayRetry: mayGoOn };
          await this.#caller.call('DeleteObject', (options) => this.#s3.send(command, options), how);
        } catch (error) {
          if (!(error instanceof ServiceError)) throw error;
          failures.push(toFailure(Key, error.failure));
        }
      });
    }
    return failures;
  }
}

function leftToAnother(key: string): Failure {
  const message = 'another deploy has finished meanwhile, and may have a use for it';
  return { key, operation: 'DeleteObject', code: 'Superseded', message };
}

function toFailure(key: string, failure: ServiceFailure): Failure {
  return { key, operation: failure.operation, code: failure.code, message: describe(failure) };
}
