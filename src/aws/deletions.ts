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

  /** Answers the keys that are still there, with the reason. @throws ServiceError for a failure of all that is left. */
  async deleteMany(keys: readonly string[]): Promise<Failure[]> {
    // A key that XML cannot carry goes alone, in the URL.
    const together = this.#mayBatch && !this.#knowledge.lacks('batchDelete') ? keys.filter(fitsXml) : [];
    const failures = await this.#deleteOneByOne(together.length === 0 ? keys : keys.filter((key) => !fitsXml(key)));
    for (let i = 0; i < together.length; i += BATCH) {
      failures.push(...(await this.#deleteBatch(together.slice(i, i + BATCH))));
    }
    return failures;
  }

  async #deleteBatch(keys: readonly string[]): Promise<Failure[]> {
    const operation = 'DeleteObjects';
    if (!this.#mayBatch) return this.#deleteOneByOne(keys);
    const failed = new Map<string, ServiceFailure>();
    let left = keys;
    for (let round = 1; round <= DELETE_ROUNDS && left.length > 0; round++) {
      failed.clear();
      try {
        for (const { Key, Code, Message } of await this.#sendBatch(left)) {
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
        return this.#deleteOneByOne(left);
      }
      left = [...failed]
        .filter(([, failure]) => ['throttled', 'transient'].includes(kindOf(failure)))
        .map(([key]) => key);
      if (left.length < failed.size) break;
    }
    return [...failed].map(([key, failure]) => toFailure(key, failure));
  }

  async #sendBatch(keys: readonly string[]) {
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
      { slow: true },
    );
  }

  async #deleteOneByOne(keys: readonly string[]): Promise<Failure[]> {
    const failures: Failure[] = [];
    await eachOf(keys, 16, async (Key) => {
      try {
        const command = new DeleteObjectCommand({ Bucket: this.#bucket, Key });
        await this.#caller.call('DeleteObject', (options) => this.#s3.send(command, options));
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        failures.push(toFailure(Key, error.failure));
      }
    });
    return failures;
  }
}

function toFailure(key: string, failure: ServiceFailure): Failure {
  return { key, operation: failure.operation, code: failure.code, message: describe(failure) };
}
