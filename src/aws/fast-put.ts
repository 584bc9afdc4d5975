import { hash as digest } from 'node:crypto';
import { PutObjectCommand, type PutObjectCommandInput, type S3Client } from '@aws-sdk/client-s3';
import { signBy } from './checksum.ts';
import type { CredentialSource } from './clients.ts';
import type { CallOptions, Connections } from './connections.ts';
import { NOT_UNDERSTOOD } from './http-answer.ts';
import { amzDate, encodeKey, SignatureV4, type Signer } from './signature.ts';
import type { WireRequest, WireResponse } from './wire.ts';
import { elementOf } from './xml.ts';

/** What differs from one object to the next. */
export interface Whole {
  readonly Key: string;
  readonly Body: Buffer;
  /** One of the two; base64. */
  readonly ContentMD5?: string;
  readonly ChecksumSHA256?: string;
  readonly IfMatch?: string;
  readonly IfNoneMatch?: string;
}

/** What a store says that counts. */
export interface Answer {
  readonly ETag?: string | undefined;
  readonly ServerSideEncryption?: string | undefined;
}

/** What the objects of one kind are stored with, as the SDK's command takes it. */
export type Kind = Omit<PutObjectCommandInput, keyof Whole | 'Bucket' | 'ContentLength'>;

/** Above this the SDK's own way costs little beside the content. */
export const MOST_BYTES = 1024 ** 2;
/** Kinds that are learned: a site has about twenty. One that cannot be learned counts each time it is tried. */
const LESSONS = 100;
/** Has every kind of character that is encoded in a way of its own. */
const SAMPLE_KEY = "a!'()*~ +%2F&=?#:@$,;\u00e9\u{1f600}//.b";
const SAMPLE = Buffer.from('sample');
const SAMPLE_MD5 = digest('md5', SAMPLE, 'base64');
const SAMPLE_SHA256 = digest('sha256', SAMPLE);
/** Of the SDK's own bookkeeping: different each time, and nothing that a store needs. */
const NOT_SENT = new Set(['amz-sdk-invocation-id', 'amz-sdk-request']);
/** Of one request alone; set anew for each. */
const OF_ONE = new Set([
  'authorization',
  'content-length',
  'content-md5',
  'x-amz-content-sha256',
  'x-amz-date',
  'x-amz-security-token',
]);

/** Of the content too, in forms that are not made here. */
const OF_CONTENT = /^x-amz-(checksum|sdk-checksum|trailer|decoded)/;

type Request = Parameters<S3Client['config']['requestHandler']['handle']>[0];

/** A request of the SDK, without what belongs to one object. */
interface Pattern {
  readonly to: Pick<WireRequest, 'tls' | 'hostname' | 'port' | 'method'>;
  /** The path before the key. */
  readonly base: string;
  readonly query: string;
  readonly signed: Readonly<Record<string, string>>;
  /** Names and values in turn. */
  readonly unsigned: readonly string[];
  readonly region: string;
  readonly service: string;
}

/** What objects are put with. */
export interface Means {
  readonly s3: S3Client;
  readonly bucket: string;
  readonly connections: Connections;
  readonly credentials: CredentialSource;
  /** Hears of each answer, as the client's own middleware does. @throws for one that is not S3's. */
  inspect(operation: string, method: string, answer: { statusCode: number; headers: Record<string, string> }): void;
}

/**
 * Puts small objects with a sixth of the processor time that the SDK's commands take. Nothing is known here of how S3
 * wants a request: for each kind of object the SDK makes one that is not sent, and the others follow its pattern, with the
 * same credentials and clock, over a `Wire`. A pattern is used only if the signature made here of the
 * SDK's request is the SDK's, so whatever a later SDK, a bucket or a region does otherwise is left to the plain command.
 */
export class FastPut {
  readonly #means: Means;
  readonly #signature = new SignatureV4();
  readonly #names = new WeakMap<Kind, string>();
  readonly #patterns = new Map<string, Pattern | Promise<Pattern | undefined>>();
  #lessons: number;

  /** @param plain leaves all to the SDK's commands. */
  constructor(means: Means, plain = process.env.S3_DEPLOY_PLAIN_COMMANDS === 'true') {
    this.#means = means;
    this.#lessons = plain ? 0 : LESSONS;
  }

  /**
   * Makes one try.
   * @param sha256 of the body.
   * @throws what the SDK's command throws, or an error of the same form.
   */
  async put(whole: Whole, kind: Kind, sha256: Buffer, options: CallOptions): Promise<Answer> {
    const { s3, bucket, connections, inspect } = this.#means;
    const pattern = whole.Body.length > MOST_BYTES ? undefined : await this.#patternFor(kind);
    if (pattern === undefined) {
      const command = new PutObjectCommand({ ...whole, ...kind, Bucket: bucket, ContentLength: whole.Body.length });
      signBy(sha256, command);
      return s3.send(command, options);
    }
    const { status, headers, text } = await connections
      .send(await this.#requestOf(whole, pattern, sha256.toString('hex')), options)
      .catch((error: { code?: string }) => {
        // Node's own client may make something of it, or say better what is wrong.
        if (error.code === NOT_UNDERSTOOD) this.#leaveToSdk();
        throw error;
      });
    inspect('PutObject', pattern.to.method, { statusCode: status, headers });
    if (status >= 300) throw this.#errorOf(status, headers, text);
    const { etag, 'x-amz-server-side-encryption': encryption } = headers;
    // It is kept to the end, and with it would be the whole head that it is a piece of.
    return { ETag: etag && Buffer.from(etag, 'latin1').toString('latin1'), ServerSideEncryption: encryption };
  }

  /** From now on all objects are put by the SDK's commands. */
  #leaveToSdk(): void {
    this.#lessons = 0;
    this.#patterns.clear();
  }

  #patternFor(kind: Kind): Pattern | Promise<Pattern | undefined> | undefined {
    const name = this.#names.get(kind) ?? JSON.stringify(kind);
    this.#names.set(kind, name);
    const known = this.#patterns.get(name);
    if (known !== undefined || this.#lessons === 0) return known;
    this.#lessons--;
    const learned = this.#learn(kind).catch(() => undefined);
    this.#patterns.set(name, learned);
    learned.then((pattern) => {
      // Credentials that were renewed meanwhile, say: the next object may do.
      if (pattern === undefined) this.#patterns.delete(name);
      else if (this.#patterns.get(name) === learned) this.#patterns.set(name, pattern);
    });
    return learned;
  }

  async #learn(kind: Kind): Promise<Pattern | undefined> {
    const request = await this.#sample(kind);
    const { accessKeyId, secretAccessKey } = await this.#means.credentials();
    const { authorization = '', ...headers }: Record<string, string> = request.headers;
    const [, region = '', service = '', names = ''] =
      /^AWS4-HMAC-SHA256 Credential=[^/]+\/\d+\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), /.exec(
        authorization,
      ) ?? [];
    const signed = Object.fromEntries(names.split(';').map((name) => [name, headers[name] ?? '']));
    const query = canonicalQuery(request);
    const own = this.#signature.authorization(
      { method: request.method, path: request.path, query, headers: signed },
      { accessKeyId, secretAccessKey, region, service },
    );
    const key = encodeKey(SAMPLE_KEY);
    const asExpected =
      own === authorization &&
      request.body === SAMPLE &&
      !Object.keys(headers).some((name) => OF_CONTENT.test(name)) &&
      request.path.endsWith(`/${key}`) &&
      headers['content-md5'] === SAMPLE_MD5 &&
      headers['content-length'] === String(SAMPLE.length) &&
      headers['x-amz-content-sha256'] === SAMPLE_SHA256;
    if (!asExpected) return undefined;
    const kept = Object.entries(headers).filter(([name]) => !OF_ONE.has(name) && !NOT_SENT.has(name));
    const { protocol, hostname, port, method } = request;
    return {
      to: { tls: protocol === 'https:', hostname, port, method },
      base: request.path.slice(0, -key.length),
      query,
      signed: Object.fromEntries(kept.filter(([name]) => name in signed)),
      unsigned: kept.filter(([name]) => !(name in signed)).flat(),
      region,
      service,
    };
  }

  /** The SDK's request for a sample of this kind, signed and not sent. */
  async #sample(kind: Kind): Promise<Request> {
    const command = new PutObjectCommand({
      ...kind,
      Bucket: this.#means.bucket,
      Key: SAMPLE_KEY,
      Body: SAMPLE,
      ContentLength: SAMPLE.length,
      ContentMD5: SAMPLE_MD5,
    });
    let request: Request | undefined;
    const caught = new Error('not sent');
    command.middlewareStack.add(
      () => async (args) => {
        request = args.request as Request;
        throw caught;
      },
      // Next to the handler, behind everything that makes a request.
      { step: 'deserialize', priority: 'low', name: 'notSent' },
    );
    await this.#means.s3.send(command).catch((error: unknown) => {
      if (error !== caught) throw error;
    });
    if (request === undefined) throw caught;
    return request;
  }

  async #requestOf(
    { Key, Body, ContentMD5, ChecksumSHA256, ...conditions }: Whole,
    pattern: Pattern,
    sha256: string,
  ): Promise<WireRequest> {
    const { accessKeyId, secretAccessKey, sessionToken } = await this.#means.credentials();
    const { region, service, query, to } = pattern;
    const headers: Record<string, string> = {
      ...pattern.signed,
      'content-length': String(Body.length),
      'x-amz-content-sha256': sha256,
      'x-amz-date': amzDate(Date.now() + (this.#means.s3.config.systemClockOffset ?? 0)),
    };
    if (ContentMD5 !== undefined) headers['content-md5'] = ContentMD5;
    if (ChecksumSHA256 !== undefined) headers['x-amz-checksum-sha256'] = ChecksumSHA256;
    if (conditions.IfMatch !== undefined) headers['if-match'] = conditions.IfMatch;
    if (conditions.IfNoneMatch !== undefined) headers['if-none-match'] = conditions.IfNoneMatch;
    if (sessionToken !== undefined) headers['x-amz-security-token'] = sessionToken;
    const path = `${pattern.base}${encodeKey(Key)}`;
    const signer: Signer = { accessKeyId, secretAccessKey, region, service };
    const authorization = this.#signature.authorization({ method: to.method, path, query, headers }, signer);
    const flat = [...pattern.unsigned, 'authorization', authorization];
    for (const name in headers) flat.push(name, headers[name] ?? '');
    return { ...to, path: query === '' ? path : `${path}?${query}`, headers: flat, body: Body };
  }

  /** An error in the form of the SDK's, for what is read of one. */
  #errorOf(status: number, headers: WireResponse['headers'], text: string): Error {
    const { config } = this.#means.s3;
    const code = elementOf(text, 'Code') ?? 'UnknownError';
    const date = Date.parse(headers.date ?? '');
    // As the SDK does: the next try is signed with the store's clock.
    if (code === 'RequestTimeTooSkewed' && !Number.isNaN(date)) config.systemClockOffset = date - Date.now();
    return Object.assign(new Error(elementOf(text, 'Message') ?? 'UnknownError'), {
      name: code,
      Region: elementOf(text, 'Region'),
      $metadata: { httpStatusCode: status, requestId: headers['x-amz-request-id'] ?? elementOf(text, 'RequestId') },
      $response: { statusCode: status, headers },
    });
  }
}

/** Only what needs no encoding is signed here. */
function canonicalQuery({ query = {} }: Request): string {
  return Object.entries(query)
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join('&');
}
