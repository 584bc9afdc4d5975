import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** What of a request enters its signature. Header names are lower-case; `path` and `query` are as they were sent. */
export interface SignedRequest {
  method: string;
  path: string;
  query: string;
  headers: Record<string, string>;
  /** The x-amz-content-sha256 header for S3, the hash of the body elsewhere. */
  payloadHash: string;
}

export interface Credential<Principal = unknown> {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  /** Milliseconds since the epoch. */
  expires?: number;
  principal: Principal;
}

export interface Verifier<Principal> {
  service: 's3' | 'sts' | 'cloudfront';
  /** The region a request must be signed for; any when undefined. */
  region: string | undefined;
  /** Milliseconds since the epoch. */
  now: number;
  credential(accessKeyId: string): Credential<Principal> | undefined;
}

/** Why a request is refused; S3 and STS have different words for it. */
export type Refusal =
  | { reason: 'malformed'; message: string }
  | { reason: 'region'; given: string; expected: string }
  | { reason: 'undated' }
  | { reason: 'skewed'; requestTime: string }
  | { reason: 'unknown-key'; accessKeyId: string }
  | { reason: 'token'; token: string }
  | { reason: 'expired'; token: string }
  | { reason: 'unsigned-headers'; names: string[] }
  | {
      reason: 'mismatch';
      accessKeyId: string;
      signature: string;
      stringToSign: string;
      canonicalRequest: string;
    };

export type Authentication<Principal> =
  | { kind: 'anonymous' }
  | { kind: 'signed'; principal: Principal }
  | { kind: 'refused'; refusal: Refusal };

const MAX_SKEW_MS = 15 * 60_000;
const AUTHORIZATION = /^AWS4-HMAC-SHA256\s+Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]+)$/;

export const sha256 = (data: string | Uint8Array) => createHash('sha256').update(data).digest('hex');
const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest();

/** Percent-encodes as SigV4 wants it: everything but the unreserved characters, of bytes in latin1. */
const encodeBytes = (latin1: string) =>
  latin1.replace(/[^A-Za-z0-9._~-]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);

const decodeBytes = (text: string) =>
  text.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));

/** AWS signs what it understood, not what was sent: decoded and encoded again. A path that is encoded otherwise fails. */
const reencode = (text: string) => encodeBytes(decodeBytes(text));

function canonicalQuery(query: string): string {
  if (!query) return '';
  return query
    .split('&')
    .map((pair) => {
      const [name = '', ...value] = pair.split('=');
      return [reencode(name), reencode(value.join('='))] as const;
    })
    .sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0))
    .map((pair) => pair.join('='))
    .join('&');
}

function canonicalRequest(request: SignedRequest, signedHeaders: string[]): string {
  return [
    request.method,
    request.path.split('/').map(reencode).join('/'),
    canonicalQuery(request.query),
    ...signedHeaders.map((name) => `${name}:${(request.headers[name] ?? '').trim().replace(/ +/g, ' ')}`),
    '',
    signedHeaders.join(';'),
    request.payloadHash,
  ].join('\n');
}

const signingKeys = new Map<string, Buffer>();

/** Four HMACs that are the same for every request of a key on a day. */
function signingKey(secret: string, date: string, region: string, service: string): Buffer {
  const name = `${secret} ${date} ${region} ${service}`;
  let key = signingKeys.get(name);
  if (!key) {
    key = hmac(hmac(hmac(hmac(`AWS4${secret}`, date), region), service), 'aws4_request');
    signingKeys.set(name, key);
  }
  return key;
}

const parseDate = (stamp: string) =>
  Date.parse(stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));

/** Who signed this request by header, or why the signature does not stand. No signature is an anonymous request. */
export function authenticate<Principal>(
  request: SignedRequest,
  verifier: Verifier<Principal>,
): Authentication<Principal> {
  const { headers } = request;
  if (headers.authorization === undefined) return { kind: 'anonymous' };
  const refuse = (refusal: Refusal) => ({ kind: 'refused', refusal }) as const;
  const malformed = (message: string) => refuse({ reason: 'malformed', message });

  const [, scope = '', names = '', signature = ''] = AUTHORIZATION.exec(headers.authorization) ?? [];
  const [accessKeyId = '', date = '', region = '', service = '', terminator] = scope.split('/');
  if (!signature) return malformed('The authorization header that you provided is not valid.');
  if (terminator !== 'aws4_request')
    return malformed('The authorization header is malformed; the Credential is wrong.');
  if (service !== verifier.service) {
    return malformed(
      `The authorization header is malformed; incorrect service "${service}". This endpoint belongs to "${verifier.service}".`,
    );
  }
  if (verifier.region !== undefined && region !== verifier.region) {
    return refuse({ reason: 'region', given: region, expected: verifier.region });
  }

  const credential = verifier.credential(accessKeyId);
  const token = headers['x-amz-security-token'];
  // A session's key without its token is a key that S3 has no record of.
  if (!credential || (credential.sessionToken && token === undefined)) {
    return refuse({ reason: 'unknown-key', accessKeyId });
  }
  if (token !== credential.sessionToken) return refuse({ reason: 'token', token: token ?? '' });
  if (credential.expires !== undefined && verifier.now >= credential.expires) {
    return refuse({ reason: 'expired', token: token ?? '' });
  }

  const stamp = headers['x-amz-date'];
  if (stamp === undefined || Number.isNaN(parseDate(stamp))) return refuse({ reason: 'undated' });
  if (!stamp.startsWith(date)) return malformed('The authorization header is malformed; Invalid credential date.');
  if (Math.abs(parseDate(stamp) - verifier.now) > MAX_SKEW_MS) return refuse({ reason: 'skewed', requestTime: stamp });

  const signedHeaders = names.split(';');
  const unsigned = Object.keys(headers).filter(
    (name) => (name === 'host' || name.startsWith('x-amz-')) && !signedHeaders.includes(name),
  );
  if (unsigned.length > 0) return refuse({ reason: 'unsigned-headers', names: unsigned });

  const canonical = canonicalRequest(request, signedHeaders);
  const stringToSign = ['AWS4-HMAC-SHA256', stamp, `${date}/${region}/${service}/aws4_request`, sha256(canonical)].join(
    '\n',
  );
  const expected = hmac(signingKey(credential.secretAccessKey, date, region, service), stringToSign);
  const given = Buffer.from(signature, 'hex');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    return refuse({ reason: 'mismatch', accessKeyId, signature, stringToSign, canonicalRequest: canonical });
  }
  return { kind: 'signed', principal: credential.principal };
}
