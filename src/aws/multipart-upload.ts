import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { eachOf } from '../core/each-of.ts';
import { kindOf, misbehaved, type ServiceFailure } from '../core/explain.ts';
import { FINGERPRINT_CHUNK } from '../core/manifest.ts';
import type { Body, BodyPart, Condition, ObjectHeaders, Put } from '../core/model.ts';
import { multipartEtag, PARTS_AT_ONCE, partSizeFor, STREAMS_AT_ONCE } from '../core/parts.ts';
import type { Caller } from './caller.ts';
import { type Checksum, checksumOf, type EtagCheck, PARTS_ALGORITHM, sha256Of, signBy, unquote } from './checksum.ts';
import { ServiceError } from './failure.ts';
import { conditionHeaders, objectHeaders } from './object-headers.ts';
import type { StoreOptions, Target } from './object-store.ts';
import { sendStreamed, streamInstead } from './streamed-body.ts';
import { announceTrailer, withTrailer } from './trailing-checksum.ts';

/** An upload that the store has forgotten is begun again so often. */
const UPLOAD_STARTS = 3;

/** Puts large files in parts. */
export class MultipartUploads {
  readonly #s3: S3Client;
  readonly #caller: Caller;
  readonly #options: StoreOptions;
  readonly #etags: EtagCheck;
  readonly #etagOf: (key: string) => Promise<string | undefined>;
  /** False once a part was refused that is signed without its content, as a policy may. */
  #mayStream: boolean;

  /** @param etagOf looks an object's ETag up, where the end of an upload does not tell it. */
  constructor(
    s3: S3Client,
    caller: Caller,
    options: StoreOptions,
    etags: EtagCheck,
    etagOf: (key: string) => Promise<string | undefined>,
  ) {
    this.#s3 = s3;
    this.#caller = caller;
    this.#options = options;
    this.#etags = etags;
    this.#etagOf = etagOf;
    this.#mayStream = options.isAws;
  }

  /** Puts an object in parts, or leaves nothing of it. @throws ServiceError, and what the body throws. */
  async put(target: Target, body: Body, headers: ObjectHeaders, condition?: Condition): Promise<Put> {
    for (let start = 1; ; start++) {
      try {
        return await this.#putInParts(target, body, headers, condition);
      } catch (error) {
        // After an answer that was lost on the way, the store may have completed or dropped the upload; or what it
        // answered to a part was not what it keeps.
        const forgotten = error instanceof ServiceError && /^(NoSuchUpload|InvalidPart)$/.test(error.failure.code);
        if (!forgotten || start === UPLOAD_STARTS) throw error;
      }
    }
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
    const size = partSizeFor(body.size, this.#options.sizes);
    const numbers = Array.from({ length: Math.ceil(body.size / size) }, (_, index) => index + 1);
    const parts: Part[] = new Array(numbers.length);
    // Of a piece of the fingerprint the SHA-256 is made anyway, while it is sent.
    const streams = this.#mayStream && size === FINGERPRINT_CHUNK;
    await eachOf(numbers, streams ? STREAMS_AT_ONCE : PARTS_AT_ONCE, async (number) => {
      const part = { ...target, PartNumber: number };
      const offset = (number - 1) * size;
      const length = Math.min(size, body.size - offset);
      const streamed = streams && this.#mayStream ? await this.#streamPart(part, body, offset, length) : undefined;
      parts[number - 1] =
        streamed ?? (await body.withPart(offset, length, (content) => this.#uploadPart(part, content)));
    });
    return parts;
  }

  /**
   * Sends a part in the memory of a piece of it: what was just read, and digested, is at hand to be encrypted. Undefined where
   * it is refused: the part itself may be welcome, when its content is signed.
   */
  async #streamPart(target: PartTarget, body: Body, offset: number, length: number): Promise<Part | undefined> {
    try {
      return await this.#sendPart(target, body, offset, length);
    } catch (error) {
      if (!(error instanceof ServiceError) || !isRefused(error.failure)) throw error;
      this.#mayStream = false;
      return undefined;
    }
  }

  #sendPart(target: PartTarget, body: Body, offset: number, length: number): Promise<Part> {
    const operation = 'UploadPart';
    const sha256 = () => body.sha256At(offset);
    return body.stream(offset, length, async (pieces) => {
      const etag = await this.#caller.call(
        operation,
        (options) =>
          sendStreamed(withTrailer(pieces, sha256), options.abortSignal, async (stream, abortSignal) => {
            const command = new UploadPartCommand({ ...target, Body: Buffer.alloc(0) });
            announceTrailer(length, command);
            streamInstead(stream, command);
            const answer = await this.#s3.send(command, { ...options, abortSignal });
            this.#etags.check(operation, answer.ETag, undefined, answer.ServerSideEncryption);
            return answer.ETag ?? '';
          }),
        { bytes: length },
      );
      const parameters = { ChecksumSHA256: sha256().toString('base64') };
      return { number: target.PartNumber, etag, parameters, md5: undefined };
    });
  }

  async #uploadPart(target: PartTarget, part: BodyPart): Promise<Part> {
    const operation = 'UploadPart';
    const { content, sha256 } = part;
    const checksum = checksumOf(part, this.#options.isAws);
    const etag = await this.#caller.call(
      operation,
      async (options) => {
        const command = new UploadPartCommand({
          ...target,
          Body: content,
          ContentLength: content.length,
          ...checksum.parameters,
        });
        signBy(sha256, command);
        const answer = await this.#s3.send(command, options);
        this.#etags.check(operation, answer.ETag, checksum.md5?.toString('hex'), answer.ServerSideEncryption);
        return answer.ETag ?? '';
      },
      { bytes: content.length },
    );
    return { number: target.PartNumber, etag, ...checksum };
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
              ...sha256Of(parameters),
            })),
          },
        });
        const answer = await this.#s3.send(command, options);
        // Ceph answers an empty ETag here, and the right one to a HEAD; its parts were confirmed one by one.
        if (!answer.ETag && (this.#options.isAws || answer.ETag === undefined)) {
          throw new ServiceError(misbehaved(operation, 'no ETag'));
        }
        if (answer.ETag) this.#etags.check(operation, answer.ETag, expected, answer.ServerSideEncryption);
        return unquote(answer.ETag);
      },
      { slow: true },
    );
    return etag || ((await this.#etagOf(target.Key).catch(() => undefined)) ?? expected ?? '');
  }
}

/** Whether it is the way in which a part was sent that a store does not take. A 404 is about the upload, which is gone. */
function isRefused(failure: ServiceFailure): boolean {
  const { status } = failure;
  return status !== undefined && status !== 404 && ['denied', 'refused'].includes(kindOf(failure));
}

interface MultipartTarget extends Target {
  readonly UploadId: string | undefined;
}

interface PartTarget extends MultipartTarget {
  readonly PartNumber: number;
}

interface Part extends Checksum {
  readonly number: number;
  readonly etag: string;
}
