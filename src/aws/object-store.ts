import { createHash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  ListObjectsV2Command,
  type ObjectCannedACL,
  PutObjectCommand,
  type S3Client,
  type ServerSideEncryption,
  type StorageClass,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { Capabilities } from '../core/capabilities.ts';
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
import { multipartEtag, PARTS_AT_ONCE, partSizeFor, type UploadSizes } from '../core/parts.ts';
import type { Caller } from './clients.ts';
import { ServiceError, toServiceError } from './failure.ts';

/** The largest object that one request copies. */
const LARGEST_COPY = 5 * 1024 ** 3;
const BATCH = 1000;
/** A batch is sent again for the keys that the store was too busy to delete. */
const DELETE_ROUNDS = 4;
/** An upload that the store has forgotten is begun again so often. */
const UPLOAD_STARTS = 3;
/** Characters that XML 1.0 cannot carry, or that its parsers change: such a key goes alone, in the URL. */
const NOT_FOR_XML = /[\u0000-\u001f\ufffe\uffff]/;

export interface StoreOptions {
  readonly bucket: string;
  /** True for AWS itself, where an answer's ETag is known to mean something. */
  readonly isAws: boolean;
  readonly sizes: UploadSizes;
  readonly storage: StorageOptions;
  /** What is known of the store; what is not is tried. */
  readonly capabilities: Capabilities;
}

/** The bucket of a deploy, through the SDK. Every failure that it throws is a ServiceError. */
export class S3ObjectStore implements ObjectStore {
  readonly #s3: S3Client;
  readonly #caller: Caller;
  readonly #options: StoreOptions;
  /** An ETag of this store was seen to be an MD5, so that another one is a defect. */
  #etagsAreMd5 = false;

  constructor(s3: S3Client, caller: Caller, options: StoreOptions) {
    this.#s3 = s3;
    this.#caller = caller;
    this.#options = options;
  }

  async *list(prefix: string): AsyncGenerator<RemoteObject> {
    const operation = 'ListObjectsV2';
    let token: string | undefined;
    do {
      const page = await this.#caller.call(operation, async (options) => {
        const command = new ListObjectsV2Command({
          Bucket: this.#options.bucket,
          Prefix: prefix,
          ...(this.#options.capabilities.urlEncodedListing === false ? {} : { EncodingType: 'url' as const }),
          ...(token === undefined ? {} : { ContinuationToken: token }),
        });
        const answer = await this.#s3.send(command, options);
        if (answer.Name === undefined) throw new ServiceError(misbehaved(operation, 'a listing without a bucket name'));
        if (answer.IsTruncated && !answer.NextContinuationToken) {
          throw new ServiceError(misbehaved(operation, 'a listing that goes on, without a token to go on with'));
        }
        // An object that a listing loses would be uploaded again, or be kept for ever.
        const whole = (answer.Contents ?? []).every(
          ({ Key, ETag, Size }) => Key && ETag !== undefined && Size !== undefined,
        );
        if (!whole || (answer.KeyCount ?? 0) > (answer.Contents ?? []).length) {
          throw new ServiceError(misbehaved(operation, 'a listing that is cut short'));
        }
        return answer;
      });
      for (const { Key, Size, ETag, LastModified } of page.Contents ?? []) {
        const key = page.EncodingType === 'url' ? decodeKey(Key) : Key;
        if (key === undefined || !key.startsWith(prefix)) {
          throw new ServiceError(misbehaved(operation, `a key that is not below ${prefix}`));
        }
        yield { key, size: Size ?? 0, etag: unquote(ETag), lastModified: LastModified?.getTime() ?? 0 };
      }
      token = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async get(key: string): Promise<{ body: Uint8Array; etag: string } | undefined> {
    const command = new GetObjectCommand({ Bucket: this.#options.bucket, Key: key });
    try {
      return await this.#caller.call('GetObject', async (options, expectBytes) => {
        const answer = await this.#s3.send(command, options);
        expectBytes(answer.ContentLength ?? 0);
        if (answer.ETag === undefined || answer.Body === undefined) {
          throw new ServiceError(misbehaved('GetObject', 'no ETag or no content'));
        }
        const body = await answer.Body.transformToByteArray();
        if (answer.ContentLength !== undefined && body.length !== answer.ContentLength) {
          throw new ServiceError(misbehaved('GetObject', 'content that is cut short'));
        }
        return { body, etag: unquote(answer.ETag) };
      });
    } catch (error) {
      if (error instanceof ServiceError && error.failure.status === 404) return undefined;
      throw error;
    }
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

  async put(key: string, body: Body, headers: ObjectHeaders, condition?: Condition): Promise<Put> {
    const target = { Bucket: this.#options.bucket, Key: key };
    try {
      if (body.size <= this.#options.sizes.threshold) return await this.#putWhole(target, body, headers, condition);
      for (let start = 1; ; start++) {
        try {
          return await this.#putInParts(target, body, headers, condition);
        } catch (error) {
          // After an answer that was lost on the way, the store may have completed or dropped the upload.
          const forgotten = error instanceof ServiceError && error.failure.code === 'NoSuchUpload';
          if (!forgotten || start === UPLOAD_STARTS) throw error;
        }
      }
    } catch (error) {
      if (condition === undefined || !(error instanceof ServiceError) || !isUnmet(error.failure, condition))
        throw error;
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
    if (found?.ContentLength !== body.size || !/^[0-9a-f]{32}$/.test(etag) || body.size > this.#options.sizes.threshold)
      return undefined;
    const md5 = createHash('md5')
      .update(await body.read(0, body.size))
      .digest('hex');
    return md5 === etag ? { etag } : undefined;
  }

  async copyHeaders({ key, etag, size }: RemoteObject, headers: ObjectHeaders): Promise<string | undefined> {
    if (size > LARGEST_COPY) return undefined;
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
    const batches = this.#options.capabilities.batchDelete !== false;
    const alone = keys.filter((key) => !batches || NOT_FOR_XML.test(key));
    const together = keys.filter((key) => batches && !NOT_FOR_XML.test(key));
    const failures = await this.#deleteOneByOne(alone);
    for (let i = 0; i < together.length; i += BATCH) {
      failures.push(...(await this.#deleteBatch(together.slice(i, i + BATCH))));
    }
    return failures;
  }

  async #putWhole(target: Target, body: Body, headers: ObjectHeaders, condition?: Condition): Promise<Put> {
    const operation = 'PutObject';
    const content = await body.read(0, body.size);
    const md5 = createHash('md5').update(content).digest();
    await body.verify();
    return this.#caller.call(
      operation,
      async (options) => {
        const command = new PutObjectCommand({
          ...target,
          ...conditionHeaders(condition),
          Body: content,
          ContentLength: content.length,
          ContentMD5: md5.toString('base64'),
          ...objectHeaders(headers, this.#options.storage),
        });
        const answer = await this.#s3.send(command, options);
        this.#checkEtag(operation, answer.ETag, md5.toString('hex'), answer.ServerSideEncryption);
        return { etag: unquote(answer.ETag) };
      },
      { bytes: content.length },
    );
  }

  async #putInParts(target: Target, body: Body, headers: ObjectHeaders, condition?: Condition): Promise<Put> {
    const { UploadId } = await this.#caller.call(
      'CreateMultipartUpload',
      async (options) => {
        const answer = await this.#s3.send(
          new CreateMultipartUploadCommand({ ...target, ...objectHeaders(headers, this.#options.storage) }),
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
    await eachOf(numbers, PARTS_AT_ONCE, async (number) => {
      const offset = (number - 1) * size;
      const content = await body.read(offset, Math.min(size, body.size - offset));
      const md5 = createHash('md5').update(content).digest();
      const etag = await this.#caller.call(
        operation,
        async (options) => {
          const command = new UploadPartCommand({
            ...target,
            PartNumber: number,
            Body: content,
            ContentLength: content.length,
            ContentMD5: md5.toString('base64'),
          });
          const answer = await this.#s3.send(command, options);
          this.#checkEtag(operation, answer.ETag, md5.toString('hex'), answer.ServerSideEncryption);
          return answer.ETag ?? '';
        },
        { bytes: content.length },
      );
      parts[number - 1] = { number, etag, md5 };
    });
    return parts;
  }

  async #complete(target: MultipartTarget, parts: readonly Part[], condition?: Condition): Promise<string> {
    const operation = 'CompleteMultipartUpload';
    const expected = multipartEtag(parts.map(({ md5 }) => md5));
    return this.#caller.call(
      operation,
      async (options) => {
        const command = new CompleteMultipartUploadCommand({
          ...target,
          ...conditionHeaders(condition),
          MultipartUpload: { Parts: parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag })) },
        });
        const answer = await this.#s3.send(command, options);
        // Ceph answers an empty ETag here; its parts were confirmed one by one.
        if (!answer.ETag && (this.#options.isAws || answer.ETag === undefined)) {
          throw new ServiceError(misbehaved(operation, 'no ETag'));
        }
        if (!answer.ETag) return expected;
        this.#checkEtag(operation, answer.ETag, expected, answer.ServerSideEncryption);
        return unquote(answer.ETag);
      },
      { slow: true },
    );
  }

  /** Holds an answer against what was sent. Encrypted with KMS, and in some stores, an ETag says nothing of the content. */
  #checkEtag(operation: string, answered: string | undefined, expected: string, encryption: string | undefined): void {
    const etag = unquote(answered);
    if (etag === '') throw new ServiceError(misbehaved(operation, 'no ETag: nothing says that the bytes were stored'));
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
        if (error instanceof ServiceError && ['refused', 'denied'].includes(kindOf(error.failure)))
          return this.#deleteOneByOne(left);
        throw error;
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

interface Target {
  readonly Bucket: string;
  readonly Key: string;
}

interface MultipartTarget extends Target {
  readonly UploadId: string | undefined;
}

interface Part {
  readonly number: number;
  readonly etag: string;
  readonly md5: Buffer;
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

/** Listings are asked for url-encoded, since XML cannot carry every key; `+` is a space there. */
function decodeKey(key: string | undefined): string | undefined {
  try {
    return key === undefined ? undefined : decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}
