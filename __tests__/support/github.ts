import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomUUID,
  sign as rsaSign,
} from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { generate } from 'selfsigned';
import { handedOut } from './secrets.ts';
import type { GitHubTokens } from './test-cloud.ts';

/** Where GitHub's tokens come from; `iss` of every one of them. */
export const GITHUB_ISSUER = 'https://token.actions.githubusercontent.com';

type Claims = Record<string, unknown>;
type Place = 'token' | 'keys';

export interface GitHubOptions {
  /** `iss` of the tokens; `loopback` makes it the server's own URL, for a verifier that cannot be pointed elsewhere. */
  issuer?: string;
  /** Twelve digits: the account of `providerArn`. */
  account?: string;
}

export interface SignOptions {
  /** `none` and `HS256` (with the public key as the secret) are the two classic forgeries. */
  algorithm?: 'RS256' | 'HS256' | 'none';
  /** Another private key, for a token that somebody else signed. */
  key?: KeyObject;
  kid?: string;
}

/** GitHub's OIDC token service and issuer on 127.0.0.1, with the hooks that a test needs. */
export interface GitHub extends GitHubTokens {
  /** Base URL of the server: token service, `/.well-known/openid-configuration`, `/.well-known/jwks`. */
  readonly url: string;
  /** The issuer's public key as a JWK set, with `x5c`, as GitHub and Ceph have it. */
  readonly jwks: { keys: Record<string, unknown>[] };
  /** PEM of the certificate in `x5c`, and of its key: good for a TLS server that plays the issuer's host, too. */
  readonly certificate: string;
  readonly privateKey: string;
  /** Every ACTIONS_ID_TOKEN_REQUEST_TOKEN made so far: as secret as the tokens. */
  readonly requestTokens: readonly string[];
  /** Every request, oldest first. */
  readonly requests: readonly { method: string; path: string; audience: string | undefined; status: number }[];
  /** Serves one request; for another server, a TLS front say, that answers in the issuer's name. */
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** A token with GitHub's usual claims and `claims` above them (`undefined` removes one); it counts as issued. */
  token(claims?: Claims): string;
  /** Any claims, and no others, as a JWT. */
  sign(claims: Claims, options?: SignOptions): string;
  /** Answers the next requests with an error; `keys` stands for discovery and JWKS. A `status` of 0 never answers. */
  failNext(status: number, times?: number, at?: Place, body?: string): void;
  close(): Promise<void>;
}

interface Reply {
  status: number;
  body: string | object;
}

interface Identity {
  certificate: string;
  privateKey: string;
  key: KeyObject;
  jwks: GitHub['jwks'];
}

let identity: Promise<Identity> | undefined;

/** RSA keys are slow to make: one per process is enough for every issuer in it. */
async function makeIdentity(): Promise<Identity> {
  const day = 86_400_000;
  const pem = await generate([{ name: 'commonName', value: '*.actions.githubusercontent.com' }], {
    keySize: 2048,
    algorithm: 'sha256',
    notBeforeDate: new Date(Date.now() - day),
    notAfterDate: new Date(Date.now() + 3650 * day),
    extensions: [
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: '*.actions.githubusercontent.com' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  });
  const { n, e } = createPublicKey(pem.public).export({ format: 'jwk' });
  const der = pem.cert.replace(/-----[^-]+-----|\s/g, '');
  const kid = pem.fingerprint.replaceAll(':', '').toUpperCase();
  const jwk = { kty: 'RSA', alg: 'RS256', use: 'sig', kid, n, e, x5c: [der] };
  return {
    certificate: pem.cert,
    privateKey: pem.private,
    key: createPrivateKey(pem.private),
    jwks: { keys: [jwk] },
  };
}

/** The claims of a push to main of acme/site, or of whatever `claims` make of it; `sub` follows from the others. */
function jobClaims(issuer: string, audience: string | undefined, claims: Claims): Claims {
  const now = Math.floor(Date.now() / 1000);
  const base: Claims = {
    repository: 'acme/site',
    ref: 'refs/heads/main',
    event_name: 'push',
    workflow: 'deploy',
    ...claims,
  };
  const owner = String(base.repository).split('/')[0];
  const workflowRef = `${base.repository}/.github/workflows/deploy.yml@${base.ref}`;
  const context = base.environment
    ? `environment:${base.environment}`
    : base.event_name === 'pull_request'
      ? 'pull_request'
      : `ref:${base.ref}`;
  return {
    jti: randomUUID(),
    sub: `repo:${base.repository}:${context}`,
    aud: audience ?? `https://github.com/${owner}`,
    sha: '5e1f0c7b2a9d4e83b6f1a0c9d8e7f6a5b4c3d2e1',
    repository_owner: owner,
    repository_owner_id: '4211',
    repository_id: '90210',
    repository_visibility: 'private',
    run_id: '7700112233',
    run_number: '42',
    run_attempt: '1',
    actor: 'octocat',
    actor_id: '583231',
    workflow_ref: workflowRef,
    workflow_sha: '5e1f0c7b2a9d4e83b6f1a0c9d8e7f6a5b4c3d2e1',
    job_workflow_ref: workflowRef,
    job_workflow_sha: '5e1f0c7b2a9d4e83b6f1a0c9d8e7f6a5b4c3d2e1',
    head_ref: '',
    base_ref: '',
    ref_type: String(base.ref).startsWith('refs/tags/') ? 'tag' : 'branch',
    ref_protected: 'true',
    runner_environment: 'github-hosted',
    iss: issuer,
    nbf: now - 600,
    exp: now + 300,
    iat: now,
    ...base,
  };
}

const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

function signJwt({ key, jwks, certificate }: Identity, claims: Claims, options: SignOptions): string {
  const algorithm = options.algorithm ?? 'RS256';
  const header = { typ: 'JWT', alg: algorithm, x5t: jwks.keys[0]?.kid, kid: options.kid ?? jwks.keys[0]?.kid };
  const input = `${base64url(header)}.${base64url(claims)}`;
  if (algorithm === 'none') return `${input}.`;
  if (algorithm === 'HS256') {
    const secret = createPublicKey(certificate).export({ type: 'spki', format: 'pem' });
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
  }
  return `${input}.${rsaSign('RSA-SHA256', Buffer.from(input), options.key ?? key).toString('base64url')}`;
}

/** What GitHub serves as the issuer's OpenID configuration. */
const discovery = (issuer: string) => ({
  issuer,
  jwks_uri: `${issuer}/.well-known/jwks`,
  subject_types_supported: ['public', 'pairwise'],
  response_types_supported: ['id_token'],
  claims_supported: ['sub', 'aud', 'exp', 'iat', 'iss', 'jti', 'nbf', 'ref', 'repository', 'repository_id'],
  id_token_signing_alg_values_supported: ['RS256'],
  scopes_supported: ['openid'],
});

/** Starts GitHub's token service on a free port of 127.0.0.1. */
export async function startGitHub(options: GitHubOptions = {}): Promise<GitHub> {
  identity ??= makeIdentity();
  const self = await identity;
  const jobs = new Map<string, Claims>();
  const issued: string[] = [];
  const requests: GitHub['requests'][number][] = [];
  const faults: (Reply & { at: Place })[] = [];

  const server = createServer((request, response) => handle(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const issuer = options.issuer === 'loopback' ? url : (options.issuer ?? GITHUB_ISSUER);

  const issue = (audience: string | undefined, claims: Claims) => {
    const token = signJwt(self, jobClaims(issuer, audience, claims), {});
    issued.push(token);
    handedOut.add('an OIDC token', token);
    return token;
  };

  function reply(method: string | undefined, path: string, query: URLSearchParams, bearer: string | undefined): Reply {
    const place: Place = path.startsWith('/.well-known/') ? 'keys' : 'token';
    const fault = faults.findIndex(({ at }) => at === place);
    if (fault >= 0) return faults.splice(fault, 1)[0]!;
    if (path === '/.well-known/openid-configuration') return { status: 200, body: discovery(issuer) };
    if (path === '/.well-known/jwks') return { status: 200, body: self.jwks };
    if (!path.startsWith('/idtoken/') || method !== 'GET') return { status: 404, body: 'Not Found' };
    const claims = jobs.get(/^bearer (.+)$/i.exec(bearer ?? '')?.[1] ?? '');
    if (!claims || query.get('api-version') !== '2.0') return { status: 401, body: 'Unauthorized' };
    return { status: 200, body: { value: issue(query.get('audience') ?? undefined, claims) } };
  }

  function handle(request: IncomingMessage, response: ServerResponse): void {
    const { pathname: path, searchParams: query } = new URL(request.url ?? '/', url);
    const { status, body } = reply(request.method, path, query, request.headers.authorization);
    requests.push({ method: request.method ?? '', path, audience: query.get('audience') ?? undefined, status });
    if (status === 0) return;
    const [type, text] =
      typeof body === 'string' ? ['text/plain', body] : ['application/json; charset=utf-8', JSON.stringify(body)];
    response.writeHead(status, { 'content-type': type }).end(text);
  }

  return {
    issuer,
    providerArn: `arn:aws:iam::${options.account ?? '123456789012'}:oidc-provider/${issuer.replace(/^https?:\/\//, '')}`,
    url,
    jwks: self.jwks,
    certificate: self.certificate,
    privateKey: self.privateKey,
    issued,
    requests,
    get requestTokens() {
      return [...jobs.keys()];
    },
    handle,
    jobEnvironment(claims = {}) {
      const requestToken = Buffer.from(`request.${randomUUID()}.${randomUUID()}`).toString('base64url');
      jobs.set(requestToken, claims);
      handedOut.add('what OIDC tokens are asked for with', requestToken);
      return {
        ACTIONS_ID_TOKEN_REQUEST_URL: `${url}/idtoken/${randomUUID()}?api-version=2.0`,
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: requestToken,
      };
    },
    token: (claims = {}) => issue('sts.amazonaws.com', claims),
    sign: (claims, how = {}) => signJwt(self, claims, how),
    failNext(status, times = 1, at = 'token', body = `fault ${status}`) {
      for (let i = 0; i < times; i++) faults.push({ at, status, body });
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
