import type { Answer, Head, Taking } from './connection.ts';
import { assumeRole, idToken } from './identity.ts';
import { listPage } from './listing.ts';
import { Objects } from './objects.ts';
import type { Pace } from './pace.ts';
import { Payload, type Received } from './payload.ts';
import { Uploads } from './uploads.ts';
import { escapeXml, xmlError } from './xml.ts';

/** Kept with an object, and answered by a HEAD. */
const KEPT = [
  'content-type',
  'cache-control',
  'content-encoding',
  'content-disposition',
  'content-language',
  'expires',
];
const KEY_LIST = /<Key>([^<]*)<\/Key>/g;

/** A request, named as S3 names it. */
interface Asked {
  readonly operation: string;
  readonly bucket: string;
  readonly key: string;
}

/**
 * A light S3 that asks nobody who he is, and keeps no content but the manifest's: one bucket, by any name, in the path or in
 * the host. It is also the STS and the token service of a job.
 */
export class LightS3 {
  readonly objects = new Objects();
  readonly uploads = new Uploads();
  readonly #pace: Pace;
  readonly #verify: boolean;
  /** Requests by operation, and refusals by code, since somebody emptied it. */
  counts: Record<string, number> = {};

  constructor(pace: Pace, verify: boolean) {
    this.#pace = pace;
    this.#verify = verify;
  }

  begin(head: Head): Taking {
    const asked = askedFor(head);
    this.#count(asked.operation);
    const keep = head.method === 'POST' || asked.key.includes('.s3-deploy');
    const md5 = asked.operation !== 'UploadPart';
    const payload = new Payload(head.headers, { keep, verify: this.#verify, md5 });
    const refused = this.#pace.refuses();
    return {
      push: (chunk) => payload.push(chunk),
      end: (respond) => {
        const received = payload.end();
        const delay = this.#pace.delay(asked.operation === 'ListObjects');
        setTimeout(() => respond(this.#answer(asked, head, received, refused)), delay);
      },
    };
  }

  #count(operation: string): void {
    this.counts[operation] = (this.counts[operation] ?? 0) + 1;
  }

  #answer(asked: Asked, head: Head, received: Received, refused: boolean): Answer {
    const problem = refused ? 'SlowDown' : received.wrong ? 'BadDigest' : undefined;
    if (problem === undefined) return this.#carryOut(asked, head, received);
    this.#count(problem);
    return refusal(refused ? 503 : 400, problem);
  }

  #carryOut(asked: Asked, { headers, query }: Head, received: Received): Answer {
    const { operation, bucket, key } = asked;
    switch (operation) {
      case 'PutObject':
        return this.#put(key, headers, received);
      case 'UploadPart': {
        const upload = this.uploads.get(query.get('uploadId') ?? '');
        if (upload === undefined) return refusal(404, 'NoSuchUpload');
        upload.parts.set(Number(query.get('partNumber')), received);
        return { status: 200, headers: { ETag: `"${received.etag}"` } };
      }
      case 'ListObjects':
        return xml(listPage(this.objects, bucket, query));
      case 'GetObject':
      case 'HeadObject':
        return this.#read(operation, key);
      case 'HeadBucket':
        return { status: 200, headers: { 'x-amz-bucket-region': 'us-east-1' } };
      case 'GetBucketLocation':
        return xml('<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>');
      case 'DeleteObject':
        this.objects.delete(key);
        return { status: 204 };
      case 'DeleteObjects':
        return this.#deleteMany(received.bytes?.toString() ?? '');
      case 'CopyObject':
        return this.#copyOnto(key, headers);
      case 'CreateMultipartUpload': {
        const id = this.uploads.begin(key, keptHeaders(headers));
        return xml(
          `<InitiateMultipartUploadResult><Bucket>${bucket}</Bucket><Key>${escapeXml(key)}</Key><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
        );
      }
      case 'CompleteMultipartUpload':
        return this.#complete(query.get('uploadId') ?? '');
      case 'AbortMultipartUpload':
        return this.uploads.abort(query.get('uploadId') ?? '') ? { status: 204 } : refusal(404, 'NoSuchUpload');
      case 'ListMultipartUploads':
        return xml('<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>');
      case 'CreateBucket':
        return { status: 200 };
      case 'GetIdToken':
        return idToken();
      case 'AssumeRoleWithWebIdentity':
        return assumeRole(operation);
      default:
        return refusal(501, 'NotImplemented');
    }
  }

  #put(key: string, headers: Record<string, string>, { size, etag, bytes: body }: Received): Answer {
    if (headers['if-none-match'] !== undefined || headers['if-match'] !== undefined) {
      const found = this.objects.get(key);
      const absent = headers['if-none-match'] === undefined || found === undefined;
      const same = headers['if-match'] === undefined || headers['if-match'] === `"${found?.etag}"`;
      if (!absent || !same) return refusal(412, 'PreconditionFailed');
    }
    this.objects.put({ key, size, etag, lastModified: new Date(), headers: keptHeaders(headers), body });
    return { status: 200, headers: { ETag: `"${etag}"` } };
  }

  #read(operation: string, key: string): Answer {
    const stored = this.objects.get(key);
    if (stored === undefined) return operation === 'HeadObject' ? { status: 404 } : refusal(404, 'NoSuchKey');
    const headers = { ...stored.headers, ETag: `"${stored.etag}"`, 'Last-Modified': stored.lastModified.toUTCString() };
    if (operation === 'HeadObject') return { status: 200, headers: { ...headers, 'Content-Length': stored.size } };
    return { status: 200, headers, body: stored.body ?? '' };
  }

  #deleteMany(body: string): Answer {
    const keys = [...body.matchAll(KEY_LIST)].map(([, key = '']) => key);
    for (const key of keys) this.objects.delete(key);
    const deleted = keys.map((key) => `<Deleted><Key>${key}</Key></Deleted>`).join('');
    return xml(`<DeleteResult>${deleted}</DeleteResult>`);
  }

  /** Onto itself, with other headers. */
  #copyOnto(key: string, headers: Record<string, string>): Answer {
    const stored = this.objects.get(key);
    if (stored === undefined) return refusal(404, 'NoSuchKey');
    const { xml: _, ...rest } = stored;
    this.objects.put({ ...rest, headers: keptHeaders(headers), lastModified: new Date() });
    return xml(`<CopyObjectResult><ETag>&quot;${stored.etag}&quot;</ETag></CopyObjectResult>`);
  }

  #complete(id: string): Answer {
    const whole = this.uploads.complete(id);
    if (whole === undefined) return refusal(404, 'NoSuchUpload');
    const { size, etag, upload } = whole;
    this.objects.put({ ...upload, size, etag, lastModified: new Date(), body: undefined });
    return xml(
      `<CompleteMultipartUploadResult><Key>${escapeXml(upload.key)}</Key><ETag>&quot;${etag}&quot;</ETag></CompleteMultipartUploadResult>`,
    );
  }
}

function xml(body: string): Answer {
  return { status: 200, headers: { 'Content-Type': 'application/xml' }, body };
}

function refusal(status: number, code: string): Answer {
  return { status, headers: { 'Content-Type': 'application/xml' }, body: xmlError(code) };
}

function askedFor({ method, path, query, headers }: Head): Asked {
  const inHost = /^(.+)\.s3[.-][^/]*amazonaws\.com/.exec(headers.host ?? '')?.[1];
  const slash = inHost === undefined ? path.indexOf('/', 1) : 0;
  const bucket = inHost ?? path.slice(1, slash < 0 ? undefined : slash);
  const raw = slash < 0 ? '' : path.slice(slash + 1);
  const key = raw.includes('%') ? decodeURIComponent(raw) : raw;
  if (path.startsWith('/idtoken/')) return { operation: 'GetIdToken', bucket: '', key: '' };
  const operation = key === '' ? onBucket(method, bucket, query) : onObject(method, query, headers);
  return { operation, bucket, key };
}

function onBucket(method: string, bucket: string, query: URLSearchParams): string {
  // Of STS there is one call that a deploy makes.
  if (bucket === '') return method === 'POST' ? 'AssumeRoleWithWebIdentity' : 'ListBuckets';
  if (method === 'HEAD') return 'HeadBucket';
  if (method === 'PUT') return query.size === 0 ? 'CreateBucket' : 'PutBucketSetting';
  if (method === 'POST') return 'DeleteObjects';
  if (query.has('location')) return 'GetBucketLocation';
  if (query.has('uploads')) return 'ListMultipartUploads';
  const isListing = query.has('list-type') || query.has('prefix') || query.has('max-keys') || query.has('marker');
  return isListing || query.size === 0 ? 'ListObjects' : 'GetBucketSetting';
}

function onObject(method: string, query: URLSearchParams, headers: Record<string, string>): string {
  const inParts = query.has('uploadId');
  switch (method) {
    case 'GET':
      return 'GetObject';
    case 'HEAD':
      return 'HeadObject';
    case 'DELETE':
      return inParts ? 'AbortMultipartUpload' : 'DeleteObject';
    case 'POST':
      return inParts ? 'CompleteMultipartUpload' : 'CreateMultipartUpload';
    default:
      if (inParts) return 'UploadPart';
      return headers['x-amz-copy-source'] === undefined ? 'PutObject' : 'CopyObject';
  }
}

function keptHeaders(headers: Record<string, string>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of KEPT) if (headers[name] !== undefined) kept[name] = headers[name];
  for (const name in headers) if (name.startsWith('x-amz-meta-')) kept[name] = headers[name] ?? '';
  return kept;
}
