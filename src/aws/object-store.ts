import type { Readable } from 'node:stream';
import {
  CopyObjectCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { kindOf, misbehaved, type ServiceFailure } from '../core/explain.ts';
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
import { LARGEST_WHOLE, type UploadSizes } from '../core/parts.ts';
import type { Caller } from './caller.ts';
import { checksumOf, EtagCheck, signBy, UNSIGNED, unquote } from './checksum.ts';
import { type CredentialSource, inspectAnswer } from './clients.ts';
import { Deletions } from './deletions.ts';
import { ServiceError } from './failure.ts';
import { FastPut, type Kind } from './fast-put.ts';
import { Listing, type Page } from './listing.ts';
import { MultipartUploads } from './multipart-upload.ts';
import { conditionHeaders, headersOf, objectHeaders } from './object-headers.ts';
import type { StoreKnowledge } from './store-knowledge.ts';
import { md5Of, sendStreamed, streamInstead } from './streamed-body.ts';

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
  readonly #multipart: MultipartUploads;
  readonly #deletions: Deletions;
  readonly #etags: EtagCheck;
  /** What `get` is going to ask for. */
  #ahead: Read | undefined;

  constructor(s3: S3Client, caller: Caller, options: StoreOptions) {
    this.#s3 = s3;
    this.#caller = caller;
    this.#options = options;
    const { bucket, credentials, knowledge } = options;
    this.#etags = new EtagCheck(options.isAws);
    this.#listing = new Listing(s3, caller, bucket, knowledge);
    this.#deletions = new Deletions(s3, caller, bucket, knowledge);
    this.#multipart = new MultipartUploads(s3, caller, options, this.#etags, (key) => this.etag(key));
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
  firstPage(prefix: string, expected?: readonly string[]): Promise<Page> {
    return this.#listing.firstPage(prefix, expected);
  }

  list(prefix: string, expected: readonly string[] = []): AsyncIterable<readonly RemoteObject[]> {
    return this.#listing.pages(prefix, expected);
  }

  async get(key: string): Promise<{ body: Uint8Array; etag: string } | undefined> {
    const ahead = this.#ahead?.key === key ? this.#ahead : undefined;
    this.#ahead = undefined;
    const { body, etag = '' } = ahead ?? (await this.#get(key).catch(undefinedIfMissing)) ?? {};
    return body && { body, etag };
  }

  /**
   * Reads an object ahead of the `get` that will ask for it, which then has it: whoever only wants to see whether reading is
   * allowed saves that one a request.
   * @param most bytes; what is larger is not read.
   * @throws ServiceError also when there is none.
   */
  async getAhead(key: string, most: number): Promise<Read> {
    const read = await this.#get(key, most);
    if (read.body !== undefined) this.#ahead = read;
    return read;
  }

  #get(key: string, most = Number.POSITIVE_INFINITY): Promise<Read> {
    const command = new GetObjectCommand({ Bucket: this.#options.bucket, Key: key });
    return this.#caller.call('GetObject', async (options) => {
      const answer = await this.#s3.send(command, options);
      const { ContentLength: length, Body: content } = answer;
      options.expectBytes(length ?? 0);
      if (answer.ETag === undefined || content === undefined) {
        throw new ServiceError(misbehaved('GetObject', 'no ETag or no content'));
      }
      const read = { key, etag: unquote(answer.ETag), answer };
      if ((length ?? 0) > most) {
        (content as Readable).destroy();
        return { ...read, body: undefined };
      }
      const body = await content.transformToByteArray();
      if (length !== undefined && body.length !== length) {
        throw new ServiceError(misbehaved('GetObject', 'content that is cut short'));
      }
      return { ...read, body };
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
      try {
        return await this.#multipart.put(target, body, headers, condition);
      } catch (error) {
        if (!this.#lacksMultipart(error, body.size)) throw error;
        return await this.#putStreamed(target, body, headers, condition);
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
    const md5 = await body.stream(0, body.size, md5Of);
    return md5.toString('hex') === etag ? { etag } : undefined;
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

  deleteMany(keys: readonly string[], mayGoOn?: () => Promise<boolean>): Promise<Failure[]> {
    return this.#deletions.deleteMany(keys, mayGoOn);
  }

  #putWhole(target: Target, body: Body, headers: ObjectHeaders, condition?: Condition): Promise<Put> {
    const operation = 'PutObject';
    return body.withPart(0, body.size, async (part) => {
      const { content, sha256 } = part;
      const { md5, parameters } = checksumOf(part, this.#options.isAws);
      const whole = { ...target, ...conditionHeaders(condition), Body: content, ...parameters };
      const kind = this.#kindOf(headers);
      await body.verify();
      return this.#caller.call(
        operation,
        async (options) => {
          const answer = await this.#fastPut.put(whole, kind, sha256, options);
          this.#etags.check(operation, answer.ETag, md5?.toString('hex'), answer.ServerSideEncryption);
          return { etag: unquote(answer.ETag) };
        },
        { bytes: content.length },
      );
    });
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
  #putStreamed(target: Target, body: Body, headers: ObjectHeaders, condition?: Condition): Promise<Put> {
    const operation = 'PutObject';
    return body.stream(0, body.size, async (pieces) => {
      const md5 = await md5Of(pieces);
      return this.#caller.call(
        operation,
        (options) =>
          sendStreamed(pieces, options.abortSignal, async (stream, abortSignal) => {
            const command = new PutObjectCommand({
              ...target,
              ...conditionHeaders(condition),
              Body: Buffer.alloc(0),
              ContentLength: body.size,
              ContentMD5: md5.toString('base64'),
              ...objectHeaders(headers, this.#options.storage),
            });
            signBy(UNSIGNED, command);
            streamInstead(stream, command);
            const answer = await this.#s3.send(command, { ...options, abortSignal });
            this.#etags.check(operation, answer.ETag, md5.toString('hex'), answer.ServerSideEncryption);
            return { etag: unquote(answer.ETag) };
          }),
        { bytes: body.size },
      );
    });
  }
}

/** An object as it was read. */
interface Read {
  readonly key: string;
  /** Absent when it is larger than it was to be. */
  readonly body: Uint8Array | undefined;
  readonly etag: string;
  readonly answer: GetObjectCommandOutput;
}

function undefinedIfMissing(error: unknown): undefined {
  if (error instanceof ServiceError && error.failure.status === 404) return undefined;
  throw error;
}

export interface Target {
  readonly Bucket: string;
  readonly Key: string;
}

/** The store does not know what it was asked, rather than refusing it. */
function isNotImplemented({ status, code }: ServiceFailure): boolean {
  return status === 501 || status === 405 || /^(NotImplemented|MethodNotAllowed|UnsupportedOperation)$/.test(code);
}

/** 412 says that the condition is not met; so does 404, when what should be overwritten is gone. */
function isUnmet({ status, code }: ServiceFailure, condition: Condition): boolean {
  return status === 412 || code === 'PreconditionFailed' || (typeof condition === 'object' && code === 'NoSuchKey');
}
