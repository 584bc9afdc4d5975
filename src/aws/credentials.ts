import { AssumeRoleCommand, AssumeRoleWithWebIdentityCommand, type STSClient } from '@aws-sdk/client-sts';
import { defaultProvider } from '@aws-sdk/credential-provider-node';
import { describe, explain, kindOf } from '../core/explain.ts';
import { type Claims, describeClaims, partitionOf, trustPolicy } from '../core/policy.ts';
import { plain } from '../core/text.ts';
import { DeployError } from '../errors.ts';
import { type Caller, type CredentialSource, createSts } from './clients.ts';
import { type ServiceError, toServiceError } from './failure.ts';

export interface AccessKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface CredentialInputs {
  readonly keys: AccessKeys | undefined;
  readonly role: string | undefined;
  readonly roleSessionName: string;
  readonly roleDurationSeconds: number;
  /** The session policy (JSON) that narrows an assumed role, if any. */
  readonly sessionPolicy: string | undefined;
  readonly region: string | undefined;
  readonly stsEndpoint: string | undefined;
}

/** The job's identity at GitHub: a fresh token each time, and what a token says. */
export interface WebIdentity {
  fetchToken(): Promise<string>;
  claimsOf(token: string): Claims;
}

/** Who a run is. */
export interface Session {
  readonly credentials: CredentialSource;
  /** For the log: `role arn:aws:iam::…:role/deploy through OIDC`. */
  readonly description: string;
}

/** Credentials are fetched anew this long before they run out. */
const REFRESH_MS = 5 * 60_000;

/**
 * Opens the session that these inputs ask for, and proves at once that it can be had: a role through OIDC, a role with
 * keys, keys alone, or what the SDK's default chain finds. What is given is never mixed with what is ambient.
 * @param identity the job's OIDC identity; only asked for with a role and without keys.
 * @throws DeployError ROLE_DENIED, CREDENTIALS_INVALID or STORE_UNREACHABLE.
 */
export async function openSession(
  inputs: CredentialInputs,
  identity: () => Promise<WebIdentity>,
  caller: Caller,
  mask: (secret: string) => void,
): Promise<Session> {
  const { keys, role } = inputs;
  if (role !== undefined && keys === undefined) {
    const github = await identity();
    return session(`role ${plain(role)} through OIDC`, () => assumeWithToken(inputs, role, github, caller), mask);
  }
  if (role !== undefined && keys !== undefined) {
    return session(`role ${plain(role)} with access keys`, () => assumeWithKeys(inputs, role, keys, caller), mask);
  }
  if (keys !== undefined) return session('access keys', async () => keys, mask);
  return session("what the AWS SDK's default chain finds", fromDefaultChain(), mask);
}

async function session(
  description: string,
  source: CredentialSource,
  mask: (secret: string) => void,
): Promise<Session> {
  const credentials = kept(masked(source, mask));
  await credentials();
  return { credentials, description };
}

/** Masks every credential where it is born. */
function masked(source: CredentialSource, mask: (secret: string) => void): CredentialSource {
  return async () => {
    const credentials = await source();
    for (const secret of [credentials.secretAccessKey, credentials.sessionToken, credentials.accessKeyId]) {
      if (secret) mask(secret);
    }
    return credentials;
  };
}

/** Keeps credentials until shortly before they expire; many askers cause one call. */
function kept(source: CredentialSource): CredentialSource {
  let current: ReturnType<CredentialSource> | undefined;
  let goodUntil = 0;
  return () => {
    if (current === undefined || Date.now() > goodUntil) {
      goodUntil = Number.POSITIVE_INFINITY;
      current = source().then(
        (credentials) => {
          goodUntil = (credentials.expiration?.getTime() ?? Number.POSITIVE_INFINITY) - REFRESH_MS;
          return credentials;
        },
        (error: unknown) => {
          current = undefined;
          throw error;
        },
      );
    }
    return current;
  };
}

function stsFor(inputs: CredentialInputs, role: string, keys?: AccessKeys): STSClient {
  const partitionRegion = { aws: 'us-east-1', 'aws-cn': 'cn-north-1', 'aws-us-gov': 'us-gov-west-1' }[
    partitionOf(role)
  ];
  return createSts(inputs.region ?? partitionRegion, inputs.stsEndpoint, keys && (async () => keys));
}

function roleRequest(inputs: CredentialInputs, role: string) {
  return {
    RoleArn: role,
    RoleSessionName: inputs.roleSessionName,
    DurationSeconds: inputs.roleDurationSeconds,
    ...(inputs.sessionPolicy === undefined ? {} : { Policy: inputs.sessionPolicy }),
  };
}

async function assumeWithToken(inputs: CredentialInputs, role: string, github: WebIdentity, caller: Caller) {
  const operation = 'AssumeRoleWithWebIdentity';
  let claims: Claims = {};
  try {
    const token = await caller.call('GetIdToken', () => github.fetchToken());
    claims = github.claimsOf(token);
    const answer = await caller.call(operation, (options) =>
      stsFor(inputs, role).send(
        new AssumeRoleWithWebIdentityCommand({ ...roleRequest(inputs, role), WebIdentityToken: token }),
        options,
      ),
    );
    return fromSts(operation, answer.Credentials);
  } catch (error) {
    throw roleError(toServiceError(operation, error), role, claims);
  }
}

async function assumeWithKeys(inputs: CredentialInputs, role: string, keys: AccessKeys, caller: Caller) {
  const operation = 'AssumeRole';
  try {
    const answer = await caller.call(operation, (options) =>
      stsFor(inputs, role, keys).send(new AssumeRoleCommand(roleRequest(inputs, role)), options),
    );
    return fromSts(operation, answer.Credentials);
  } catch (error) {
    throw roleError(toServiceError(operation, error), role, undefined);
  }
}

function fromDefaultChain(): CredentialSource {
  const chain = defaultProvider({ maxRetries: 1, timeout: 2000 });
  return async () => {
    try {
      const { accessKeyId, secretAccessKey, sessionToken, expiration } = await chain();
      return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }), ...(expiration && { expiration }) };
    } catch (error) {
      throw new DeployError(
        'CREDENTIALS_INVALID',
        'No credentials were given, and none were found in the environment.',
        {
          hint:
            'Give role-to-assume (with permissions: id-token: write), or aws-access-key-id and aws-secret-access-key from ' +
            'secrets, or run a step before this one that exports credentials.',
          cause: error,
        },
      );
    }
  };
}

function fromSts(
  operation: string,
  answer:
    | {
        AccessKeyId?: string | undefined;
        SecretAccessKey?: string | undefined;
        SessionToken?: string | undefined;
        Expiration?: Date | undefined;
      }
    | undefined,
) {
  if (!answer?.AccessKeyId || !answer.SecretAccessKey || !answer.SessionToken) {
    throw new DeployError('STORE_MISBEHAVED', `${operation} answered without credentials.`, {
      hint: 'Check sts-endpoint: it must be an STS, and no proxy may change its answers.',
    });
  }
  return {
    accessKeyId: answer.AccessKeyId,
    secretAccessKey: answer.SecretAccessKey,
    sessionToken: answer.SessionToken,
    ...(answer.Expiration === undefined ? {} : { expiration: answer.Expiration }),
  };
}

/** Why the role was not to be had, with what to paste where. */
function roleError(error: ServiceError, role: string, claims: Claims | undefined): DeployError {
  const { failure } = error;
  const told = describe(failure);
  const kind = kindOf(failure);
  if (failure.operation === 'GetIdToken') {
    return new DeployError(
      kind === 'unreachable' || kind === 'transient' ? 'STORE_UNREACHABLE' : 'OIDC_UNAVAILABLE',
      `GitHub's token service gave no token: ${told}.`,
      {
        hint: 'Run the job again; if it stays so, look at https://www.githubstatus.com.',
        cause: error,
      },
    );
  }
  if (kind === 'credentials' && claims === undefined) return explain(failure, { bucket: role, prefix: '' });
  if (kind === 'unreachable' || kind === 'transient' || kind === 'throttled') {
    return new DeployError('STORE_UNREACHABLE', `STS did not answer: ${told}.`, {
      hint: 'Check sts-endpoint, aws-region and the network, or run the job again later.',
      cause: error,
    });
  }
  return new DeployError('ROLE_DENIED', `STS refused the role ${plain(role)}: ${told}.`, {
    hint: claims === undefined ? keysHint(role) : trustHint(role, claims, failure.message),
    cause: error,
  });
}

function keysHint(role: string): string {
  return `The user of these keys needs sts:AssumeRole on ${plain(role)}, and the role's trust policy must name that user.`;
}

function trustHint(role: string, claims: Claims, message: string): string {
  const reason = /provider found/.test(message)
    ? `The account has no OIDC provider for ${claims.iss}: create it, or correct the account in role-to-assume.`
    : /audience/.test(message)
      ? `The account's OIDC provider does not list the audience ${claims.aud}: add it to the provider.`
      : /DurationSeconds|MaxSessionDuration/.test(message)
        ? "Lower role-duration-seconds, or raise the role's maximum session duration."
        : /[Pp]olicy/.test(message) && !/not authorized/i.test(message)
          ? 'The session policy was not accepted: set inline-session-policy: none, or give another one.'
          : 'The role does not exist, or its trust policy does not match this job. Check the ARN; then give the role this trust policy.';
  return [
    reason,
    '',
    "This job's token says:",
    ...describeClaims(claims).map((line) => `    ${plain(line, 300)}`),
    '',
    'The trust policy that matches it:',
    JSON.stringify(trustPolicy(claims, role), null, 2),
  ].join('\n');
}
