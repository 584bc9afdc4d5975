import { hash } from 'node:crypto';
import type { PutObjectCommand, S3Client, UploadPartCommand } from '@aws-sdk/client-s3';
import { misbehaved } from '../core/explain.ts';
import type { BodyPart } from '../core/model.ts';
import { ServiceError } from './failure.ts';

/** What a body is sent with, so that a store takes it whole or not at all. */
export interface Checksum {
  /** As the SDK's commands take it. */
  readonly parameters: { readonly ContentMD5: string } | { readonly ChecksumSHA256: string };
  /** Where it was made: the ETag of an answer can be held against it. */
  readonly md5: Buffer | undefined;
}

/** How the parts of an upload to AWS are checked. */
export const PARTS_ALGORITHM = 'SHA256';

/**
 * The checksum of a body. AWS takes the SHA-256 that signs it and that the manifest remembers, so that there is one digest to
 * make (0.6 ms a MB); every other store knows Content-MD5, at 1.8 ms a MB besides.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
 */
export function checksumOf({ content, sha256 }: BodyPart, isAws: boolean): Checksum {
  if (isAws) return { parameters: { ChecksumSHA256: sha256.toString('base64') }, md5: undefined };
  const md5 = hash('md5', content, 'buffer');
  return { parameters: { ContentMD5: md5.toString('base64') }, md5 };
}

/** What the end of an upload in parts says of a part, beside its ETag. */
export function sha256Of(parameters: Checksum['parameters']): { ChecksumSHA256?: string } {
  return 'ChecksumSHA256' in parameters ? parameters : {};
}

/** For a body that is held against its Content-MD5 alone. */
export const UNSIGNED = 'UNSIGNED-PAYLOAD';

/** Has the SDK sign a body by the digest that is there already, where it would make its own. */
export function signBy(sha256: Buffer | typeof UNSIGNED, command: PutObjectCommand | UploadPartCommand): void {
  setHeaders(command, { 'x-amz-content-sha256': typeof sha256 === 'string' ? sha256 : sha256.toString('hex') });
}

/** Gives the request of a command, or each of a client, headers that the SDK does not, and then signs. */
export function setHeaders(
  sender: PutObjectCommand | UploadPartCommand | S3Client,
  headers: Record<string, string>,
): void {
  // What they have in common; together they are no stack that takes anything.
  const { middlewareStack } = sender as UploadPartCommand;
  middlewareStack.add(
    (next) => (args) => {
      Object.assign((args.request as { headers: Record<string, string> }).headers, headers);
      return next(args);
    },
    // Without a name, as a client and its command may both have one.
    { step: 'build' },
  );
}

/** Holds what a store answers against what was sent. */
export class EtagCheck {
  readonly #isAws: boolean;
  /** An ETag of this store was seen to be an MD5, so that another one is a defect. */
  #etagsAreMd5 = false;

  constructor(isAws: boolean) {
    this.#isAws = isAws;
  }

  /**
   * Holds an answer against the MD5 of what was sent, where that was made. Encrypted with KMS, and in some stores, an ETag
   * says nothing of the content.
   */
  check(
    operation: string,
    answered: string | undefined,
    expected: string | undefined,
    encryption: string | undefined,
  ): void {
    const etag = unquote(answered);
    if (etag === '') throw new ServiceError(misbehaved(operation, 'no ETag: nothing says that the bytes were stored'));
    if (expected === undefined) return;
    if (etag === expected) this.#etagsAreMd5 = true;
    else if ((this.#isAws || this.#etagsAreMd5) && !encryption?.startsWith('aws:kms') && /^[0-9a-f]{32}$/.test(etag)) {
      throw new ServiceError(misbehaved(operation, `the ETag is ${etag}, the content's ${expected}`));
    }
  }
}

/** An ETag without its quotes; empty for none. */
export function unquote(etag: string | undefined): string {
  return (etag ?? '').replace(/^"|"$/g, '');
}
