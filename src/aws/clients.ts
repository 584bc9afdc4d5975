import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { S3Client } from '@aws-sdk/client-s3';
import { STSClient } from '@aws-sdk/client-sts';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { type Pace, type RetryOptions, withRetry } from './retry.ts';

/** Credentials as the SDK takes them: a function that answers the current ones, fetched anew when they run out. */
export type CredentialSource = () => Promise<{
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  expiration?: Date;
}>;

/** Where a store is reached. */
export interface StoreAddress {
  readonly region: string;
  /** URL of an S3-compatible store; AWS without it. */
  readonly endpoint: string | undefined;
  readonly forcePathStyle: boolean;
}

const CONNECT_MS = 5_000;
/** A socket on which nothing moves for so long is dead: the call is made again on another. */
const SILENCE_MS = 15_000;
/** The slowest line that a whole call is waited for, in bytes per millisecond, above a fixed allowance. */
const SLOWEST_BYTES_PER_MS = 32;
const CALL_MS = 30_000;

function handler(sockets: number): NodeHttpHandler {
  const agent = { keepAlive: true, maxSockets: sockets };
  return new NodeHttpHandler({
    connectionTimeout: CONNECT_MS,
    socketTimeout: SILENCE_MS,
    requestTimeout: CALL_MS,
    throwOnRequestTimeout: true,
    httpAgent: new HttpAgent(agent),
    httpsAgent: new HttpsAgent(agent),
  });
}

/**
 * A client for the store. Retries are ours (`retry.ts`), and so is the digest: every body carries its Content-MD5, which
 * all stores check, so the SDK adds checksums only where S3 demands one. It must never get a `logger`: that prints keys.
 */
export function createS3(address: StoreAddress, credentials: CredentialSource, sockets: number): S3Client {
  return new S3Client({
    region: address.region,
    credentials,
    forcePathStyle: address.forcePathStyle,
    ...(address.endpoint === undefined ? {} : { endpoint: address.endpoint }),
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: handler(sockets),
  });
}

/** A client for STS; without credentials only for calls that are not signed. */
export function createSts(region: string, endpoint: string | undefined, credentials?: CredentialSource): STSClient {
  return new STSClient({
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    // Calls that are not signed must not go looking for ambient credentials.
    credentials: credentials ?? (() => Promise.reject(new Error('this call is not signed'))),
    maxAttempts: 1,
    requestHandler: handler(4),
  });
}

/** How many calls were made, by operation, and how often one was made again. */
export class Tally {
  readonly calls = new Map<string, number>();
  retries = 0;

  count(operation: string): void {
    this.calls.set(operation, (this.calls.get(operation) ?? 0) + 1);
  }
}

/** Options that every call hands to the SDK. */
export interface CallOptions {
  readonly abortSignal?: AbortSignal;
  readonly requestTimeout: number;
}

/** Makes calls: counted, retried by kind, ended when the run is. */
export class Caller {
  readonly tally = new Tally();
  readonly #pace: Pace;
  readonly #signal: AbortSignal | undefined;

  constructor(pace: Pace, signal?: AbortSignal) {
    this.#pace = pace;
    this.#signal = signal;
  }

  /**
   * Makes one call with retries.
   * @param bytes size of the body: a large one may take longer.
   * @throws ServiceError the last failure.
   */
  call<T>(
    operation: string,
    send: (options: CallOptions) => Promise<T>,
    options: { bytes?: number; expect?: readonly string[]; uncancelled?: boolean } = {},
  ): Promise<T> {
    const signal = options.uncancelled ? undefined : this.#signal;
    const requestTimeout = CALL_MS + (options.bytes ?? 0) / SLOWEST_BYTES_PER_MS;
    const retry: RetryOptions = {
      signal,
      expect: options.expect ?? [],
      onRetry: () => {
        this.tally.retries++;
      },
    };
    const once = () => {
      this.tally.count(operation);
      return send(signal === undefined ? { requestTimeout } : { abortSignal: signal, requestTimeout });
    };
    return withRetry(operation, once, this.#pace, retry);
  }
}
