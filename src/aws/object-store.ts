import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  type ObjectCannedACL,
  PutObjectCommand,
  type S3Client,
  type ServerSideEncryption,
  type StorageClass,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { eachOf } from '../core/each-of.ts';
import { describe, kindOf, misbehaved, type ServiceFailure } from '../core/explain.ts';
import type {
  Body,
  Condition,
  Failure,
  ObjectHeaders,
  ObjectStore,
  Put,
  RemoteObject,
  StorageOptions,
} from '../core/model.ts';
import { LARGEST_WHOLE, multipartEtag, partSizeFor, partsAtOnce, type UploadSizes } from '../core/parts.ts';
import { fitsXml } from '../core/storable.ts';
import type { Caller } from './caller.ts';
import { type Checksum, checksumOf, crcOf, PARTS_ALGORITHM, signByChecksum } from './checksum.ts';
import { type CredentialSource, inspectAnswer } from './clients.ts';
import { ServiceError, toServiceError } from './failure.ts';
import { FastPut, type Kind } from './fast-put.ts';
import { Listing, type Page } from './listing.ts';
import type { StoreKnowledge } from './store-knowledge.ts';
import { digestOfWhole, sendStreamed } from './streamed-body.ts';

const BATCH = 1000;
/** A batch is sent again for the keys that the store was too busy to delete. */
const DELETE_ROUNDS = 4;
/** An upload that the store has forgotten is begun again so often. */
const UPLOAD_STARTS = 3;

export interface StoreOptions {
  readonly bucket: string;
  readonly credentials: CredentialSource;
  /** True for AWS itself, where an answer's ETag is known to mean something. */
  readonly isAws: boolean;
  readonly sizes: UploadSizes;
  readonly storage: StorageOptions;
  /** What is known of the store; what is not is tried, and learned. */
  readonly knowledge: StoreKnowledge;
}

/** The bucket of a deploy, through the SDK. Every failure that it throws is a ServiceError. */
export class S3ObjectStore implements ObjectStore {
  readonly #s3: S3Client;
  readonly #caller: Caller;
  readonly #options: StoreOptions;
  readonly #listing: Listing;
  readonly #fastPut: FastPut;
  readonly #kinds = new WeakMap<ObjectHeaders, Kind>();
  /** An ETag of this store was seen to be an MD5, so that another one is a defect. */
  #etagsAreMd5 = false;
  /** False after a batch of deletions was refused as a whole. */
  #mayBatch = true;
  #ahead: { readonly key: string; readonly object: StoredObject } | undefined;

  constructor(s3: S3Client, caller: Caller, options: StoreOptions) {
    this.#s3 = s3;
    this.#caller = caller;
    this.#options = options;
    const { bucket, credentials, knowledge } = options;
    this.#listing = new Listing(s3, caller, bucket, knowledge);
    const { connections, clock } = caller;
    this.#fastPut = new FastPut({
      s3,
      bucket,
      credentials,
      connections,
      inspect: (operation, method, answer) => inspectAnswer(operation, method, answer, clock),
    });
  }

  /** See `Listing.firstPage`. */
  firstPage(prefix: string): Promise<Page> {
    return this.#listing.firstPage(prefix);
  }

  list(prefix: string, expected: readonly string[] = []): AsyncIterable<readonly RemoteObject[]> {
    return this.#listing.pages(prefix, expected);
  }

  async get(key: string): Promise<StoredObject | undefined> {
    const ahead = this.#ahead?.key === key ? this.#ahead.object : undefined;
    this.#ahead = undefined;
    return ahead ?? this.#get(key).catch(undefinedIfMissing);
  }

  /**
   * An object, ahead of the `get` that will ask for it, which then has it: whoever only wants to see whether reading is
   * allowed saves that one a request.
   * @throws ServiceError also when there is none.
   */
  async getAhead(key: string): Promise<StoredObject & { answer: GetObjectCommandOutput }> {
    const object = await this.#get(key);
    this.#ahead = { key, object };
    return object;
  }

  #get(key: string): Promise<StoredObject & { answer: GetObjectCommandOutput }> {
    const command = new GetObjectCommand({ Bucket: this.#options.bucket, Key: key });
    return this.#caller.call('GetObject', async (options, expectBytes) => {
      const answer = await this.#s3.send(command, options);
      expectBytes(answer.ContentLength ?? 0);
      if (answer.ETag === undefined || answer.Body === undefined) {
        throw new ServiceError(misbehaved('GetObject', 'no ETag or no content'));
      }
      const body = await answer.Body.transformToByteArray();
      if (answer.ContentLength !== undefined && body.length !== answer.ContentLength) {
        throw new ServiceError(misbehaved('GetObject', 'content that is cut short'));
      }
      return { body, etag: unquote(answer.ETag), answer };
    });
  }

  async etag(key: string): Promise<string | undefined> {
    return unquote((await this.#head(key))?.ETag) || undefined;
  }

  async head(key: string): Promise<ObjectHeaders | undefined> {
    const answer = await this.#head(key);
    return answer === undefined ? undefined : headersOf(answer);
  }

  async #head(key: string): Promise<HeadObjectCommandOutput | undefined> {
    const command = new HeadObjectCommand({ Bucket: this.#options.bucket, Key: key });
    try {
      return await this.#caller.call('HeadObject', async (options) => {
        const answer = await this.#s3.send(command, options);
        if (answer.ETag === undefined) throw new ServiceError(misbehaved('HeadObject', 'no ETag'));
        return answer;
      });
    } catch (error) {
      if (error instanceof ServiceError && ['denied', 'refused'].includes(kindOf(error.failure))) return undefined;
      throw error;
    }
  }

  async put(key: string, body: Body, headers: ObjectHeaders, wanted?: Condition): Promise<Put> {
    const target = { Bucket: this.#options.bucket, Key: key };
    const condition = wanted !== undefined && this.#options.knowledge.lacks('conditionalWrites') ? undefined : wanted;
    try {
      if (body.size <= this.#options.sizes.threshold) return await this.#putWhole(target, body, headers, condition);
      if (this.#goesWhole(body.size, condition)) return await this.#putStreamed(target, body, headers, condition);
      for (let start = 1; ; start++) {
        try {
          return await this.#putInParts(target, body, headers, condition);
        } catch (error) {
          // After an answer that was lost on the way, the store may have completed or dropped the upload; or what it
          // answered to a part was not what it keeps.
          const forgotten = error instanceof ServiceError && /^(NoSuchUpload|InvalidPart)$/.test(error.failure.code);
          if (!forgotten && this.#lacksMultipart(error, body.size))
            return await this.#putStreamed(target, body, headers, condition);
          if (!forgotten || start === UPLOAD_STARTS) throw error;
        }
      }
    } catch (error) {
      if (condition === undefined || !(error instanceof ServiceError)) throw error;
      const { knowledge } = this.#options;
      if (isNotImplemented(error.failure) && knowledge.capabilities.conditionalWrites !== true) {
        knowledge.learn({ conditionalWrites: false });
        return this.put(key, body, headers, condition);
      }
      if (!isUnmet(error.failure, condition)) throw error;
      return (condition === 'absent' ? undefined : await this.#isThere(key, body)) ?? 'precondition failed';
    }
  }

  /** The object, when it is this body: the answer to a put may be lost, and the next try is told that something is there. */
  async #isThere(key: string, body: Body): Promise<Put | undefined> {
    const command = new HeadObjectCommand({ Bucket: this.#options.bucket, Key: key });
    const found = await this.#caller
      .call('HeadObject', (options) => this.#s3.send(command, options))
      .catch(() => undefined);
    const etag = unquote(found?.ETag);
    if (found?.ContentLength !== body.size || !/^[0-9a-f]{32}$/.test(etag)) return undefined;
    return (await digestOfWhole(body)).toString('hex') === etag ? { etag } : undefined;
  }

  async copyHeaders({ key, etag, size }: RemoteObject, headers: ObjectHeaders): Promise<string | undefined> {
    if (size > LARGEST_WHOLE) return undefined;
    const { bucket, storage } = this.#options;
    const command = new CopyObjectCommand({
      Bucket: bucket,
      Key: key,
      CopySource: `${bucket}/${key.split('/').map(encodeURIComponent).join('/')}`,
      CopySourceIfMatch: `"${etag}"`,
      MetadataDirective: 'REPLACE',
      ...(storage.tags !== undefined && { TaggingDirective: 'REPLACE' as const }),
      ...objectHeaders(headers, storage),
    });
    try {
      const answer = await this.#caller.call('CopyObject', (options) => this.#s3.send(command, options), {
        slow: true,
      });
      return unquote(answer.CopyObjectResult?.ETag) || undefined;
    } catch (error) {
      // The right to copy is more than the right to put (tags, KMS), and not every store copies onto itself.
      if (error instanceof ServiceError && ['denied', 'refused', 'misbehaved'].includes(kindOf(error.failure)))
        return undefined;
      throw error;
    }
  }

  async deleteMany(keys: readonly string[]): Promise<Failure[]> {
    // A key that XML cannot carry goes alone, in the URL.
    const together = this.#mayBatch && !this.#options.knowledge.lacks('batchDelete') ? keys.filter(fitsXml) : [];
    const failures = await this.#deleteOneByOne(together.length === 0 ? keys : keys.filter((key) => !fitsXml(key)));
    for (let i = 0; i < together.length; i += BATCH) {
      failures.push(...(await this.#deleteBatch(together.slice(i, i + BATCH))));
    }
    return failures;
  }

  async #putWhole(target: Target, body: Body, headers: ObjectHeaders, condition?: Condition): Promise<Put> {
    const operation = 'PutObject';
    const content = await body.read(0, body.size);
    const { md5, parameters } = checksumOf(content, this.#options.isAws);
    const whole = { ...target, ...conditionHeaders(condition), Body: content, ...parameters };
    const kind = this.#kindOf(headers);
    await body.verify();
    return this.#caller.call(
      operation,
      async (options) => {
        const answer = await this.#fastPut.put(whole, kind, body.sha256()?.toString('hex'), options);
        this.#checkEtag(operation, answer.ETag, md5?.toString('hex'), answer.ServerSideEncryption);
        return { etag: unquote(answer.ETag) };
      },
      { bytes: content.length },
    );
  }

  /** Files that are served alike share their headers, and so what is made of them. */
  #kindOf(headers: ObjectHeaders): Kind {
    const known = this.#kinds.get(headers);
    if (known !== undefined) return known;
    const kind = objectHeaders(headers, this.#options.storage);
    this.#kinds.set(headers, kind);
    return kind;
  }

  /**
   * Whether a large file goes up in one request all the same: where a store has no other, and where it is to look at a
   * condition, which Ceph does for PutObject alone.
   */
  #goesWhole(size: number, condition: Condition | undefined): boolean {
    if (this.#options.knowledge.lacks('multipart')) return true;
    return condition !== undefined && !this.#options.isAws && size <= LARGEST_WHOLE;
  }

  /** Whether an upload in parts failed because the store has none; what is too large for a single request fails with it. */
  #lacksMultipart(error: unknown, size: number): boolean {
    if (!(error instanceof ServiceError) || error.failure.operation !== 'CreateMultipartUpload') return false;
    if (!isNotImplemented(error.failure) || size > LARGEST_WHOLE) return false;
    this.#options.knowledge.learn({ multipart: false });
    return this.#options.knowledge.lacks('multipart');
  }

  /** Puts a large file with one request, in the memory of a piece of it. */
  async #putStreamed(target: Target, body: Body, headers: ObjectHeaders, condition?: Condition): Promise<Put> {
    const operation = 'PutObject';
    const md5 = await digestOfWhole(body);
    return this.#caller.call(
      operation,
      (options) =>
        sendStreamed(body, options.abortSignal, async (stream, abortSignal) => {
          const command = new PutObjectCommand({
            ...target,
            ...conditionHeaders(condition),
            Body: stream,
            ContentLength: body.size,
            ContentMD5: md5.toString('base64'),
            ...objectHeaders(headers, this.#options.storage),
          });
          const answer = await this.#s3.send(command, { ...options, abortSignal });
          this.#checkEtag(operation, answer.ETag, md5.toString('hex'), answer.ServerSideEncryption);
          return { etag: unquote(answer.ETag) };
        }),
      { bytes: body.size },
    );
  }

  async #putInParts(target: Target, body: Body, headers: ObjectHeaders, condition?: Condition): Promise<Put> {
    const { UploadId } = await this.#caller.call(
      'CreateMultipartUpload',
      async (options) => {
        const answer = await this.#s3.send(
          new CreateMultipartUploadCommand({
            ...target,
            ...objectHeaders(headers, this.#options.storage),
            ...(this.#options.isAws && { ChecksumAlgorithm: PARTS_ALGORITHM }),
          }),
          options,
        );
        if (!answer.UploadId) throw new ServiceError(misbehaved('CreateMultipartUpload', 'no upload id'));
        return answer;
      },
      { uncancelled: true },
    );
    try {
      const parts = await this.#uploadParts({ ...target, UploadId }, body);
      await body.verify();
      return { etag: await this.#complete({ ...target, UploadId }, parts, condition) };
    } catch (error) {
      // An open upload is kept, and billed, for ever. Gone already is as good as aborted.
      await this.#caller
        .call(
          'AbortMultipartUpload',
          (options) => this.#s3.send(new AbortMultipartUploadCommand({ ...target, UploadId }), options),
          { uncancelled: true },
        )
        .catch(() => undefined);
      throw error;
    }
  }

  async #uploadParts(target: MultipartTarget, body: Body): Promise<Part[]> {
    const operation = 'UploadPart';
    const size = partSizeFor(body.size, this.#options.sizes);
    const numbers = Array.from({ length: Math.ceil(body.size / size) }, (_, index) => index + 1);
    const parts: Part[] = new Array(numbers.length);
    await eachOf(numbers, partsAtOnce(body.size, this.#options.sizes), async (number) => {
      const offset = (number - 1) * size;
      const content = await body.read(offset, Math.min(size, body.size - offset));
      const checksum = checksumOf(content, this.#options.isAws);
      const etag = await this.#caller.call(
        operation,
        async (options) => {
          const command = new UploadPartCommand({
            ...target,
            PartNumber: number,
            Body: content,
            ContentLength: content.length,
            ...checksum.parameters,
          });
          if (this.#options.knowledge.capabilities.contentMd5 !== false) signByChecksum(command);
          const answer = await this.#s3.send(command, options);
          this.#checkEtag(operation, answer.ETag, checksum.md5?.toString('hex'), answer.ServerSideEncryption);
          return answer.ETag ?? '';
        },
        { bytes: content.length },
      );
      body.giveBack(content);
      parts[number - 1] = { number, etag, ...checksum };
    });
    return parts;
  }

  async #complete(target: MultipartTarget, parts: readonly Part[], condition?: Condition): Promise<string> {
    const operation = 'CompleteMultipartUpload';
    const md5s = parts.flatMap(({ md5 }) => md5 ?? []);
    const expected = md5s.length === parts.length ? multipartEtag(md5s) : undefined;
    const etag = await this.#caller.call(
      operation,
      async (options) => {
        const command = new CompleteMultipartUploadCommand({
          ...target,
          ...conditionHeaders(condition),
          MultipartUpload: {
            Parts: parts.map(({ number, etag, parameters }) => ({
              PartNumber: number,
              ETag: etag,
              ...crcOf(parameters),
            })),
          },
        });
        const answer = await this.#s3.send(command, options);
        // Ceph answers an empty ETag here, and the right one to a HEAD; its parts were confirmed one by one.
        if (!answer.ETag && (this.#options.isAws || answer.ETag === undefined)) {
          throw new ServiceError(misbehaved(operation, 'no ETag'));
        }
        if (answer.ETag) this.#checkEtag(operation, answer.ETag, expected, answer.ServerSideEncryption);
        return unquote(answer.ETag);
      },
      { slow: true },
    );
    return etag || ((await this.etag(target.Key).catch(() => undefined)) ?? expected ?? '');
  }

  /**
   * Holds an answer against the MD5 of what was sent, where that was made. Encrypted with KMS, and in some stores, an ETag
   * says nothing of the content.
   */
  #checkEtag(
    operation: string,
    answered: string | undefined,
    expected: string | undefined,
    encryption: string | undefined,
  ): void {
    const etag = unquote(answered);
    if (etag === '') throw new ServiceError(misbehaved(operation, 'no ETag: nothing says that the bytes were stored'));
    if (expected === undefined) return;
    if (etag === expected) this.#etagsAreMd5 = true;
    else if (
      (this.#options.isAws || this.#etagsAreMd5) &&
      !encryption?.startsWith('aws:kms') &&
      /^[0-9a-f]{32}$/.test(etag)
    ) {
      throw new ServiceError(misbehaved(operation, `the ETag is ${etag}, the content's ${expected}`));
    }
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
          this.#options.knowledge.learn({ batchDelete: false });
          this.#options.knowledge.lacks('batchDelete');
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
          Bucket: this.#options.bucket,
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
        const command = new DeleteObjectCommand({ Bucket: this.#options.bucket, Key });
        await this.#caller.call('DeleteObject', (options) => this.#s3.send(command, options));
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        failures.push(toFailure(Key, error.failure));
      }
    });
    return failures;
  }
}

interface StoredObject {
  readonly body: Uint8Array;
  readonly etag: string;
}

function undefinedIfMissing(error: unknown): undefined {
  if (error instanceof ServiceError && error.failure.status === 404) return undefined;
  throw error;
}

interface Target {
  readonly Bucket: string;
  readonly Key: string;
}

interface MultipartTarget extends Target {
  readonly UploadId: string | undefined;
}

interface Part extends Checksum {
  readonly number: number;
  readonly etag: string;
}

/** The parameters of the SDK for an object's headers and storage; what is absent is not sent. */
export function objectHeaders(headers: ObjectHeaders, storage: StorageOptions) {
  const { acl, storageClass, encryption, kmsKeyId, tags } = storage;
  return {
    ContentType: headers.contentType,
    ...(headers.cacheControl !== undefined && { CacheControl: headers.cacheControl }),
    ...(headers.contentDisposition !== undefined && { ContentDisposition: headers.contentDisposition }),
    ...(headers.contentEncoding !== undefined && { ContentEncoding: headers.contentEncoding }),
    ...(headers.contentLanguage !== undefined && { ContentLanguage: headers.contentLanguage }),
    ...(headers.expires !== undefined && { Expires: new Date(headers.expires) }),
    ...(headers.metadata !== undefined && { Metadata: { ...headers.metadata } }),
    ...(acl !== undefined && { ACL: acl as ObjectCannedACL }),
    ...(storageClass !== undefined && { StorageClass: storageClass as StorageClass }),
    ...(encryption !== undefined && { ServerSideEncryption: encryption as ServerSideEncryption }),
    ...(kmsKeyId !== undefined && { SSEKMSKeyId: kmsKeyId }),
    ...(tags !== undefined && { Tagging: tags.map((pair) => pair.map(encodeURIComponent).join('=')).join('&') }),
  };
}

/** The headers of an object as a HEAD answers them. */
function headersOf(answer: HeadObjectCommandOutput): ObjectHeaders {
  const { ContentType, CacheControl, ContentDisposition, ContentEncoding, ContentLanguage, ExpiresString, Metadata } =
    answer;
  return {
    contentType: ContentType ?? '',
    ...(CacheControl && { cacheControl: CacheControl }),
    ...(ContentDisposition && { contentDisposition: ContentDisposition }),
    ...(ContentEncoding && { contentEncoding: ContentEncoding }),
    ...(ContentLanguage && { contentLanguage: ContentLanguage }),
    ...(ExpiresString && { expires: ExpiresString }),
    ...(Metadata && Object.keys(Metadata).length > 0 && { metadata: Metadata }),
  };
}

function conditionHeaders(condition: Condition | undefined): { IfNoneMatch?: string; IfMatch?: string } {
  if (condition === undefined) return {};
  return typeof condition === 'object' ? { IfMatch: `"${condition.etag}"` } : { IfNoneMatch: '*' };
}

/** The store does not know what it was asked, rather than refusing it. */
function isNotImplemented({ status, code }: ServiceFailure): boolean {
  return status === 501 || status === 405 || /^(NotImplemented|MethodNotAllowed|UnsupportedOperation)$/.test(code);
}

/** 412 says that the condition is not met; so does 404, when what should be overwritten is gone. */
function isUnmet({ status, code }: ServiceFailure, condition: Condition): boolean {
  return status === 412 || code === 'PreconditionFailed' || (typeof condition === 'object' && code === 'NoSuchKey');
}

function toFailure(key: string, failure: ServiceFailure): Failure {
  return { key, operation: failure.operation, code: failure.code, message: describe(failure) };
}

function unquote(etag: string | undefined): string {
  return (etag ?? '').replace(/^"|"$/g, '');
}
