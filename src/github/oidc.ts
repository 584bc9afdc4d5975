import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import type { Claims } from '../core/trust.ts';
import { DeployError } from '../errors.ts';

/** Where the runner says that a job gets its OIDC token. */
export interface TokenService {
  /** ACTIONS_ID_TOKEN_REQUEST_URL. */
  readonly url: string;
  /** ACTIONS_ID_TOKEN_REQUEST_TOKEN: a secret. */
  readonly bearer: string;
}

const TIMEOUT_MS = 10_000;

/** The job's token service, or undefined when the job has no `id-token: write`. */
export function tokenServiceOf(env: NodeJS.ProcessEnv, mask: (secret: string) => void): TokenService | undefined {
  const bearer = env.ACTIONS_ID_TOKEN_REQUEST_TOKEN;
  if (bearer) mask(bearer);
  const url = env.ACTIONS_ID_TOKEN_REQUEST_URL;
  return url && bearer ? { url, bearer } : undefined;
}

/** The error of a job without a token service: it says which of the two reasons is this job's. */
export function noTokenService(fromFork: boolean): DeployError {
  const message = 'This job has no OIDC token to assume role-to-assume with.';
  return new DeployError('OIDC_UNAVAILABLE', message, {
    hint: fromFork
      ? 'GitHub gives no token and no secrets to pull requests from a fork. Skip this step for them:\n' +
        '    if: github.event.pull_request.head.repo.fork == false'
      : 'Give the job these permissions, in the workflow file:\n' +
        '    permissions:\n      id-token: write\n      contents: read',
  });
}

/**
 * Asks GitHub's token service for a token of this job; it lives about five minutes, so each is used at once.
 * The token and its three parts are masked on receipt.
 * @throws an Error with the `status` of a service that refuses, and one with ECONNRESET when it does not answer.
 */
export async function fetchToken(
  service: TokenService,
  audience: string,
  mask: (secret: string) => void,
): Promise<string> {
  const url = `${service.url}&audience=${encodeURIComponent(audience)}`;
  const headers = { authorization: `bearer ${service.bearer}`, accept: 'application/json' };
  const { status, body } = await get(url, headers).catch((error: Error & { code?: string }) => {
    throw Object.assign(new Error(`no answer (${error.code ?? error.name})`), { code: 'ECONNRESET' });
  });
  if (status !== 200)
    throw Object.assign(new Error('the token service refused'), { $metadata: { httpStatusCode: status } });
  const token = tokenIn(body);
  if (token === undefined)
    throw Object.assign(new Error('no token in the answer'), { $metadata: { httpStatusCode: 502 } });
  for (const secret of [token, ...token.split('.')]) mask(secret);
  return token;
}

/**
 * Gets a page, and follows no redirect. Node's fetch would do, but to load it takes 40 ms of processor time, a seventh of
 * a deploy that finds nothing to do.
 */
async function get(url: string, headers: Record<string, string>): Promise<{ status: number; body: string }> {
  const send = new URL(url).protocol === 'https:' ? httpsRequest : httpRequest;
  const request = send(url, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) }).end();
  // Whoever waits for the answer, or reads it, hears of it; an error that nobody hears ends the process.
  request.on('error', () => undefined);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, body: await text(response) };
}

function tokenIn(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text).value;
    return typeof value === 'string' && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What a token says of its job; unverified, for a person to read. */
export function claimsOf(token: string): Claims {
  try {
    return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Claims;
  } catch {
    return {};
  }
}
