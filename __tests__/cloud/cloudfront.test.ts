import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Sha256 } from '@smithy/core/checksum';
import { SignatureV4 } from '@smithy/signature-v4';
import { type LoopbackCloud, startCloud } from '../support/cloud/cloud.ts';
import type { Distribution } from '../support/cloud/distribution.ts';
import type { AccessKeys } from '../support/test-cloud.ts';
import { allow, deny, policy } from './clients.ts';

let cloud: LoopbackCloud;
let edge: Distribution;
let keys: AccessKeys;
beforeAll(async () => {
  cloud = await startCloud();
  await cloud.createBucket('web');
  edge = cloud.createDistribution('web');
  keys = await cloud.createUser('ann', policy(allow('cloudfront:*')));
});
beforeEach(() => {
  cloud.faults.clear();
  cloud.setUserPolicy('ann', policy(allow('cloudfront:*')));
  cloud.time = 0;
  edge.invalidations.splice(0);
  edge.invalidationMs = 0;
});
afterAll(() => cloud.close());

interface Sent {
  id?: string;
  invalidation?: string;
  body?: string;
  credentials?: AccessKeys & { sessionToken?: string };
  region?: string;
  service?: string;
  /** Changes what was signed. */
  tamper?: (request: { headers: Record<string, string>; body: string | undefined }) => void;
}

const batch = (paths: readonly string[], reference = Math.random().toString(), quantity = paths.length) =>
  `<InvalidationBatch xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><Paths><Quantity>${quantity}</Quantity><Items>${paths
    .map((path) => `<Path>${path}</Path>`)
    .join('')}</Items></Paths><CallerReference>${reference}</CallerReference></InvalidationBatch>`;

/** Sends one signed request: a body makes an invalidation, an id asks for one. */
async function send({
  id = edge.id,
  invalidation,
  body,
  credentials = keys,
  region = 'us-east-1',
  service = 'cloudfront',
  tamper,
}: Sent) {
  const url = new URL(
    `${cloud.cloudFrontEndpoint}/2020-05-31/distribution/${id}/invalidation${invalidation === undefined ? '' : `/${invalidation}`}`,
  );
  const signer = new SignatureV4({ service, region, credentials, sha256: Sha256 });
  const request = {
    method: body === undefined ? 'GET' : 'POST',
    protocol: 'http:',
    hostname: url.hostname,
    path: url.pathname,
    query: {},
    headers: { host: url.host, 'content-type': 'text/xml' },
    body,
  };
  const signed = (await signer.sign(request)) as { method: string; headers: Record<string, string>; body?: string };
  const sent = { headers: { ...signed.headers }, body };
  tamper?.(sent);
  const answer = await fetch(url, {
    method: signed.method,
    headers: sent.headers,
    ...(sent.body && { body: sent.body }),
  });
  const text = await answer.text();
  const element = (name: string) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1];
  return {
    status: answer.status,
    code: element('Code'),
    message: element('Message'),
    id: element('Id'),
    state: element('Status'),
    headers: answer.headers,
    text,
  };
}

test('makes an invalidation, which moves on to Completed', async () => {
  edge.invalidationMs = 60_000;
  const made = await send({ body: batch(['/a', '/b/*']) });
  expect([made.status, made.state]).toEqual([201, 'InProgress']);
  expect(made.headers.get('location')).toContain(`/distribution/${edge.id}/invalidation/${made.id}`);
  expect(made.text).toContain('<Path>/a</Path><Path>/b/*</Path>');
  expect((await send({ invalidation: made.id! })).state).toBe('InProgress');
  cloud.time = 61_000;
  expect(await send({ invalidation: made.id! })).toMatchObject({ status: 200, state: 'Completed', id: made.id });
});

test('makes the same one once, and no other of the same name', async () => {
  const [first, second] = [await send({ body: batch(['/a'], 'r') }), await send({ body: batch(['/a'], 'r') })];
  expect([second.status, second.id]).toEqual([201, first.id]);
  expect(edge.invalidations).toHaveLength(1);
  expect(await send({ body: batch(['/b'], 'r') })).toMatchObject({
    status: 400,
    code: 'InvalidationBatchAlreadyExists',
  });
});

describe('refuses', () => {
  test.each<[string, () => Sent, number, string]>([
    ['a distribution that is not there', () => ({ id: 'E0', body: batch(['/']) }), 404, 'NoSuchDistribution'],
    ['an invalidation that is not there', () => ({ invalidation: 'I0' }), 404, 'NoSuchInvalidation'],
    ['a quantity that is wrong', () => ({ body: batch(['/'], 'r', 2) }), 400, 'InconsistentQuantities'],
    ['no path', () => ({ body: batch([]) }), 400, 'InconsistentQuantities'],
    ['a path without a slash', () => ({ body: batch(['a']) }), 400, 'InvalidArgument'],
    ['a path that is not encoded', () => ({ body: batch(['/a b']) }), 400, 'InvalidArgument'],
    ['a tilde', () => ({ body: batch(['/~me']) }), 400, 'InvalidArgument'],
    ['an asterisk in the middle', () => ({ body: batch(['/*/a']) }), 400, 'InvalidArgument'],
    ['a percent sign by itself', () => ({ body: batch(['/100%']) }), 400, 'InvalidArgument'],
    ['what is no XML', () => ({ body: '{}' }), 400, 'MalformedXML'],
    ['a batch without a reference', () => ({ body: batch(['/'], '') }), 400, 'MalformedXML'],
    [
      'sixteen wildcards',
      () => ({ body: batch(Array.from({ length: 16 }, (_, i) => `/${i}*`)) }),
      400,
      'TooManyInvalidationsInProgress',
    ],
    [
      '3001 paths',
      () => ({ body: batch(Array.from({ length: 3001 }, (_, i) => `/${i}`)) }),
      400,
      'TooManyInvalidationsInProgress',
    ],
    [
      'a key that it does not know',
      () => ({ body: batch(['/']), credentials: { ...keys, accessKeyId: 'AKIA0' } }),
      403,
      'InvalidClientTokenId',
    ],
    [
      'a wrong secret',
      () => ({ body: batch(['/']), credentials: { ...keys, secretAccessKey: 'x' } }),
      403,
      'SignatureDoesNotMatch',
    ],
    ['another region', () => ({ body: batch(['/']), region: 'eu-central-1' }), 403, 'SignatureDoesNotMatch'],
    ['another service', () => ({ body: batch(['/']), service: 's3' }), 400, 'IncompleteSignature'],
    [
      'a body that was changed',
      () => ({ body: batch(['/']), tamper: (one) => (one.body = batch(['/*'])) }),
      403,
      'SignatureDoesNotMatch',
    ],
    [
      'nobody',
      () => ({ body: batch(['/']), tamper: ({ headers }) => delete headers.authorization }),
      403,
      'MissingAuthenticationToken',
    ],
  ])('%s', async (_, sent, status, code) => {
    expect(await send(sent())).toMatchObject({ status, code });
    expect(edge.invalidations).toEqual([]);
  });

  test('a request from an hour ago', async () => {
    cloud.time = 3_600_000;
    const late = await send({ body: batch(['/']) });
    expect(late).toMatchObject({ status: 403, message: expect.stringContaining('Signature expired') });
  });

  test.each<[string, ReturnType<typeof policy>, string]>([
    [
      'without a grant',
      policy(allow('s3:*')),
      'because no identity-based policy allows the cloudfront:CreateInvalidation action',
    ],
    [
      'with one of another distribution',
      policy(allow('cloudfront:*', 'arn:aws:cloudfront::123456789012:distribution/E9')),
      'because no identity-based policy',
    ],
    [
      'with a denial',
      policy(allow('cloudfront:*'), deny('cloudfront:CreateInvalidation')),
      'with an explicit deny in an identity-based policy',
    ],
  ])('%s', async (_, document, words) => {
    cloud.setUserPolicy('ann', document);
    expect(await send({ body: batch(['/']) })).toMatchObject({
      status: 403,
      code: 'AccessDenied',
      message: expect.stringContaining(words),
    });
  });

  test('before it says whether a distribution is there', async () => {
    cloud.setUserPolicy('ann', policy(allow('s3:*')));
    expect(await send({ id: 'E0', body: batch(['/']) })).toMatchObject({ code: 'AccessDenied' });
    expect(await send({ invalidation: 'I0' })).toMatchObject({ code: 'AccessDenied' });
  });
});

test('counts what is under way, and not what is done', async () => {
  edge.invalidationMs = 60_000;
  const many = Array.from({ length: 15 }, (_, i) => `/${i}*`);
  expect((await send({ body: batch(many) })).status).toBe(201);
  expect((await send({ body: batch(['/x*']) })).code).toBe('TooManyInvalidationsInProgress');
  expect((await send({ body: batch(['/x']) })).status).toBe(201);
  cloud.time = 61_000;
  expect((await send({ body: batch(['/x*']) })).status).toBe(201);
});

test('fails as it is told to', async () => {
  cloud.faults.add({ operation: 'CreateInvalidation', answer: { kind: 'error', status: 400, code: 'Throttling' } });
  expect(await send({ body: batch(['/']) })).toMatchObject({ status: 400, code: 'Throttling' });
  expect((await send({ body: batch(['/']) })).status).toBe(201);
  expect(cloud.requests.at(-1)).toMatchObject({
    operation: 'CreateInvalidation',
    principal: 'arn:aws:iam::123456789012:user/ann',
  });
});

describe('an edge', () => {
  const invalidate = (...paths: string[]) => edge.invalidate(Math.random().toString(), paths.length, paths, Date.now());

  test('keeps what it has fetched, missing pages too, until it is told', async () => {
    await cloud.putObject('web', 'docs/index.html', 'one');
    expect(['/docs/', '/docs/index.html', '/docs/a%20b'].map((path) => edge.get(path))).toEqual([
      'one',
      'one',
      undefined,
    ]);
    await cloud.putObject('web', 'docs/index.html', 'two');
    await cloud.putObject('web', 'docs/a b', 'two');
    expect(['/docs/', '/docs/a%20b'].map((path) => edge.get(path))).toEqual(['one', undefined]);
    invalidate('/docs/');
    expect(['/docs/', '/docs/index.html'].map((path) => edge.get(path))).toEqual(['two', 'one']);
    invalidate('/docs/a*', '/docs/index.html');
    expect(['/docs/index.html', '/docs/a%20b'].map((path) => edge.get(path))).toEqual(['two', 'two']);
  });

  test('takes an encoded path for what it means', async () => {
    await cloud.putObject('web', '~me', 'one');
    expect([edge.get('/~me')]).toEqual(['one']);
    await cloud.putObject('web', '~me', 'two');
    invalidate('/%7Eme');
    expect(edge.get('/~me')).toBe('two');
  });
});
