import { expect, describe as group, test } from '@jest/globals';
import { denialOf, describe, explain, kindOf, misbehaved, type ServiceFailure } from '../../src/core/explain.ts';

const failure = (more: Partial<ServiceFailure>): ServiceFailure => ({
  operation: 'PutObject',
  code: 'Unknown',
  message: '',
  status: undefined,
  requestId: undefined,
  region: undefined,
  retryAfter: undefined,
  ...more,
});

group('what can be done about', () => {
  test.each([
    ['NetworkError', undefined, 'unreachable'],
    ['StoreMisbehaved', 200, 'misbehaved'],
    ['SlowDown', 503, 'throttled'],
    ['SlowDown', 200, 'throttled'],
    ['Throttling', 400, 'throttled'],
    ['TooManyRequests', 429, 'throttled'],
    ['SomethingNew', 429, 'throttled'],
    ['SomethingNew', 503, 'throttled'],
    ['InternalError', 500, 'transient'],
    ['InternalError', 200, 'transient'],
    ['Http502', 502, 'transient'],
    ['Http504', 504, 'transient'],
    ['NotImplemented', 501, 'refused'],
    ['RequestTimeout', 400, 'transient'],
    ['OperationAborted', 409, 'transient'],
    ['ConditionalRequestConflict', 409, 'transient'],
    ['BadDigest', 400, 'transient'],
    ['IncompleteBody', 400, 'transient'],
    ['XAmzContentSHA256Mismatch', 400, 'transient'],
    ['RequestTimeTooSkewed', 403, 'transient'],
    ['IDPCommunicationError', 400, 'transient'],
    ['PermanentRedirect', 301, 'wrong region'],
    ['TemporaryRedirect', 307, 'wrong region'],
    ['AuthorizationHeaderMalformed', 400, 'wrong region'],
    ['IllegalLocationConstraintException', 400, 'wrong region'],
    ['AccessDenied', 403, 'denied'],
    ['SomethingNew', 403, 'denied'],
    ['SomethingNew', 401, 'denied'],
    ['AllAccessDisabled', 403, 'denied'],
    ['InvalidAccessKeyId', 403, 'credentials'],
    ['SignatureDoesNotMatch', 403, 'credentials'],
    ['InvalidClientTokenId', 403, 'credentials'],
    ['ExpiredToken', 400, 'credentials'],
    ['InvalidToken', 400, 'credentials'],
    ['CredentialsProviderError', undefined, 'credentials'],
    ['NoSuchBucket', 404, 'missing bucket'],
    ['NoSuchKey', 404, 'refused'],
    ['PermanentRedirect', 301, 'wrong region'],
    ['Unknown', 301, 'wrong region'],
    ['AuthorizationHeaderMalformed', 400, 'wrong region'],
    ['MalformedXML', 400, 'refused'],
    ['AccessControlListNotSupported', 400, 'refused'],
    ['PreconditionFailed', 412, 'refused'],
    ['Unknown', undefined, 'refused'],
  ] as const)('%s with status %s: %s', (code, status, kind) => {
    expect(kindOf(failure({ code, status }))).toBe(kind);
  });

  test('an issuer that STS could not ask is transient, a wrong token is not', () => {
    const invalid = (message: string) => failure({ code: 'InvalidIdentityToken', status: 400, message });
    expect(kindOf(invalid("Couldn't retrieve verification key from your identity provider"))).toBe('transient');
    expect(kindOf(invalid('Incorrect token audience'))).toBe('refused');
  });

  test('an answer that is none of ours', () => {
    expect(kindOf(misbehaved('ListObjectsV2', 'no name'))).toBe('misbehaved');
    expect(misbehaved('ListObjectsV2', 'no name')).toMatchObject({ operation: 'ListObjectsV2', message: 'no name' });
  });
});

group('a failure in one line', () => {
  test.each([
    [
      'all that is known',
      { code: 'AccessDenied', status: 403, message: 'No way.', requestId: '4442' },
      'PutObject 403 AccessDenied: No way (request 4442)',
    ],
    ['no message', { code: 'AccessDenied', status: 403 }, 'PutObject 403 AccessDenied'],
    [
      'a message that is the code again',
      { code: 'NotFound', status: 404, message: 'NotFound' },
      'PutObject 404 NotFound',
    ],
    [
      'no answer',
      { code: 'NetworkError', message: 'connect ECONNREFUSED' },
      'PutObject NetworkError: connect ECONNREFUSED',
    ],
    ['a sentence with dots in it', { code: 'X', message: 'a. b.c.' }, 'PutObject X: a. b.c'],
  ])('%s', (_what, more, line) => {
    expect(describe(failure(more))).toBe(line);
  });

  test('of a hostile store is harmless', () => {
    const line = describe(failure({ code: 'X', message: 'a\n::stop-commands::x ##[add-mask]y \x1b[2J' }));
    expect(line).toBe('PutObject X: a\\x0a::stop-commands::x ##\\[add-mask]y \\x1b[2J');
  });
});

group('what a denial says of itself', () => {
  const denied = (end: string) =>
    `User: arn:aws:sts::123456789012:assumed-role/deploy/s is not authorized to perform: s3:PutObject on resource: "arn:aws:s3:::b/a" ${end}`;
  test.each([
    ['because no identity-based policy allows the s3:PutObject action', 'no identity-based policy allows it'],
    ['because no session policy allows the s3:PutObject action', 'no session policy allows it'],
    ['because no resource-based policy allows the s3:PutObject action', 'no resource-based policy allows it'],
    ['because no permissions boundary allows the s3:PutObject action', 'no permissions boundary allows it'],
    ['because no service control policy allows the s3:PutObject action', 'no service control policy allows it'],
    ['because no VPC endpoint policy allows the s3:PutObject action', 'no VPC endpoint policy allows it'],
    ['with an explicit deny in a resource-based policy', 'an explicit deny in a resource-based policy'],
    ['with an explicit deny in an identity-based policy', 'an explicit deny in an identity-based policy'],
    ['with an explicit deny in a permissions boundary', 'an explicit deny in a permissions boundary'],
  ])('%s', (end, by) => {
    expect(denialOf(denied(end))).toMatchObject({
      action: 's3:PutObject',
      resource: 'arn:aws:s3:::b/a',
      by,
      explicit: /explicit/.test(end),
    });
  });

  test('by a public access block', () => {
    const end = 'because public ACLs are prevented by the BlockPublicAcls setting in S3 Block Public Access.';
    expect(denialOf(denied(end))).toMatchObject({ policy: 'public access block', explicit: true });
  });

  test('of a KMS key, which stands without quotes', () => {
    const message =
      'User: arn:aws:iam::123456789012:user/u is not authorized to perform: kms:GenerateDataKey on resource: arn:aws:kms:eu-central-1:123456789012:key/k because no identity-based policy allows the kms:GenerateDataKey action';
    expect(denialOf(message)).toMatchObject({
      action: 'kms:GenerateDataKey',
      resource: 'arn:aws:kms:eu-central-1:123456789012:key/k',
      policy: 'identity-based policy',
    });
  });

  test.each(['Access Denied', '', 'UnknownError', 'because we said so'])("nothing: '%s'", (message) => {
    expect(denialOf(message)).toMatchObject({ action: undefined, by: undefined, explicit: false });
  });

  test('of the token service', () => {
    const message = 'Not authorized to perform sts:AssumeRoleWithWebIdentity';
    expect(denialOf(message)).toMatchObject({ action: undefined, by: undefined, explicit: false });
  });
});

group('the error that stops a run', () => {
  const explained = (more: Partial<ServiceFailure>) =>
    explain(failure({ status: 400, ...more }), { bucket: 'my-site', prefix: 'docs/' });

  test.each([
    ['InvalidAccessKeyId', 403, 'CREDENTIALS_INVALID', 'does not know this access key'],
    ['SignatureDoesNotMatch', 403, 'CREDENTIALS_INVALID', 'copy the pair into the secrets again'],
    ['ExpiredToken', 400, 'CREDENTIALS_INVALID', 'has expired'],
    ['InvalidToken', 400, 'CREDENTIALS_INVALID', 'aws-session-token'],
    ['CredentialsProviderError', 400, 'CREDENTIALS_INVALID', 'id-token: write'],
    ['TokenRefreshRequired', 400, 'CREDENTIALS_INVALID', 'Check the access keys'],
    ['RequestTimeTooSkewed', 403, 'CREDENTIALS_INVALID', 'Set the clock'],
    ['NoSuchBucket', 404, 'BUCKET_NOT_FOUND', 'Check the name in bucket'],
    ['PermanentRedirect', 301, 'BUCKET_WRONG_REGION', 'Leave out aws-region'],
    ['AccessDenied', 403, 'PERMISSION_DENIED', 'mode: probe'],
    ['StoreMisbehaved', 200, 'STORE_MISBEHAVED', 'Check endpoint'],
    ['MalformedXML', 400, 'STORE_MISBEHAVED', 'feature of S3'],
    ['SlowDown', 503, 'STORE_UNREACHABLE', 'run the job again'],
    ['InternalError', 500, 'STORE_UNREACHABLE', 'run the job again'],
    ['NetworkError', undefined, 'STORE_UNREACHABLE', 'Check endpoint and the network'],
  ])('%s with status %s is %s', (code, status, expected, hint) => {
    const error = explained({ code, status, requestId: 'R1' });
    expect(error).toMatchObject({ code: expected, hint: expect.stringContaining(hint) });
    expect(error.message).toContain(`PutObject ${status === undefined ? '' : `${status} `}${code} (request R1)`);
    expect(error.refused).toBe(false);
  });

  test.each([
    ['AccessDenied', 403, 'PERMISSION_DENIED', 'The invalidation was denied'],
    ['NoSuchDistribution', 404, 'INPUT_INVALID', 'cloudfront-distribution-id'],
    ['InvalidArgument', 400, 'INPUT_INVALID', 'CloudFront refused the invalidation'],
    ['BatchTooLarge', 413, 'STORE_MISBEHAVED', 'CloudFront refused the invalidation'],
    ['StoreMisbehaved', 200, 'STORE_MISBEHAVED', "The answer is not CloudFront's"],
    ['TooManyInvalidationsInProgress', 400, 'STORE_UNREACHABLE', 'No answer to rely on from CloudFront'],
    ['InternalError', 500, 'STORE_UNREACHABLE', 'No answer to rely on from CloudFront'],
    ['NetworkError', undefined, 'STORE_UNREACHABLE', 'No answer to rely on from CloudFront'],
    ['ExpiredToken', 403, 'CREDENTIALS_INVALID', 'The credentials were refused'],
  ])("of CloudFront: %s with status %s is %s, and never the bucket's", (code, status, expected, message) => {
    for (const operation of ['CreateInvalidation', 'GetInvalidation']) {
      const error = explained({ operation, code, status });
      expect(error).toMatchObject({ code: expected, message: expect.stringContaining(message) });
      expect(error.message).not.toContain('my-site');
    }
  });

  test('names the region that the service names', () => {
    expect(explained({ code: 'PermanentRedirect', status: 301, region: 'eu-west-1' }).hint).toBe(
      'Set aws-region: eu-west-1, or leave it out: the bucket is asked.',
    );
  });

  test.each(['NoSuchBucket', 'PermanentRedirect', 'AccessDenied', 'SlowDown'])('%s names the bucket', (code) => {
    expect(explained({ code }).message).toContain('my-site');
  });

  test('keeps the failure as its cause, and ends its sentence once', () => {
    const told = failure({ code: 'InvalidAccessKeyId', status: 403, message: 'It does not exist in our records.' });
    const error = explain(told, { bucket: 'b', prefix: '' });
    expect(error.cause).toBe(told);
    expect(error.message).toMatch(/[^.]\.$/);
  });
});
