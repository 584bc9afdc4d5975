import { createHash, createHmac } from 'node:crypto';
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import type { AccessKeys } from '../test-cloud.ts';

export interface SignedRequest {
  method: string;
  /** Path, unencoded; its segments are sent as they are, `..` and empty ones included. */
  path: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: Uint8Array | string;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/**
 * Sends one request to `endpoint` with Signature Version 4 and answers whatever comes back, errors too.
 * A client of its own, so that what a test reads of the store does not depend on the library under test.
 */
export class SignedClient {
  readonly #endpoint: URL;
  readonly #keys: AccessKeys;
  readonly #region: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 32 });

  constructor(endpoint: string, keys: AccessKeys, region: string) {
    this.#endpoint = new URL(endpoint);
    this.#keys = keys;
    this.#region = region;
  }

  async send({ method, path, query = {}, headers = {}, body = '' }: SignedRequest): Promise<Answer> {
    const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
    const canonicalPath = path.split('/').map(encode).join('/');
    const canonicalQuery = Object.entries(query)
      .map(([name, value]) => `${encode(name)}=${encode(value)}`)
      .sort()
      .join('&');
    const signed: Record<string, string> = {
      host: this.#endpoint.host,
      'x-amz-content-sha256': createHash('sha256').update(body).digest('hex'),
      'x-amz-date': time,
    };
    for (const [name, value] of Object.entries(headers)) signed[name.toLowerCase()] = value.trim();
    const names = Object.keys(signed).sort();
    const canonical = [
      method,
      canonicalPath,
      canonicalQuery,
      ...names.map((name) => `${name}:${signed[name]}`),
      '',
      names.join(';'),
      signed['x-amz-content-sha256'],
    ].join('\n');
    const scope = `${time.slice(0, 8)}/${this.#region}/s3/aws4_request`;
    const toSign = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${createHash('sha256').update(canonical).digest('hex')}`;
    const key = scope.split('/').reduce<string | Buffer>(hmac, `AWS4${this.#keys.secretAccessKey}`);
    signed.authorization =
      `AWS4-HMAC-SHA256 Credential=${this.#keys.accessKeyId}/${scope}, ` +
      `SignedHeaders=${names.join(';')}, Signature=${hmac(key, toSign).toString('hex')}`;
    return this.#exchange(method, canonicalQuery ? `${canonicalPath}?${canonicalQuery}` : canonicalPath, signed, body);
  }

  /** Closes the connections that are kept open. */
  close(): void {
    this.#agent.destroy();
  }

  #exchange(method: string, path: string, headers: Record<string, string>, body: Uint8Array | string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { hostname, port } = this.#endpoint;
      const length = { 'content-length': String(Buffer.byteLength(body)) };
      const sent = request({ hostname, port, method, path, headers: { ...headers, ...length }, agent: this.#agent });
      sent.on('error', reject);
      sent.on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
        );
      });
      sent.end(body);
    });
  }
}

const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();

/** RFC 3986, as signatures want it. */
const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
