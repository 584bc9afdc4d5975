import { randomUUID } from 'node:crypto';
import { type AssumeParameters, assumeParameters, constraint, validation } from './assume-parameters.ts';
import type { Answer, CloudState } from './call.ts';
import { ServiceError } from './errors.ts';
import { type Exchange, requestHeaders, send, withFault } from './exchange.ts';
import type { Faults } from './faults.ts';
import type { Principal, Role } from './identities.ts';
import { readBody } from './payload.ts';
import { evaluateResource } from './policies.ts';
import { sendError } from './query-errors.ts';
import { refuseStsSignature } from './refusals.ts';
import { type LoggedRequest, newRequest } from './requests.ts';
import { authenticate, sha256 } from './sigv4.ts';
import { claimContext, type OidcProvider, verifyWebIdentity } from './web-identity.ts';
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

const denied = (message: string) => new ServiceError(403, 'AccessDenied', message);

/** Serves STS's query protocol: AssumeRoleWithWebIdentity, AssumeRole and GetCallerIdentity. */
export function createSts(options: StsOptions) {
  const { state, faults, log } = options;
  const { identities, account } = state;

  function assume(role: Role, { name, seconds, policy }: AssumeParameters) {
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
    const asked = assumeParameters(form);
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
    const asked = assumeParameters(form);
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
    if (who.kind === 'refused') throw refuseStsSignature(who.refusal);
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
    const { request } = exchange;
    const headers = requestHeaders(request);
    const entry = newRequest(headers);
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
      sendError(exchange, entry, error, { common, internal: 'InternalFailure', namespace: NAMESPACE });
    }
  }

  return { handle };
}
