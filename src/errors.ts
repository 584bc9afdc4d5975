/** Every code a failed step can carry. The set is closed: each has a row in the README's troubleshooting table. */
export const ERROR_CODES = [
  'INPUT_INVALID',
  'SOURCE_INVALID',
  'OIDC_UNAVAILABLE',
  'ROLE_DENIED',
  'CREDENTIALS_INVALID',
  'ACCOUNT_NOT_ALLOWED',
  'BUCKET_NOT_FOUND',
  'BUCKET_WRONG_REGION',
  'BUCKET_WRONG_OWNER',
  'PERMISSION_DENIED',
  'TOO_MANY_DELETIONS',
  'EMPTY_SOURCE',
  'UNTRUSTED_EVENT',
  'PREFIX_REQUIRED',
  'UPLOAD_FAILED',
  'DELETE_FAILED',
  'SUPERSEDED',
  'STORE_UNREACHABLE',
  'STORE_MISBEHAVED',
  'INTERNAL',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** The codes with which a guard says no before anything is written. */
const GUARDS: ReadonlySet<ErrorCode> = new Set([
  'ACCOUNT_NOT_ALLOWED',
  'BUCKET_WRONG_OWNER',
  'TOO_MANY_DELETIONS',
  'EMPTY_SOURCE',
  'UNTRUSTED_EVENT',
  'PREFIX_REQUIRED',
]);

/**
 * An error for the person who reads a red job: `message` is one sentence that says what failed and on what, `hint` says
 * what to change (it may hold several lines to paste), `cause` keeps the original and is never printed.
 */
export class DeployError extends Error {
  override readonly name = 'DeployError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { hint?: string | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }

  /** True when a guard refused, so that nothing was written. */
  get refused(): boolean {
    return GUARDS.has(this.code);
  }
}
