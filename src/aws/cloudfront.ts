import { Sha256 } from '@smithy/core/checksum';
import type { NodeHttpHandler } from '@smithy/node-http-handler';
import { SignatureV4 } from '@smithy/signature-v4';
import { misbehaved } from '../core/explain.ts';
import { DeployError } from '../errors.ts';
import type { Caller } from './caller.ts';
import type { CredentialSource } from './clients.ts';
import type { CallOptions } from './connections.ts';
import { ServiceError } from './failure.ts';
import { elementOf } from './xml.ts';

/** Where CloudFront is asked, and for which region its requests are signed, by partition; other partitions have none. */
const HOMES: Record<string, { url: string; region: string }> = {
  aws: { url: 'https://cloudfront.amazonaws.com', region: 'us-east-1' },
  'aws-cn': { url: 'https://cloudfront.cn-northwest-1.amazonaws.com.cn', region: 'cn-northwest-1' },
};
const VERSION = '2020-05-31';
const NAMESPACE = `http://cloudfront.amazonaws.com/doc/${VERSION}/`;
/** Answers of these two calls have a few KiB: each path is sent back. */
const MOST_BYTES = 16 * 1024 ** 2;
/** Others' invalidations, which may be all that a distribution takes at once, are done in a minute or two. */
const BUDGET_MS = 180_000;

/** Paths to invalidate, and the name under which CloudFront makes the same invalidation but once. */
export interface Batch {
  readonly reference: string;
  readonly paths: readonly string[];
}

export interface Invalidation {
  readonly id: string;
  readonly isComplete: boolean;
  readonly $metadata: { readonly httpStatusCode: number; readonly requestId: string | undefined };
}

/**
 * The two calls of CloudFront that a deploy makes. Its SDK client knows 150 more, which is 400 KB to bundle and 60 ms to
 * load; so these are signed, sent and read here, with the signer and the handler that the client for S3 has as well.
 */
export class CloudFront {
  readonly distribution: string;
  readonly #url: URL;
  readonly #signer: SignatureV4;
  readonly #handler: NodeHttpHandler;
  readonly #caller: Caller;

  /**
   * @param endpoint another CloudFront, of the environment.
   * @throws DeployError INPUT_INVALID in a partition without CloudFront.
   */
  constructor(
    distribution: string,
    { partition, endpoint }: { partition: string; endpoint: string | undefined },
    credentials: CredentialSource,
    caller: Caller,
  ) {
    const home = HOMES[partition] ?? (endpoint === undefined ? undefined : HOMES.aws);
    if (home === undefined) {
      throw new DeployError(
        'INPUT_INVALID',
        `cloudfront-distribution-id: CloudFront is no part of the partition ${partition}.`,
        { hint: 'Leave it out; a distribution in another partition is invalidated with credentials of that one.' },
      );
    }
    this.distribution = distribution;
    this.#url = new URL(endpoint ?? home.url);
    this.#signer = new SignatureV4({ service: 'cloudfront', region: home.region, credentials, sha256: Sha256 });
    this.#handler = caller.connections.handler();
    this.#caller = caller;
  }

  /**
   * Invalidates paths, which are percent-encoded. The same batch again is the same invalidation.
   * @throws ServiceError
   */
  invalidate(batch: Batch, expect?: readonly string[]): Promise<Invalidation> {
    return this.#create(bodyOf(batch, batch.paths.length), expect);
  }

  /** Asks for an invalidation that CloudFront must refuse: its batch says that it has more paths than it has. */
  invalidateNothing(batch: Batch, expect: readonly string[]): Promise<Invalidation> {
    return this.#create(bodyOf(batch, batch.paths.length + 1), expect);
  }

  /** How an invalidation is getting on. @throws ServiceError */
  async look(id: string, expect?: readonly string[]): Promise<Invalidation> {
    const operation = 'GetInvalidation';
    return this.#caller.call(operation, (options) => this.#send(operation, 'GET', `/${id}`, undefined, options), {
      ...(expect && { expect }),
    });
  }

  #create(body: string, expect: readonly string[] = []): Promise<Invalidation> {
    const operation = 'CreateInvalidation';
    const how = { bytes: body.length, slow: true, budgetMs: BUDGET_MS, expect };
    return this.#caller.call(operation, (options) => this.#send(operation, 'POST', '', body, options), how);
  }

  async #send(
    operation: string,
    method: string,
    path: string,
    body: string | undefined,
    { abortSignal, requestTimeout }: CallOptions,
  ): Promise<Invalidation> {
    const { protocol, hostname, port, host, pathname } = this.#url;
    const request = {
      method,
      protocol,
      hostname,
      ...(port !== '' && { port: Number(port) }),
      path: `${pathname.replace(/\/$/, '')}/${VERSION}/distribution/${this.distribution}/invalidation${path}`,
      query: {},
      headers: {
        host,
        ...(body !== undefined && {
          'content-type': 'application/xml',
          'content-length': String(Buffer.byteLength(body)),
        }),
      },
      body,
    };
    const signingDate = new Date(this.#caller.clock.atStore(Date.now()));
    const signed = await this.#signer.sign(request, { signingDate });
    const { response } = await this.#handler.handle(signed as never, { abortSignal, requestTimeout });
    const { statusCode, headers } = response;
    const text = await read(response.body as AsyncIterable<Uint8Array>);
    const requestId = headers['x-amzn-requestid'];
    if (statusCode >= 300) throw refusalOf(text, statusCode, headers);
    const [id, status] = [elementOf(text, 'Id'), elementOf(text, 'Status')];
    if (id === undefined || !/^\w{1,100}$/.test(id) || status === undefined)
      throw new ServiceError(misbehaved(operation, 'an answer without an invalidation'));
    return { id, isComplete: status === 'Completed', $metadata: { httpStatusCode: statusCode, requestId } };
  }
}

function bodyOf({ reference, paths }: Batch, quantity: number): string {
  const items = paths.map((path) => `<Path>${escapeXml(path)}</Path>`).join('');
  return (
    `<?xml version="1.0" encoding="UTF-8"?>\n<InvalidationBatch xmlns="${NAMESPACE}"><Paths>` +
    `<Quantity>${quantity}</Quantity><Items>${items}</Items></Paths>` +
    `<CallerReference>${escapeXml(reference)}</CallerReference></InvalidationBatch>`
  );
}

async function read(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MOST_BYTES) break;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** A refusal in the form of the SDK's errors, which `toServiceError` reads. */
function refusalOf(text: string, statusCode: number, headers: Record<string, string>): Error {
  const message = elementOf(text, 'Message') ?? '';
  return Object.assign(new Error(message), {
    name: elementOf(text, 'Code') ?? 'Unknown',
    $metadata: { httpStatusCode: statusCode, requestId: headers['x-amzn-requestid'] },
    $response: { statusCode, headers },
  });
}

function escapeXml(text: string): string {
  return text.replace(/[&<>]/g, (character) => `&${{ '&': 'amp', '<': 'lt', '>': 'gt' }[character]};`);
}
