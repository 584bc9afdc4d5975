import { randomUUID } from 'node:crypto';
import type { PolicyDocument } from '../test-cloud.ts';
import type { Answer, CloudState } from './call.ts';
import { ServiceError } from './errors.ts';
import { type Exchange, requestHeaders, send, withFault } from './exchange.ts';
import type { Faults } from './faults.ts';
import type { Principal, Role } from './identities.ts';
import type { Context } from './patterns.ts';
import { readBody } from './payload.ts';
import { evaluateResource, policyProblem } from './policies.ts';
import type { LoggedRequest } from './requests.ts';
import { authenticate, type Refusal, sha256 } from './sigv4.ts';
import { type OidcProvider, verifyWebIdentity } from './web-identity.ts';
import { type XmlContent, xml } from './xml.ts';

const NAMESPACE = 'https://sts.amazonaws.com/doc/2011-06-15/';

export interface StsOptions {
  state: CloudState;
  faults: Faults;
  providers: OidcProvider[];
  /** Regions where the account has not activated STS. */
  disabledRegions: Set<string>;
  /** Seconds that every session lasts, whatever was asked for. */
  sessionSeconds(): number | undefined;
  log(request: LoggedRequest): void;
}

const validation = (message: string) => new ServiceError(400, 'ValidationError', message);
const denied = (message: string) => new ServiceError(403, 'AccessDenied', message);

function constraint(name: string, value: string, rule: string): ServiceError {
  return validation(
    `1 validation error detected: Value '${value}' at '${name}' failed to satisfy constraint: Member must ${rule}`,
  );
}

/** STS's words for a signature that does not stand. */
function refuse(refusal: Refusal): ServiceError {
  switch (refusal.reason) {
    case 'unknown-key':
    case 'token':
      return new ServiceError(403, 'InvalidClientTokenId', 'The security token included in the request is invalid.');
    case 'expired':
      return new ServiceError(403, 'ExpiredToken', 'The security token included in the request is expired');
    case 'region': {
      const message = `Credential should be scoped to a valid region, not '${refusal.given}'. `;
      return new ServiceError(403, 'SignatureDoesNotMatch', message);
    }
    case 'skewed': {
      const message = `Signature expired: ${refusal.requestTime} is too far from the current time (15 min.)`;
      return new ServiceError(403, 'SignatureDoesNotMatch', message);
    }
    case 'malformed':
    case 'undated':
    case 'unsigned-headers':
      return new ServiceError(400, 'IncompleteSignature', 'Authorization header requires a valid signature.');
    case 'mismatch': {
      const message =
        'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.';
      return new ServiceError(403, 'SignatureDoesNotMatch', message);
    }
  }
}

/** Serves STS's query protocol: AssumeRoleWithWebIdentity, AssumeRole and GetCallerIdentity. */
export function createSts(options: StsOptions) {
  const { state, faults, log } = options;
  const { identities, account } = state;

  /** What AssumeRole and AssumeRoleWithWebIdentity ask of their parameters alike. */
  function parameters(form: URLSearchParams) {
    const name = form.get('RoleSessionName') ?? '';
    if (name.length < 2) throw constraint('roleSessionName', name, 'have length greater than or equal to 2');
    if (name.length > 64) throw constraint('roleSessionName', name, 'have length less than or equal to 64');
    if (!/^[\w+=,.@-]*$/.test(name)) {
      throw constraint('roleSessionName', name, 'satisfy regular expression pattern: [\\w+=,.@-]*');
    }
    const arn = form.get('RoleArn') ?? '';
    if (arn.length < 20) throw constraint('roleArn', arn, 'have length greater than or equal to 20');
    if (!/^arn:aws:iam::\d{12}:role\/.+$/.test(arn)) throw validation(`${arn} is invalid`);
    const duration = form.get('DurationSeconds') ?? '3600';
    if (Number(duration) < 900)
      throw constraint('durationSeconds', duration, 'have value greater than or equal to 900');
    if (Number(duration) > 43_200) {
      throw constraint('durationSeconds', duration, 'have value less than or equal to 43200');
    }
    return { arn, name, seconds: Number(duration), policy: sessionPolicy(form.get('Policy')) };
  }

  function assume(role: Role, { name, seconds, policy }: ReturnType<typeof parameters>) {
    if (seconds > role.maxSessionSeconds) {
      throw validation('The requested DurationSeconds exceeds the MaxSessionDuration set for this role.');
    }
    const expires = Math.floor(state.now() / 1000) * 1000 + (options.sessionSeconds() ?? seconds) * 1000;
    const made = identities.createSession(role, name, expires, policy);
    return {
      Credentials: {
        AccessKeyId: made.accessKeyId,
        SecretAccessKey: made.secretAccessKey,
        SessionToken: made.sessionToken,
        Expiration: new Date(expires).toISOString().replace('.000', ''),
      },
      AssumedRoleUser: { AssumedRoleId: made.session.id, Arn: made.session.arn },
    };
  }

  const findRole = (arn: string) => [...identities.roles.values()].find((role) => role.arn === arn);

  async function assumeRoleWithWebIdentity(form: URLSearchParams): Promise<XmlContent> {
    const asked = parameters(form);
    const token = form.get('WebIdentityToken') ?? '';
    if (token.length < 4) throw constraint('webIdentityToken', token, 'have length greater than or equal to 4');
    const providers = asked.arn.startsWith(`arn:aws:iam::${account}:`) ? options.providers : [];
    const { provider, claims, audience } = await verifyWebIdentity(token, providers, state.now());
    const role = findRole(asked.arn);
    const context = { ...claimContext(provider, claims), 'sts:rolesessionname': asked.name };
    const question = { action: 'sts:AssumeRoleWithWebIdentity', resource: asked.arn, context };
    const trust = evaluateResource(role?.trust, question, { arns: [], federated: [provider.arn] });
    // The same answer whether the role is missing or its trust does not fit: nobody learns which roles there are.
    if (!role || trust.effect !== 'allow') throw denied('Not authorized to perform sts:AssumeRoleWithWebIdentity');
    return {
      ...assume(role, asked),
      SubjectFromWebIdentityToken: claims.sub,
      Audience: audience,
      Provider: provider.arn,
    };
  }

  function assumeRole(form: URLSearchParams, sender: Principal): XmlContent {
    const asked = parameters(form);
    if (sender.kind === 'anonymous')
      throw new ServiceError(403, 'MissingAuthenticationToken', 'Request is missing Authentication Token');
    const role = findRole(asked.arn);
    const context = { 'sts:externalid': form.get('ExternalId') ?? undefined, 'sts:rolesessionname': asked.name };
    const question = { action: 'sts:AssumeRole', resource: asked.arn, context };
    const trust = evaluateResource(role?.trust, question, identities.asker(sender));
    // A trust in the whole account leaves the choice to the sender's own policies; a trust in himself is enough.
    const verdict = identities.decide(sender, question, role?.trust);
    if (!role || trust.effect !== 'allow' || !verdict.allowed) {
      throw denied(`User: ${sender.arn} is not authorized to perform: sts:AssumeRole on resource: ${asked.arn}`);
    }
    if (sender.kind === 'session' && asked.seconds > 3600) {
      throw validation(
        'The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining',
      );
    }
    return assume(role, asked);
  }

  function getCallerIdentity(sender: Principal): XmlContent {
    if (sender.kind === 'anonymous') {
      throw new ServiceError(403, 'MissingAuthenticationToken', 'Request is missing Authentication Token');
    }
    return { Arn: sender.arn, UserId: sender.id, Account: account };
  }

  async function carryOut(
    exchange: Exchange,
    form: URLSearchParams,
    raw: Buffer,
    entry: LoggedRequest,
  ): Promise<Answer> {
    const { request } = exchange;
    const { headers } = entry;
    const [, hostRegion] = /^sts(?:\.([a-z0-9-]+))?\.amazonaws\.com/.exec(headers.host ?? '') ?? [];
    const region = headers.host?.endsWith('.amazonaws.com') ? (hostRegion ?? 'us-east-1') : undefined;
    if (region !== undefined && options.disabledRegions.has(region)) {
      const message = `STS is not activated in this region for account:${account}. Your account administrator can activate STS in this region using the IAM Console.`;
      throw new ServiceError(403, 'RegionDisabledException', message);
    }
    const [path = '/', query = ''] = (request.url ?? '/').split('?');
    const who = authenticate<Principal>(
      { method: request.method ?? '', path, query, headers, payloadHash: sha256(raw) },
      { service: 'sts', region, now: state.now(), credential: (id) => identities.credential(id) },
    );
    if (who.kind === 'refused') throw refuse(who.refusal);
    const sender: Principal = who.kind === 'anonymous' ? { kind: 'anonymous' } : who.principal;
    entry.principal = sender.kind === 'anonymous' ? 'anonymous' : sender.arn;
    const action = entry.operation;
    const result =
      action === 'AssumeRoleWithWebIdentity'
        ? await assumeRoleWithWebIdentity(form)
        : action === 'AssumeRole'
          ? assumeRole(form, sender)
          : action === 'GetCallerIdentity'
            ? getCallerIdentity(sender)
            : undefined;
    if (result === undefined) {
      throw new ServiceError(400, 'InvalidAction', `Could not find operation ${action} for version 2011-06-15`);
    }
    const document = { [`${action}Result`]: result, ResponseMetadata: { RequestId: randomUUID() } };
    return {
      status: 200,
      headers: { 'content-type': 'text/xml' },
      body: xml(`${action}Response`, document, NAMESPACE),
    };
  }

  async function handle(exchange: Exchange): Promise<void> {
    const { request, response } = exchange;
    const headers = requestHeaders(request);
    const entry: LoggedRequest = {
      operation: 'Unknown',
      bucket: undefined,
      key: undefined,
      query: {},
      status: 0,
      code: undefined,
      principal: undefined,
      headers,
      fault: undefined,
    };
    log(entry);
    const common = { 'x-amzn-requestid': randomUUID(), date: new Date(state.now()).toUTCString() };
    try {
      const raw = await readBody(request);
      const form = new URLSearchParams(raw.toString());
      entry.operation = form.get('Action') ?? 'Unknown';
      entry.query = Object.fromEntries(form);
      const fault = faults.take(entry.operation);
      entry.fault = fault?.kind;
      const answer = await withFault(fault, exchange, () => carryOut(exchange, form, raw, entry));
      entry.status = answer?.status ?? 0;
      if (answer) send(exchange, { ...answer, headers: { ...common, ...answer.headers } });
    } catch (error) {
      if (request.destroyed && !request.complete) return;
      const failure =
        error instanceof ServiceError
          ? error
          : new ServiceError(500, 'InternalFailure', String((error as Error).stack));
      const { status, code, message } = failure;
      Object.assign(entry, { status, code });
      const document = {
        Error: { Type: status < 500 ? 'Sender' : 'Receiver', Code: code, Message: message },
        RequestId: common['x-amzn-requestid'],
      };
      const body = xml('ErrorResponse', document, NAMESPACE);
      if (!response.headersSent)
        send(exchange, { status, headers: { ...common, 'content-type': 'text/xml', ...failure.headers }, body });
    }
  }

  return { handle };
}

/** The session policy of a request. AWS packs it into the token, which bounds it twice; here its length alone counts. */
function sessionPolicy(text: string | null): PolicyDocument | undefined {
  if (text === null) return undefined;
  if (text.length > 2048) throw constraint('policy', text, 'have length less than or equal to 2048');
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw new ServiceError(400, 'MalformedPolicyDocument', 'This policy contains invalid Json');
  }
  const problem = policyProblem(document);
  if (problem) throw new ServiceError(400, 'MalformedPolicyDocument', problem);
  return document as PolicyDocument;
}

/**
 * The claims of GitHub's tokens that IAM knows, as of January 2026; a condition on any other finds no key.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
 */
const CLAIMS =
  'sub aud azp amr actor actor_id job_workflow_ref repository repository_id workflow ref environment enterprise_id';

/** Claims as condition keys, `token.actions.githubusercontent.com:sub` and so on. */
function claimContext({ issuer, arn }: OidcProvider, claims: Record<string, unknown>): Context {
  const host = issuer.replace(/^https?:\/\//, '');
  const context: Context = { 'aws:federatedprovider': arn };
  for (const name of CLAIMS.split(' ')) {
    const value = claims[name];
    if (value !== undefined) {
      context[`${host}:${name}`.toLowerCase()] = Array.isArray(value) ? value.map(String) : String(value);
    }
  }
  return context;
}
