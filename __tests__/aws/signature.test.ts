import { createHash } from 'node:crypto';
import { S3Client } from '@aws-sdk/client-s3';
import { describe, expect, test } from '@jest/globals';
import { HttpRequest } from '@smithy/core/protocols';
import fc from 'fast-check';
import { amzDate, encodeKey, SignatureV4, type Signer } from '../../src/aws/signature.ts';

const KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const SIGNER: Signer = { ...KEYS, region: 'eu-central-1', service: 's3' };
const NOON = Date.UTC(2026, 10, 21, 12);
const EMPTY = createHash('sha256').digest('hex');

interface RequestSigner {
  sign(request: HttpRequest, options: object): Promise<HttpRequest>;
}

/** The request as the SDK signs it. */
async function bySdk(
  request: { method: string; path: string; query: Record<string, string>; headers: Record<string, string> },
  signer: Signer & { sessionToken?: string },
  time: number,
): Promise<Record<string, string>> {
  const { config } = new S3Client({ region: signer.region, credentials: signer });
  // What this client signs its commands with; its type says what may be configured.
  const sdk = await (config.signer as () => Promise<RequestSigner>)();
  const signed = await sdk.sign(new HttpRequest({ protocol: 'https:', hostname: 'site.example', ...request }), {
    signingDate: new Date(time),
    signingRegion: signer.region,
    signingService: signer.service,
  });
  return signed.headers;
}

/** Held against the SDK: the very headers that it signs, with its signature. */
async function expectSame(
  { method = 'PUT', path = '/', query = {} as Record<string, string>, headers = {} as Record<string, string> },
  signer: Signer & { sessionToken?: string } = SIGNER,
  time = NOON,
): Promise<string> {
  const given = { host: 'site.example', 'x-amz-content-sha256': EMPTY, ...headers };
  const { authorization, ...all } = await bySdk({ method, path, query, headers: given }, signer, time);
  expect(all['x-amz-date']).toBe(amzDate(time));
  const canonical = Object.entries(query).map((pair) => pair.join('='));
  const own = new SignatureV4().authorization(
    { method, path, query: canonical.sort().join('&'), headers: all },
    signer,
  );
  expect(own).toBe(authorization);
  return own;
}

describe("a signature is the SDK's", () => {
  test.each([
    ['the root', {}],
    ['a key of ordinary letters', { path: '/docs/index.html' }],
    ['a key with every kind of character', { path: `/${encodeKey("a!'()*~ +%2F&=?#:@$,;\u00e9\u{1f600}//.b")}` }],
    ['a bucket in the path', { path: '/my-site/a%20b' }],
    ['a query', { query: { 'x-id': 'PutObject', uploads: '' } }],
    ['conditions', { headers: { 'if-match': '"0123"', 'if-none-match': '*' } }],
    ['blanks within a value', { headers: { 'content-disposition': 'attachment;   filename="a  b.txt"' } }],
    ['blanks around a value', { headers: { 'x-amz-meta-a': '  padded\t' } }],
    ['tabs', { headers: { 'x-amz-meta-a': 'a\t\tb \t c' } }],
    ['an empty value', { headers: { 'x-amz-meta-a': '' } }],
    ['values beyond ASCII', { headers: { 'x-amz-meta-a': 'caf\u00e9 \u{1f600}' } }],
    ['another method', { method: 'GET' }],
    ['names that sort by their bytes', { headers: { 'x-amz-a': '1', 'x-amz-a-b': '2', 'x-amz-a0': '3', a: '4' } }],
  ])('of %s', async (_what, request) => {
    await expectSame(request);
  });

  test('with a session token, in other regions, for other services', async () => {
    await expectSame({}, { ...SIGNER, sessionToken: 'IQoJb3JpZ2luX2Vj//////////wEaDGV1LWNlbnRyYWwtMSJ=' });
    await expectSame({}, { ...SIGNER, region: 'us-gov-west-1' });
    await expectSame({}, { ...SIGNER, region: 'auto' });
  });

  test('of whatever key, header and time', async () => {
    const key = fc.string({ unit: 'binary', maxLength: 40 }).filter((one) => one.isWellFormed());
    // Printable: no other value gets onto the wire.
    const value = fc.stringMatching(/^[ -~\t]*$/);
    const headers = fc.dictionary(fc.stringMatching(/^x-amz-meta-[a-z0-9-]{1,8}$/), value, { maxKeys: 4 });
    const time = fc.integer({ min: 0, max: 4e12 });
    await fc.assert(
      fc.asyncProperty(key, headers, time, async (path, more, when) => {
        await expectSame({ path: `/${encodeKey(path)}`, headers: more }, SIGNER, when);
      }),
      { numRuns: 300 },
    );
  });
});

describe('the key of the day', () => {
  const sign = (signature: SignatureV4, time: number, signer: Signer = SIGNER) =>
    signature.authorization(
      { method: 'GET', path: '/', query: '', headers: { 'x-amz-date': amzDate(time), 'x-amz-content-sha256': EMPTY } },
      signer,
    );

  test.each<[string, number, Signer]>([
    ['the next request', NOON + 1000, SIGNER],
    ['midnight', NOON + 12 * 3_600_000, SIGNER],
    ['another secret of the same key id', NOON, { ...SIGNER, secretAccessKey: 'another' }],
    ['other credentials', NOON, { ...SIGNER, accessKeyId: 'AKIDOTHER', secretAccessKey: 'another' }],
    ['another region', NOON, { ...SIGNER, region: 'eu-west-1' }],
    ['another service', NOON, { ...SIGNER, service: 's3express' }],
    ['a clock that was set back by a day', NOON - 24 * 3_600_000, SIGNER],
  ])('serves before and after %s as a fresh one would', (_what, time, signer) => {
    const kept = new SignatureV4();
    const first = sign(kept, NOON);
    expect(sign(kept, time, signer)).toBe(sign(new SignatureV4(), time, signer));
    expect(sign(kept, NOON)).toBe(first);
  });
});

describe('a key in a path', () => {
  test('is encoded but for the unreserved characters and the slash', () => {
    expect(encodeKey("A-Za_z0.9~/a b!'()*+&=é%/")).toBe('A-Za_z0.9~/a%20b%21%27%28%29%2A%2B%26%3D%C3%A9%25/');
    expect(encodeKey('plain/key.html')).toBe('plain/key.html');
  });

  test('is the key again when it is decoded, whatever it is', () => {
    const key = fc.string({ unit: 'binary' }).filter((one) => one.isWellFormed());
    fc.assert(
      fc.property(key, (one) => {
        const encoded = encodeKey(one);
        expect(encoded).toMatch(/^([A-Za-z0-9_.~/-]|%[0-9A-F]{2})*$/);
        expect(decodeURIComponent(encoded)).toBe(one);
        expect(encoded.split('/').length).toBe(one.split('/').length);
      }),
    );
  });
});
