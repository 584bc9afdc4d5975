import { XMLParser } from 'fast-xml-parser';
import type { PolicyDocument, StoredObject } from '../test-cloud.ts';
import type { Answer, SignedClient, SignedRequest } from './signed-request.ts';

/** What the owner of the buckets does there, so that a test can set the scene and look at it afterwards. */
export class BucketOwner {
  readonly #client: SignedClient;

  constructor(client: SignedClient) {
    this.#client = client;
  }

  async createBucket(name: string): Promise<void> {
    await this.#ok({ method: 'PUT', path: `/${name}` });
  }

  async setPolicy(name: string, policy: PolicyDocument): Promise<void> {
    await this.#ok({ method: 'PUT', path: `/${name}`, query: { policy: '' }, body: JSON.stringify(policy) });
  }

  async putObject(
    bucket: string,
    key: string,
    body: Uint8Array | string,
    headers: Record<string, string> = {},
  ): Promise<void> {
    await this.#ok({ method: 'PUT', path: `/${bucket}/${key}`, headers, body });
  }

  async objects(bucket: string): Promise<Map<string, StoredObject>> {
    const keys: string[] = [];
    let page: Page = {};
    do {
      const token: Record<string, string> = page.NextContinuationToken
        ? { 'continuation-token': page.NextContinuationToken }
        : {};
      page = await this.#page(bucket, { 'list-type': '2', ...token });
      keys.push(...(page.Contents ?? []).map(({ Key }) => decode(Key)));
    } while (page.IsTruncated === 'true');

    const objects = new Map<string, StoredObject>();
    for (let from = 0; from < keys.length; from += AT_ONCE) {
      const some = keys.slice(from, from + AT_ONCE);
      const answers = await Promise.all(some.map((key) => this.#ok({ method: 'GET', path: `/${bucket}/${key}` })));
      for (const [index, { body, headers }] of answers.entries()) {
        objects.set(some[index]!, { body, headers: flat(headers) });
      }
    }
    return objects;
  }

  async openUploads(bucket: string): Promise<string[]> {
    const keys: string[] = [];
    let page: Page = {};
    do {
      const marker: Record<string, string> = page.NextKeyMarker
        ? { 'key-marker': decode(page.NextKeyMarker), 'upload-id-marker': page.NextUploadIdMarker ?? '' }
        : {};
      page = await this.#page(bucket, { uploads: '', ...marker });
      keys.push(...(page.Upload ?? []).map(({ Key }) => decode(Key)));
    } while (page.IsTruncated === 'true');
    return keys;
  }

  async #page(bucket: string, query: Record<string, string>): Promise<Page> {
    const { body } = await this.#ok({ method: 'GET', path: `/${bucket}`, query: { 'encoding-type': 'url', ...query } });
    const parsed = parser.parse(body) as { ListBucketResult?: Page; ListMultipartUploadsResult?: Page };
    return parsed.ListBucketResult ?? parsed.ListMultipartUploadsResult ?? {};
  }

  async #ok(request: SignedRequest): Promise<Answer> {
    const answer = await this.#client.send(request);
    if (answer.status < 300) return answer;
    throw new Error(`${request.method} ${request.path}: ${answer.status} ${answer.body.toString()}`);
  }
}

interface Page {
  IsTruncated?: string;
  NextContinuationToken?: string;
  NextKeyMarker?: string;
  NextUploadIdMarker?: string;
  Contents?: { Key: string }[];
  Upload?: { Key: string }[];
}

const AT_ONCE = 16;

// Keys are text: `007` stays as it is, and so do blanks at either end.
const parser = new XMLParser({
  parseTagValue: false,
  trimValues: false,
  isArray: (name) => name === 'Contents' || name === 'Upload',
});

const decode = (text: string) => decodeURIComponent(text.replaceAll('+', ' '));

function flat(headers: Answer['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}
