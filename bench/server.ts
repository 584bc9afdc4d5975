/**
 * A light S3 on loopback, in a process of its own, so that what a tool costs is not hidden by what its store costs: it
 * checks no signature and keeps no content but the manifest's. Started by `startStore`, told what to do by messages.
 */
import { createHash, type Hash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { FromStore, StoreSettings, ToStore } from './store.ts';

interface Stored {
  readonly key: string;
  readonly size: number;
  readonly etag: string;
  readonly lastModified: Date;
  readonly headers: Record<string, string>;
  readonly body: Buffer | undefined;
  /** Its entry in a listing, once it was listed. */
  xml?: string;
}

const settings = JSON.parse(process.env.BENCH_STORE ?? '{}') as StoreSettings;
const objects = new Map<string, Stored>();
const uploads = new Map<string, { key: string; headers: Record<string, string>; parts: Map<number, Part> }>();
const counts: Record<string, number> = {};
let sorted: string[] | undefined;
let number = 0;

interface Part {
  readonly size: number;
  readonly md5: Buffer;
}

/** What arrived of a body: nothing of it is kept unless it is asked for. */
interface Received {
  readonly size: number;
  readonly md5: Buffer;
  readonly bytes: Buffer | undefined;
}

function receive(request: IncomingMessage, keep: boolean): Promise<Received | 'wrong digest'> {
  const md5 = createHash('md5');
  const claimed = String(request.headers['x-amz-content-sha256'] ?? '');
  const sha256: Hash | undefined = settings.verify && /^[0-9a-f]{64}$/.test(claimed) ? createHash('sha256') : undefined;
  const chunks: Buffer[] = [];
  const unframe = claimed.startsWith('STREAMING-') ? new Unframer() : undefined;
  let size = 0;
  return new Promise((resolve, reject) => {
    request.on('data', (raw: Buffer) => {
      sha256?.update(raw);
      for (const chunk of unframe === undefined ? [raw] : unframe.push(raw)) {
        md5.update(chunk);
        size += chunk.length;
        if (keep) chunks.push(chunk);
      }
    });
    request.on('error', reject);
    request.on('end', () => {
      const digest = md5.digest();
      // Always held against Content-MD5, which costs nothing here: a probe may send a wrong one to store nothing.
      const wrong =
        (sha256 !== undefined && sha256.digest('hex') !== claimed) ||
        (request.headers['content-md5'] ?? digest.toString('base64')) !== digest.toString('base64');
      resolve(wrong ? 'wrong digest' : { size, md5: digest, bytes: keep ? Buffer.concat(chunks) : undefined });
    });
  });
}

/** Takes the frames off an aws-chunked body. */
class Unframer {
  #rest = Buffer.alloc(0);
  #left = 0;

  *push(raw: Buffer): Generator<Buffer> {
    this.#rest = Buffer.concat([this.#rest, raw]);
    for (;;) {
      if (this.#left > 0) {
        const take = this.#rest.subarray(0, this.#left);
        this.#left -= take.length;
        this.#rest = this.#rest.subarray(take.length);
        if (take.length > 0) yield take;
        if (this.#left > 0) return;
        this.#left = -2; // The line break behind the data.
      }
      if (this.#left < 0) {
        if (this.#rest.length < 2) return;
        this.#rest = this.#rest.subarray(2);
        this.#left = 0;
      }
      const end = this.#rest.indexOf('\r\n');
      if (end < 0) return;
      this.#left = Number.parseInt(this.#rest.toString('latin1', 0, end), 16) || 0;
      if (this.#left === 0) return; // The trailer is of no interest.
      this.#rest = this.#rest.subarray(end + 2);
    }
  }
}

function count(operation: string): void {
  counts[operation] = (counts[operation] ?? 0) + 1;
}

function send(response: ServerResponse, status: number, headers: Record<string, string>, body = ''): void {
  const delay = body.includes('<ListBucketResult') ? settings.listMs : settings.ms;
  const answer = () => {
    response.writeHead(status, {
      'x-amz-request-id': 'BENCH',
      ...(body === '' ? {} : { 'Content-Type': 'application/xml' }),
      'Content-Length': Buffer.byteLength(body),
      ...headers,
    });
    response.end(response.req.method === 'HEAD' ? '' : body);
  };
  if (delay > 0) setTimeout(answer, delay);
  else answer();
}

const xmlError = (code: string) => `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code></Error>`;
const escapeXml = (text: string) =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[c] ?? '&quot;');

function storedHeaders(request: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(request.headers).flatMap(([name, value]) =>
      /^(content-type|cache-control|x-amz-meta-.*)$/.test(name) ? [[name, String(value)]] : [],
    ),
  );
}

function put(stored: Stored): void {
  if (!objects.has(stored.key)) sorted = undefined;
  objects.set(stored.key, stored);
}

function firstAfter(keys: readonly string[], after: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] ?? '') <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}

function list(bucket: string, query: URLSearchParams): string {
  const prefix = query.get('prefix') ?? '';
  const most = Math.min(1000, Number(query.get('max-keys') ?? 1000));
  const v2 = query.get('list-type') === '2';
  const token = query.get('continuation-token');
  const after =
    (token === null ? undefined : Buffer.from(token, 'base64url').toString()) ??
    query.get('start-after') ??
    query.get('marker') ??
    '';
  sorted ??= [...objects.keys()].sort();
  const entries: string[] = [];
  let last = '';
  let truncated = false;
  for (let i = firstAfter(sorted, after); i < sorted.length; i++) {
    const key = sorted[i] ?? '';
    if (!key.startsWith(prefix)) {
      if (key > prefix) break;
      continue;
    }
    if (entries.length === most) {
      truncated = true;
      break;
    }
    const stored = objects.get(key);
    if (stored === undefined) continue;
    const name = encodeURIComponent(key).replaceAll('%2F', '/');
    stored.xml ??= `<Contents><Key>${escapeXml(name)}</Key><LastModified>${stored.lastModified.toISOString()}</LastModified><ETag>&quot;${stored.etag}&quot;</ETag><Size>${stored.size}</Size><StorageClass>STANDARD</StorageClass></Contents>`;
    entries.push(stored.xml);
    last = key;
  }
  const next = Buffer.from(last).toString('base64url');
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>${bucket}</Name>`,
    `<Prefix>${escapeXml(encodeURIComponent(prefix).replaceAll('%2F', '/'))}</Prefix><MaxKeys>${most}</MaxKeys>`,
    '<EncodingType>url</EncodingType>',
    v2 ? `<KeyCount>${entries.length}</KeyCount>` : '',
    `<IsTruncated>${truncated}</IsTruncated>`,
    truncated
      ? v2
        ? `<NextContinuationToken>${next}</NextContinuationToken>`
        : `<NextMarker>${last}</NextMarker>`
      : '',
    ...entries,
    '</ListBucketResult>',
  ].join('');
}

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path = '', rawQuery = ''] = (request.url ?? '').split('?');
  const [, bucket = '', ...rest] = path.split('/');
  const key = decodeURIComponent(rest.join('/'));
  const query = new URLSearchParams(rawQuery);
  const { method } = request;
  if (method === 'GET' || method === 'HEAD') return read(method, bucket, key, query, response);

  const received = await receive(request, method === 'POST' || key.includes('.s3-deploy'));
  if (received === 'wrong digest') {
    count('BadDigest');
    return send(response, 400, {}, xmlError('BadDigest'));
  }
  const { size, md5, bytes } = received;
  if (method === 'POST') return post(bucket, key, query, request, bytes ?? Buffer.alloc(0), response);
  if (method === 'DELETE') {
    count('DeleteObject');
    if (objects.delete(key)) sorted = undefined;
    return send(response, 204, {});
  }
  const etag = md5.toString('hex');
  const part = Number(query.get('partNumber') ?? 0);
  if (part > 0) {
    count('UploadPart');
    uploads.get(query.get('uploadId') ?? '')?.parts.set(part, { size, md5 });
    return send(response, 200, { ETag: `"${etag}"` });
  }
  if (key === '') return send(response, 200, {}); // CreateBucket
  if (request.headers['x-amz-copy-source'] !== undefined) {
    // An object onto itself, with other headers.
    count('CopyObject');
    const stored = objects.get(key);
    if (stored === undefined) return send(response, 404, {}, xmlError('NoSuchKey'));
    put({ ...stored, headers: storedHeaders(request), lastModified: new Date() });
    return send(response, 200, {}, `<CopyObjectResult><ETag>&quot;${stored.etag}&quot;</ETag></CopyObjectResult>`);
  }
  count('PutObject');
  put({ key, size, etag, lastModified: new Date(), headers: storedHeaders(request), body: bytes });
  send(response, 200, { ETag: `"${etag}"` });
}

async function read(
  method: string,
  bucket: string,
  key: string,
  query: URLSearchParams,
  response: ServerResponse,
): Promise<void> {
  if (key === '') {
    if (method === 'HEAD') {
      count('HeadBucket');
      return send(response, 200, { 'x-amz-bucket-region': 'us-east-1' });
    }
    if (query.has('location')) {
      count('GetBucketLocation');
      return send(response, 200, {}, '<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>');
    }
    count('ListObjects');
    return send(response, 200, {}, list(bucket, query));
  }
  count(method === 'HEAD' ? 'HeadObject' : 'GetObject');
  const stored = objects.get(key);
  if (stored === undefined) return send(response, 404, {}, xmlError('NoSuchKey'));
  const headers = { ...stored.headers, ETag: `"${stored.etag}"`, 'Last-Modified': stored.lastModified.toUTCString() };
  if (method === 'HEAD') return send(response, 200, { ...headers, 'Content-Length': String(stored.size) });
  setTimeout(() => {
    response.writeHead(200, { ...headers, 'Content-Length': stored.body?.length ?? 0 });
    response.end(stored.body);
  }, settings.ms);
}

async function post(
  bucket: string,
  key: string,
  query: URLSearchParams,
  request: IncomingMessage,
  body: Buffer,
  response: ServerResponse,
): Promise<void> {
  if (query.has('uploads')) {
    count('CreateMultipartUpload');
    const id = `upload-${++number}`;
    uploads.set(id, { key, headers: storedHeaders(request), parts: new Map() });
    const answer = `<Bucket>${bucket}</Bucket><Key>${escapeXml(key)}</Key><UploadId>${id}</UploadId>`;
    return send(response, 200, {}, `<InitiateMultipartUploadResult>${answer}</InitiateMultipartUploadResult>`);
  }
  if (query.has('uploadId')) {
    count('CompleteMultipartUpload');
    const upload = uploads.get(query.get('uploadId') ?? '');
    if (upload === undefined) return send(response, 404, {}, xmlError('NoSuchUpload'));
    const parts = [...upload.parts].sort(([a], [b]) => a - b).map(([, part]) => part);
    const hash = createHash('md5');
    for (const { md5 } of parts) hash.update(md5);
    const etag = `${hash.digest('hex')}-${parts.length}`;
    const size = parts.reduce((sum, part) => sum + part.size, 0);
    put({ key, size, etag, lastModified: new Date(), headers: upload.headers, body: undefined });
    return send(
      response,
      200,
      {},
      `<CompleteMultipartUploadResult><ETag>&quot;${etag}&quot;</ETag></CompleteMultipartUploadResult>`,
    );
  }
  count('DeleteObjects');
  for (const [, name = ''] of body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)) objects.delete(name);
  sorted = undefined;
  send(response, 200, {}, '<DeleteResult></DeleteResult>');
}

const answer = (request: IncomingMessage, response: ServerResponse) => {
  handle(request, response).catch((error: Error) => {
    count(`defect: ${error.message}`);
    response.destroy();
  });
};
const options = { keepAliveTimeout: 60_000 };
const server =
  settings.tls === undefined ? createServer(options, answer) : createTlsServer({ ...options, ...settings.tls }, answer);
server.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port } satisfies FromStore);
});
process.on('message', (message: ToStore) => {
  if (message.say === 'clear') {
    objects.clear();
    uploads.clear();
    sorted = undefined;
  }
  const reply: FromStore = { counts: { ...counts }, objects: objects.size };
  for (const name of Object.keys(counts)) delete counts[name];
  process.send?.(reply);
});
process.on('disconnect', () => process.exit());
