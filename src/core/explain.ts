import { DeployError, type ErrorCode } from '../errors.ts';
import type { Destination } from './key.ts';
import { plain } from './text.ts';

/** What is known of a call to AWS or a store that failed; every string in it is safe to print. */
export interface ServiceFailure {
  /** The API operation: `PutObject`. */
  readonly operation: string;
  /** The service's error code (`AccessDenied`), or `NetworkError` when there was no answer. */
  readonly code: string;
  /** The service's message, or what the network said. */
  readonly message: string;
  /** HTTP status; undefined without an answer. */
  readonly status: number | undefined;
  readonly requestId: string | undefined;
  /** The region that the service says is the right one. */
  readonly region: string | undefined;
  /** Seconds that the service asks to wait. */
  readonly retryAfter: number | undefined;
}

/** What a caller may do about a failure. */
export type FailureKind =
  | 'throttled'
  | 'transient'
  | 'unreachable'
  | 'denied'
  | 'credentials'
  | 'missing bucket'
  | 'wrong region'
  | 'misbehaved'
  | 'refused';

const THROTTLED = new Set([
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'TooManyRequests',
  'RequestLimitExceeded',
  'ServiceUnavailable',
  // Of a CloudFront distribution: others' are under way.
  'TooManyInvalidationsInProgress',
  '503 SlowDown',
]);
/** Passing conditions that come with a status of 400 or 409, beside every 5xx. */
const TRANSIENT = new Set([
  'RequestTimeout',
  'OperationAborted',
  'ConditionalRequestConflict',
  'BadDigest',
  'IncompleteBody',
  'XAmzContentSHA256Mismatch',
  'RequestTimeTooSkewed',
  'InternalError',
  'IDPCommunicationError',
]);
const CREDENTIALS = new Set([
  'InvalidAccessKeyId',
  'InvalidClientTokenId',
  'UnrecognizedClientException',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'ExpiredTokenException',
  'TokenRefreshRequired',
  'InvalidToken',
  'CredentialsProviderError',
]);
const DENIED = new Set(['AccessDenied', 'AccessDeniedException', 'AllAccessDisabled', 'Forbidden', 'AccountProblem']);
/** The third is of regions that an account has to opt in to, the last of a bucket that is new. */
const WRONG_REGION = new Set([
  'PermanentRedirect',
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
  'TemporaryRedirect',
]);
/** No answer at all: the network, a host that is not found, a certificate that is not trusted. */
const UNANSWERED = new Set(['NetworkError', 'HostNotFound', 'CertificateRefused', 'ConnectionRefused', 'NoTls']);
/** The code of an answer that is not S3's. */
export const MISBEHAVED = 'StoreMisbehaved';

/** A failure for an answer that is not S3's: HTML with 200, a missing ETag, a wrong checksum. */
export function misbehaved(operation: string, message: string): ServiceFailure {
  return {
    operation,
    code: MISBEHAVED,
    message,
    status: 200,
    requestId: undefined,
    region: undefined,
    retryAfter: undefined,
  };
}

/** Sorts a failure by what can be done about it. */
export function kindOf(failure: ServiceFailure): FailureKind {
  const { code, status } = failure;
  if (UNANSWERED.has(code)) return 'unreachable';
  if (code === MISBEHAVED) return 'misbehaved';
  if (THROTTLED.has(code) || status === 429 || status === 503) return 'throttled';
  if (TRANSIENT.has(code) || /verification key/.test(failure.message)) return 'transient';
  if (CREDENTIALS.has(code)) return 'credentials';
  if (code === 'NoSuchBucket') return 'missing bucket';
  if (WRONG_REGION.has(code) || status === 301) return 'wrong region';
  if (DENIED.has(code) || status === 403 || status === 401) return 'denied';
  if (status !== undefined && status >= 500 && status !== 501) return 'transient';
  return 'refused';
}

/** A failure as one line: `PutObject: 403 AccessDenied, … (request 4442587FB7D0A2F9)`. */
export function describe(failure: ServiceFailure): string {
  const answer = [failure.status, failure.code].filter((part) => part !== undefined).join(' ');
  const message =
    failure.message === '' || failure.message === failure.code ? '' : `: ${failure.message.replace(/\.$/, '')}`;
  const request = failure.requestId === undefined ? '' : ` (request ${failure.requestId})`;
  return plain(`${failure.operation} ${answer}${message}${request}`);
}

/** What a denial says of itself. */
export interface Denial {
  /** `s3:PutObject`. */
  readonly action: string | undefined;
  readonly resource: string | undefined;
  /** Whose policy said no, in words. */
  readonly by: string | undefined;
  readonly policy: string | undefined;
  readonly explicit: boolean;
}

/**
 * The action that a denial names, and whose policy said no: AWS words it so within an organization, others say nothing.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/troubleshoot-403-errors.html
 */
export function denialOf(message: string): Denial {
  const action = /not authorized to perform: ([\w:*]+)/.exec(message)?.[1];
  const resource = /on resource: "?(arn:[^\s"]+)/.exec(message)?.[1];
  const missing = /because no ([\w -]+?) allows/.exec(message)?.[1];
  const explicit = /with an explicit deny in an? ([\w -]+)/.exec(message)?.[1];
  const setting = /because (?:public [\w ]+ )?(?:are|is) (?:blocked|prevented) by the (\w+) setting/.exec(message)?.[1];
  if (missing !== undefined)
    return { action, resource, by: `no ${missing} allows it`, policy: missing, explicit: false };
  if (setting !== undefined) {
    return {
      action,
      resource,
      by: `the public access block (${setting})`,
      policy: 'public access block',
      explicit: true,
    };
  }
  if (explicit === undefined) return { action, resource, by: undefined, policy: undefined, explicit: false };
  const article = /^[aeiou]/.test(explicit) ? 'an' : 'a';
  return { action, resource, by: `an explicit deny in ${article} ${explicit}`, policy: explicit, explicit: true };
}

const CREDENTIAL_HINTS: Record<string, string> = {
  InvalidAccessKeyId:
    'The store does not know this access key: it was deleted or rotated, or it belongs to another store. Put the current pair into the secrets, or into ~/.aws/credentials.',
  InvalidClientTokenId:
    'AWS does not know this access key: it was deleted, rotated or deactivated. Put the current pair into the secrets.',
  SignatureDoesNotMatch:
    'The secret access key is not the one that belongs to this access key: copy the pair into the secrets again, without quotes.',
  ExpiredToken:
    'The session has expired. Temporary keys cannot be kept as secrets: use role-to-assume with OIDC, or keys of a user.',
  ExpiredTokenException:
    'The session has expired. Temporary keys cannot be kept as secrets: use role-to-assume with OIDC, or keys of a user.',
  InvalidToken:
    'aws-session-token does not belong to these keys. Leave it out for the keys of a user; give all three for temporary keys.',
  CredentialsProviderError:
    'Give role-to-assume (with permissions: id-token: write), or aws-access-key-id and aws-secret-access-key.',
};

const HOST_HINTS: Record<string, string> = {
  ConnectionRefused: 'Nothing listens there: check host and port in endpoint, and that the store is up.',
  NoTls: 'What answers there does not speak TLS: if the endpoint is meant to be without, write http:// in endpoint.',
  HostNotFound: 'There is no host of this name: check endpoint and aws-region for a typing error.',
  CertificateRefused:
    'The certificate is not for this host or not trusted. Check the host in endpoint; for a private authority set NODE_EXTRA_CA_CERTS in env of the step.',
};

const CLOCK_HINT =
  'Signatures are good for 15 minutes. Set the clock of the self-hosted runner (timedatectl shows it), or ask the store for its own.';

/** Whether an operation is one of CloudFront's. */
export function isOfCloudFront(operation: string): boolean {
  return /^(Create|Get)Invalidation$/.test(operation);
}

/** The same for CloudFront, which has words of its own for some of it. */
function explainInvalidation(failure: ServiceFailure): DeployError {
  const told = describe(failure);
  const error = (code: ErrorCode, message: string, hint?: string) =>
    new DeployError(code, message, { hint, cause: failure });
  if (failure.code === 'NoSuchDistribution') {
    return error(
      'INPUT_INVALID',
      `cloudfront-distribution-id: the account of these credentials has no such distribution: ${told}.`,
      'Copy the id from the console of CloudFront, and check that the role is of the same account.',
    );
  }
  switch (kindOf(failure)) {
    case 'denied':
      return error('PERMISSION_DENIED', `The invalidation was denied: ${told}.`);
    case 'refused':
      return error(
        failure.code === 'InvalidArgument' ? 'INPUT_INVALID' : 'STORE_MISBEHAVED',
        `CloudFront refused the invalidation: ${told}.`,
        "Set invalidation-paths to what it takes, such as '/*'.",
      );
    case 'misbehaved':
      return error(
        'STORE_MISBEHAVED',
        `The answer is not CloudFront's: ${told}.`,
        'No proxy may change the answers of CloudFront.',
      );
    default:
      return error(
        'STORE_UNREACHABLE',
        `No answer to rely on from CloudFront: ${told}.`,
        'Retries were made for more than a minute.',
      );
  }
}

/** The error that stops a run: what failed, on what, and what to change. */
export function explain(failure: ServiceFailure, destination: Destination): DeployError {
  const { bucket } = destination;
  const told = describe(failure);
  const error = (code: ErrorCode, message: string, hint: string) =>
    new DeployError(code, message, { hint, cause: failure });
  if (failure.code === 'RequestTimeTooSkewed') {
    return error(
      'CREDENTIALS_INVALID',
      `The clocks of this runner and of the store differ too much: ${told}.`,
      CLOCK_HINT,
    );
  }
  if (isOfCloudFront(failure.operation) && kindOf(failure) !== 'credentials') return explainInvalidation(failure);
  switch (kindOf(failure)) {
    case 'credentials':
      return error(
        'CREDENTIALS_INVALID',
        `The credentials were refused: ${told}.`,
        CREDENTIAL_HINTS[failure.code] ?? 'Check the access keys.',
      );
    case 'missing bucket':
      return error(
        'BUCKET_NOT_FOUND',
        `The bucket ${bucket} does not exist: ${told}.`,
        'Check the name in bucket, and with an S3-compatible store the endpoint. Buckets are never created here.',
      );
    case 'wrong region':
      return error(
        'BUCKET_WRONG_REGION',
        `The bucket ${bucket} is ${failure.region === undefined ? 'not in this region' : `in ${failure.region}`}: ${told}.`,
        failure.region === undefined
          ? 'Leave out aws-region: it is found by asking the bucket.'
          : `Set aws-region: ${failure.region}, or leave it out: the bucket is asked.`,
      );
    case 'denied':
      return error(
        'PERMISSION_DENIED',
        `Access to ${bucket} was denied: ${told}.`,
        'Run with mode: probe to see which permission is missing.',
      );
    case 'misbehaved':
      return error(
        'STORE_MISBEHAVED',
        `The answer is not S3's: ${told}.`,
        'Check endpoint: it must be the API of the store, not its web page, and no proxy may change the answers.',
      );
    case 'refused':
      return error(
        'STORE_MISBEHAVED',
        `The store refused the request: ${told}.`,
        'The store may not know a feature of S3 that is used here.',
      );
    default:
      if (HOST_HINTS[failure.code] !== undefined) {
        return error('STORE_UNREACHABLE', `The store cannot be reached: ${told}.`, HOST_HINTS[failure.code] ?? '');
      }
      return error(
        'STORE_UNREACHABLE',
        `No answer to rely on from ${bucket}: ${told}.`,
        'Retries were made for more than a minute. Check endpoint and the network, or run the job again later.',
      );
  }
}
