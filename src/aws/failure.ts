import type { ServiceFailure } from '../core/explain.ts';
import { plain } from '../core/text.ts';

/**
 * A call that failed, as an error that can be printed. The SDK's own errors must not be: members of the answer's XML
 * become properties of theirs, the session token and the canonical request among them.
 */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly failure: ServiceFailure;

  constructor(failure: ServiceFailure) {
    super(`${failure.operation} ${failure.status ?? ''} ${failure.code}`);
    this.failure = failure;
  }
}

/** Codes that the SDK or Node give to a call that got no answer. */
const NO_ANSWER =
  /^(TimeoutError|ECONN|ENOTFOUND|EAI_AGAIN|EPIPE|EHOST|ENET|ETIMEDOUT|ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HPE_|ERR_HTTP|EPROTO|UND_ERR)/;

/** Takes from an SDK error what may be shown, and nothing else. */
export function toServiceError(operation: string, error: unknown): ServiceError {
  if (error instanceof ServiceError) return error;
  if (isDefect(error)) throw error;
  const thrown = (error ?? {}) as SdkError;
  const status = thrown.$metadata?.httpStatusCode ?? thrown.$response?.statusCode;
  const headers = thrown.$response?.headers ?? {};
  const systemCode = [thrown.code, thrown.name].find((code) => code !== undefined && NO_ANSWER.test(code));
  const answered = status !== undefined && systemCode === undefined;
  const code = answered
    ? named(thrown.Code ?? thrown.name, status, thrown.message)
    : systemCode === undefined
      ? thrown.name
      : networkCode(systemCode);
  const requestId = thrown.$metadata?.requestId ?? headers['x-amz-request-id'];
  return new ServiceError({
    operation,
    code: plain(String(code ?? 'Unknown'), 100),
    message: plain(
      answered ? knownMessage(String(thrown.message ?? ''), thrown.Header) : networkMessage(systemCode, thrown.message),
      600,
    ),
    status: answered ? status : undefined,
    requestId: requestId === undefined ? undefined : plain(requestId, 100),
    region: region(headers['x-amz-bucket-region'] ?? thrown.Region),
    retryAfter: Number(headers['retry-after']) || undefined,
  });
}

/** Our own mistakes must not look like the store's: an SDK error carries what it was answered. */
function isDefect(error: unknown): boolean {
  const { name, $metadata, $response, code } = (error ?? {}) as SdkError;
  return /^(Type|Range|Reference)Error$/.test(name ?? '') && !$metadata && !$response && !code;
}

interface SdkError {
  name?: string;
  message?: string;
  code?: string;
  Code?: string;
  Region?: string;
  /** The header that the service does not know. */
  Header?: unknown;
  $metadata?: { httpStatusCode?: number; requestId?: string };
  $response?: { statusCode?: number; headers?: Record<string, string> };
}

/** Answers without a code (HEAD has no body, some stores answer STS in another form) are told by their status. */
function named(code: string | undefined, status: number, message = ''): string {
  // STS words a skewed clock so.
  if (code === 'SignatureDoesNotMatch' && /^Signature (expired|not yet current)/.test(message))
    return 'RequestTimeTooSkewed';
  if (code !== undefined && !/^(Unknown|UnknownError|Error|SyntaxError|\d*)$/.test(code)) return code;
  const codes: Record<number, string> = {
    301: 'PermanentRedirect',
    400: 'BadRequest',
    403: 'AccessDenied',
    404: 'NotFound',
    429: 'TooManyRequests',
    503: 'SlowDown',
  };
  return codes[status] ?? (status < 400 ? 'StoreMisbehaved' : `Http${status}`);
}

function knownMessage(message: string, header: unknown): string {
  const known = /^(UnknownError|Unknown)$/.test(message) ? '' : (message.split('\n')[0] ?? '');
  return typeof header === 'string' && HEADER.test(header) ? `${known} (${header})` : known;
}

const HEADER = /^[\w-]{1,60}$/;

/** What the network said: some of it does not pass by waiting. */
function networkCode(code: string): string {
  if (code === 'ENOTFOUND') return 'HostNotFound';
  if (code === 'ECONNREFUSED') return 'ConnectionRefused';
  if (/^(EPROTO|ERR_SSL_(WRONG_VERSION|PACKET_LENGTH))/.test(code)) return 'NoTls';
  return /^(CERT_|ERR_TLS_CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(code) ? 'CertificateRefused' : 'NetworkError';
}

function networkMessage(code: string | undefined, message = ''): string {
  return message === '' ? `no answer (${code})` : message;
}

function region(value: string | undefined): string | undefined {
  return value !== undefined && /^[a-z0-9-]{2,40}$/.test(value) ? value : undefined;
}
