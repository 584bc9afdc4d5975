import { S3Client } from '@aws-sdk/client-s3';
import { STSClient } from '@aws-sdk/client-sts';
import { misbehaved } from '../core/explain.ts';
import { setHeaders } from './checksum.ts';
import type { Connections } from './connections.ts';
import { ServiceError } from './failure.ts';
import type { Credentials } from './session.ts';
import type { StoreClock } from './store-clock.ts';

/** Credentials as the SDK takes them: asked for with every call. */
export type CredentialSource = () => Promise<Credentials>;

/** Where a store is reached. */
export interface StoreAddress {
  readonly region: string;
  /** URL of an S3-compatible store; AWS without it. */
  readonly endpoint: string | undefined;
  readonly forcePathStyle: boolean;
  /** Account that must own the bucket; sent with every request, so that nothing is ever done in another's. */
  readonly expectedBucketOwner?: string | undefined;
}

/**
 * A client for the store. Retries are ours (`retry.ts`), and so are the checksums (`checksum.ts`): the SDK adds one only
 * where S3 demands it. It must never get a `logger`: that prints keys.
 */
export function createS3(
  address: StoreAddress,
  credentials: CredentialSource,
  connections: Connections,
  clock?: StoreClock,
): S3Client {
  const s3 = new S3Client({
    region: address.region,
    credentials,
    forcePathStyle: address.forcePathStyle,
    ...(address.endpoint === undefined ? {} : { endpoint: address.endpoint }),
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: connections.handler(),
  });
  s3.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        const result = await next(args);
        const { method } = args.request as { method: string };
        inspectAnswer(String(commandName).replace(/Command$/, ''), method, result.response as HttpResponse, clock);
        return result;
      },
    { step: 'deserialize', name: 'inspectAnswer' },
  );
  const { expectedBucketOwner: owner } = address;
  if (owner !== undefined) setHeaders(s3, { 'x-amz-expected-bucket-owner': owner });
  if (address.endpoint !== undefined) announceNoChecksum(s3);
  return s3;
}

/** Content-MD5 is known everywhere; the header with which the SDK announces it is one too many for some stores. */
function announceNoChecksum(s3: S3Client): void {
  s3.middlewareStack.add(
    (next) => (args) => {
      delete (args.request as { headers: Record<string, string> }).headers['x-amz-sdk-checksum-algorithm'];
      return next(args);
    },
    { step: 'build', name: 'announceNoChecksum', priority: 'low' },
  );
}

/** A client for what anybody may ask: nothing is signed. */
export function createAnonymousS3(address: StoreAddress, connections: Connections): S3Client {
  return new S3Client({
    region: address.region,
    forcePathStyle: address.forcePathStyle,
    ...(address.endpoint === undefined ? {} : { endpoint: address.endpoint }),
    credentials: { accessKeyId: '', secretAccessKey: '' },
    signer: { sign: async (request) => request },
    maxAttempts: 1,
    requestHandler: connections.handler(),
  });
}

/** An answer before anything of its body is read. */
export interface HttpResponse {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body?: { resume?(): void };
}

/**
 * Learns from an answer what the store's clock says, and refuses a proxy's page: it must not pass for success, and to the
 * SDK an answer without members is one where nothing went wrong. Web pages are none of S3's answers, but objects that are
 * read may be some; a deletion is answered with 204.
 * @throws ServiceError
 */
export function inspectAnswer(
  operation: string,
  method: string,
  { statusCode, headers, body }: HttpResponse,
  clock: StoreClock | undefined,
): void {
  const isPage = /^text\/html\b/i.test(headers['content-type'] ?? '');
  const reads = method === 'GET' || method === 'HEAD';
  if (statusCode < 300 && !reads && (isPage || (method === 'DELETE' && statusCode !== 204))) {
    body?.resume?.();
    const what = isPage ? 'a web page instead of an answer' : `${statusCode} in place of 204`;
    throw new ServiceError(misbehaved(operation, what));
  }
  clock?.read(headers.date);
}

/** A client for STS; without credentials only for calls that are not signed. */
export function createSts(
  region: string,
  endpoint: string | undefined,
  connections: Connections,
  credentials?: CredentialSource,
): STSClient {
  return new STSClient({
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    // Calls that are not signed must not go looking for ambient credentials.
    credentials: credentials ?? (() => Promise.reject(new Error('this call is not signed'))),
    maxAttempts: 1,
    requestHandler: connections.handler(),
  });
}
