import { inspect } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { ServiceError, toServiceError } from '../../src/aws/failure.ts';
import { misbehaved } from '../../src/core/explain.ts';

const sdkError = (name: string, message: string, more: object = {}) =>
  Object.assign(new Error(message), { name }, more);
const answered = (name: string, status: number, message = '', more: object = {}): Error =>
  sdkError(name, message, { $metadata: { httpStatusCode: status }, ...more });
const failureOf = (error: unknown) => toServiceError('PutObject', error).failure;

describe('an answer is told by its code, or its status where it has none', () => {
  test.each([
    ['a code', answered('AccessDenied', 403), 403, 'AccessDenied'],
    ['a code beside the name', answered('S3ServiceException', 400, '', { Code: 'BadDigest' }), 400, 'BadDigest'],
    ['HEAD, denied', answered('403', 403), 403, 'AccessDenied'],
    ['HEAD, missing', answered('NotFound', 404), 404, 'NotFound'],
    ['HEAD, missing, without a name', answered('Unknown', 404), 404, 'NotFound'],
    ['HEAD, elsewhere', answered('301', 301), 301, 'PermanentRedirect'],
    ['HEAD, malformed', answered('UnknownError', 400), 400, 'BadRequest'],
    ['too busy', answered('Error', 503), 503, 'SlowDown'],
    ['too many', answered('Error', 429), 429, 'TooManyRequests'],
    ['a bad gateway', answered('UnknownError', 502), 502, 'Http502'],
    ['HTML with 200', answered('SyntaxError', 200), 200, 'StoreMisbehaved'],
    ['HTML with 500', answered('SyntaxError', 500), 500, 'Http500'],
  ])('%s', (_what, error, status, code) => {
    expect(failureOf(error)).toMatchObject({ operation: 'PutObject', code, status });
  });

  test('the status may stand in the response alone', () => {
    expect(failureOf(sdkError('Unknown', '', { $response: { statusCode: 404 } }))).toMatchObject({
      code: 'NotFound',
      status: 404,
    });
  });
});

describe('no answer is a network error', () => {
  test.each<[string, Error, string?]>([
    ['refused', sdkError('Error', 'connect ECONNREFUSED 127.0.0.1:1', { code: 'ECONNREFUSED' }), 'ConnectionRefused'],
    [
      'TLS spoken to a server without',
      sdkError('Error', 'write EPROTO wrong version number', { code: 'EPROTO' }),
      'NoTls',
    ],
    ['reset', sdkError('Error', 'socket hang up', { code: 'ECONNRESET' })],
    ['no such host', sdkError('Error', 'getaddrinfo ENOTFOUND x', { code: 'ENOTFOUND' }), 'HostNotFound'],
    ['the resolver is busy', sdkError('Error', 'getaddrinfo EAI_AGAIN x', { code: 'EAI_AGAIN' })],
    ['a timeout of the SDK', sdkError('TimeoutError', 'Request timed out')],
    [
      'a certificate that has expired',
      sdkError('Error', 'certificate has expired', { code: 'CERT_HAS_EXPIRED' }),
      'CertificateRefused',
    ],
    [
      'a certificate of one’s own',
      sdkError('Error', 'self-signed certificate', { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }),
      'CertificateRefused',
    ],
    ['something that is not HTTP', sdkError('Error', 'Parse Error: Expected HTTP/', { code: 'HPE_INVALID_CONSTANT' })],
  ])('%s', (_what, error, code = 'NetworkError') => {
    expect(failureOf(error)).toMatchObject({ code, status: undefined, message: error.message });
  });

  test('also when the connection breaks after the status line', () => {
    const broken = answered('Error', 200, 'aborted', { code: 'ECONNRESET' });
    expect(failureOf(broken)).toMatchObject({ code: 'NetworkError', status: undefined });
  });

  test('with its code where it says nothing else', () => {
    expect(failureOf(sdkError('AggregateError', '', { code: 'ECONNREFUSED' })).message).toBe(
      'no answer (ECONNREFUSED)',
    );
  });
});

test('a failure of the credentials is neither', () => {
  const error = sdkError('CredentialsProviderError', 'Could not load credentials from any providers');
  expect(failureOf(error)).toMatchObject({
    code: 'CredentialsProviderError',
    status: undefined,
    message: error.message,
  });
});

test.each([
  ['a text', 'boom'],
  ['nothing', undefined],
  ['null', null],
  ['an object', {}],
])('%s that was thrown is a failure without a name', (_what, thrown) => {
  expect(failureOf(thrown)).toMatchObject({ operation: 'PutObject', code: 'Unknown', status: undefined });
});

test('a failure that is one already is itself', () => {
  const error = new ServiceError(misbehaved('GetObject', 'no ETag'));
  expect(toServiceError('PutObject', error)).toBe(error);
});

describe('what the service tells beside its code', () => {
  test.each([
    ['the request', { $metadata: { httpStatusCode: 403, requestId: '4442' } }, { requestId: '4442' }],
    ['the request, in a header', { $response: { headers: { 'x-amz-request-id': 'tx1' } } }, { requestId: 'tx1' }],
    [
      'the region, in a header',
      { $response: { headers: { 'x-amz-bucket-region': 'eu-west-1' } } },
      { region: 'eu-west-1' },
    ],
    ['the region, in its XML', { Region: 'eu-west-2' }, { region: 'eu-west-2' }],
    ['a region that is none', { Region: 'x\n::add-mask::y' }, { region: undefined }],
    ['a region that is a tag', { Region: '<b>' }, { region: undefined }],
    ['when to come again', { $response: { headers: { 'retry-after': '7' } } }, { retryAfter: 7 }],
    [
      'when to come again, as a date',
      { $response: { headers: { 'retry-after': 'Wed, 21 Oct' } } },
      { retryAfter: undefined },
    ],
  ])('%s', (_what, more, expected) => {
    expect(failureOf(answered('AccessDenied', 403, '', more))).toMatchObject(expected);
  });

  test('is the header that it does not know, where that is one', () => {
    expect(failureOf(answered('NotImplemented', 501, 'No', { Header: 'x-amz-acl' })).message).toBe('No (x-amz-acl)');
    for (const Header of ['x\ny', '', 'x'.repeat(61), { a: 1 }])
      expect(failureOf(answered('NotImplemented', 501, 'No', { Header })).message).toBe('No');
  });

  test('is its first line, and nothing where it is nothing', () => {
    expect(failureOf(answered('X', 400, 'one\ntwo')).message).toBe('one');
    expect(failureOf(answered('X', 400, 'UnknownError')).message).toBe('');
    expect(failureOf(answered('X', 400)).message).toBe('');
  });
});

test('a hostile answer is harmless in every part', () => {
  const hostile = '##[stop-commands]x\x1b[2J\u202e';
  const { code, message, requestId } = failureOf(
    answered(hostile, 400, hostile, { $metadata: { httpStatusCode: 400, requestId: hostile } }),
  );
  for (const text of [code, message, requestId]) expect(text).toBe('##\\[stop-commands]x\\x1b[2J\\u202e');
  expect(failureOf(answered('X', 400, 'x'.repeat(1e6))).message.length).toBeLessThanOrEqual(600);
});

test('secrets that an SDK error carries are nowhere in what is made of it', () => {
  const leaky = answered('SignatureDoesNotMatch', 403, 'The request signature does not match', {
    'Token-0': 'FwoGZXIvYXdzEXAMPLE',
    AWSAccessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    CanonicalRequest: 'PUT\nx-amz-security-token:FwoGZXIvYXdzEXAMPLE',
    StringToSign: 'AWS4-HMAC-SHA256 FwoGZXIvYXdzEXAMPLE',
    $response: { headers: { 'x-amz-security-token': 'FwoGZXIvYXdzEXAMPLE' }, body: 'FwoGZXIvYXdzEXAMPLE' },
  });
  const shown = inspect(toServiceError('PutObject', leaky), { depth: 9, showHidden: true });
  expect(shown).toContain('SignatureDoesNotMatch');
  expect(shown).not.toMatch(/FwoGZ|AKIA/);
});
