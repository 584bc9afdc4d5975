import { fromIni } from '@aws-sdk/credential-provider-ini';
import { defaultProvider } from '@aws-sdk/credential-provider-node';
import { describe, explain, kindOf, type ServiceFailure } from '../core/explain.ts';
import { plain } from '../core/text.ts';
import { type Claims, roleProblemOf, trustRemedy } from '../core/trust.ts';
import { DeployError } from '../errors.ts';
import type { Caller } from './caller.ts';
import { ServiceError, toServiceError } from './failure.ts';
import type { Pace } from './retry.ts';
import { type Credentials, Session } from './session.ts';
import {
  type Assumed,
  assumeWithCredentials,
  assumeWithToken,
  type RoleRequest,
  type StsAddress,
  whoAmI,
} from './sts.ts';

export interface CredentialInputs {
  readonly keys: Credentials | undefined;
  readonly profile: string | undefined;
  readonly role: string | undefined;
  /** The role is assumed from what the default chain finds. */
  readonly roleChaining: boolean;
  readonly roleSessionName: string;
  readonly roleDurationSeconds: number;
  readonly roleExternalId: string | undefined;
  /** The policy (JSON) that narrows an assumed role. */
  readonly sessionPolicy: string | undefined;
  /** The policy is ours and may be left out where it is refused. */
  readonly sessionPolicyIsOptional: boolean;
  readonly sts: StsAddress;
  /** Whether there is an STS to ask whose keys these are. */
  readonly hasSts: boolean;
  readonly allowedAccounts: readonly string[];
}

/** The job's identity at GitHub: a fresh token each time, and what a token says. */
export interface WebIdentity {
  fetchToken(): Promise<string>;
  claimsOf(token: string): Claims;
}

/** What opening a session needs of the world. */
export interface SignInWorld {
  /** Only asked for a role that is assumed through OIDC. */
  identity(): Promise<WebIdentity>;
  readonly caller: Caller;
  readonly pace: Pace;
  mask(secret: string): void;
  warn(text: string): void;
}

/**
 * Opens the session that these inputs ask for, proves at once that it can be had, and holds its account against those
 * that are allowed. What is given is never mixed with what is ambient.
 *
 * | given                              | session                                |
 * | ---------------------------------- | -------------------------------------- |
 * | role                               | AssumeRoleWithWebIdentity              |
 * | role and keys, or role and profile | AssumeRole from those                  |
 * | role, role-chaining                | AssumeRole from the default chain      |
 * | keys, or profile                   | as they are                            |
 * | nothing                            | the SDK's default chain                |
 *
 * @throws DeployError ROLE_DENIED, CREDENTIALS_INVALID, ACCOUNT_NOT_ALLOWED, OIDC_UNAVAILABLE or STORE_UNREACHABLE.
 */
export async function openSession(inputs: CredentialInputs, world: SignInWorld): Promise<Session> {
  const { role } = inputs;
  const session = role === undefined ? givenSession(inputs, world) : await roleSession(inputs, role, world);
  await session.credentials();
  if (session.identity === undefined && inputs.hasSts) session.identity = await identityOf(inputs, session, world);
  checkAccount(session, inputs.allowedAccounts);
  return session;
}

/** Keys, a profile or the default chain, as they are. */
function givenSession(inputs: CredentialInputs, { mask, pace }: SignInWorld): Session {
  const base = baseOf(inputs);
  return new Session(base, base, mask, pace);
}

async function roleSession(inputs: CredentialInputs, role: string, world: SignInWorld): Promise<Session> {
  let request: RoleRequest = {
    role,
    sessionName: inputs.roleSessionName,
    durationSeconds: inputs.roleDurationSeconds,
    externalId: inputs.roleExternalId,
    sessionPolicy: inputs.sessionPolicy,
  };
  const { assume, how } = await assumerOf(inputs, world);
  const fetch = async (): Promise<Credentials> => {
    const { credentials, identity } = await assume(request).catch((error: unknown) => {
      if (!inputs.sessionPolicyIsOptional || !refusesPolicy(error)) throw error;
      world.warn('The session policy that narrows the role to this deploy was refused; the role is used as it is.');
      request = { ...request, sessionPolicy: undefined };
      return assume(request);
    });
    session.identity = identity;
    return credentials;
  };
  const who = { description: `role ${plain(role)} ${how}`, holder: `the role ${plain(role)}` };
  const session = new Session(who, { fetch, renewable: true }, world.mask, world.pace);
  return session;
}

type Assume = (request: RoleRequest) => Promise<Assumed>;

async function assumerOf(inputs: CredentialInputs, world: SignInWorld): Promise<{ assume: Assume; how: string }> {
  const { sts, keys, profile, roleChaining } = inputs;
  const { caller } = world;
  if (keys !== undefined || profile !== undefined || roleChaining) {
    const base = baseOf(inputs);
    const fetchBase = new Session(base, base, world.mask, world.pace).credentials;
    const assume: Assume = (request) =>
      assumeWithCredentials(request, sts, fetchBase, caller).catch((error: unknown) => {
        throw roleError(error, request.role, undefined);
      });
    return { assume, how: `from ${base.description}` };
  }
  const github = await world.identity();
  const assume: Assume = async (request) => {
    let claims: Claims = {};
    const fetchToken = async () => {
      const token = await github.fetchToken();
      claims = github.claimsOf(token);
      return token;
    };
    return assumeWithToken(request, sts, fetchToken, caller).catch((error: unknown) => {
      throw roleError(error, request.role, claims);
    });
  };
  return { assume, how: 'through OIDC' };
}

const USER = 'the user or role that these credentials belong to';

interface Base {
  readonly description: string;
  readonly holder: string;
  readonly renewable: boolean;
  fetch(): Promise<Credentials>;
}

/** The credentials that are used as they are, or to assume a role with. */
function baseOf({ keys, profile }: CredentialInputs): Base {
  if (keys !== undefined)
    return { description: 'access keys', holder: USER, renewable: false, fetch: async () => keys };
  if (profile !== undefined) {
    const hint = `Check that the runner's shared files (~/.aws/config, ~/.aws/credentials) have the profile '${plain(profile)}' with keys in it.`;
    const provider = fromIni({ profile, ignoreCache: true });
    return fromProvider(
      `profile ${plain(profile)}`,
      provider,
      `The profile ${plain(profile)} has no credentials that can be used.`,
      hint,
    );
  }
  const hint =
    'Give role-to-assume (with permissions: id-token: write), or aws-access-key-id and aws-secret-access-key from ' +
    'secrets, or run a step before this one that exports credentials.';
  const provider = defaultProvider({ maxRetries: 1, timeout: 2000 });
  const problem = 'No credentials were given, and none were found in the environment.';
  return fromProvider('the credentials of the environment', provider, problem, hint);
}

function fromProvider(description: string, provider: () => Promise<Credentials>, problem: string, hint: string): Base {
  const fetch = async () => {
    try {
      const { accessKeyId, secretAccessKey, sessionToken, expiration } = await provider();
      return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }), ...(expiration && { expiration }) };
    } catch (error) {
      throw new DeployError('CREDENTIALS_INVALID', problem, { hint, cause: error });
    }
  };
  return { description, holder: USER, renewable: true, fetch };
}

async function identityOf(inputs: CredentialInputs, session: Session, { caller }: SignInWorld) {
  try {
    return await whoAmI(inputs.sts, session.credentials, caller);
  } catch (error) {
    const { failure } = toServiceError('GetCallerIdentity', error);
    if (kindOf(failure) === 'credentials') throw explain(failure, { bucket: '', prefix: '' });
    if (inputs.allowedAccounts.length === 0) return undefined; // Nobody asked; S3 may still be within reach.
    throw new DeployError('ACCOUNT_NOT_ALLOWED', `STS does not tell which account this is: ${describe(failure)}.`, {
      hint: 'allowed-account-ids needs an STS that can be reached: check sts-endpoint and the network, or leave it out.',
      cause: error,
    });
  }
}

function checkAccount({ identity }: Session, allowed: readonly string[]): void {
  if (allowed.length === 0 || (identity !== undefined && allowed.includes(identity.account))) return;
  const who =
    identity === undefined ? 'An unknown account' : `The account ${plain(identity.account)} (${plain(identity.arn)})`;
  throw new DeployError('ACCOUNT_NOT_ALLOWED', `${who} is not in allowed-account-ids.`, {
    hint: 'Check which role or keys this job uses. Nothing was asked of S3.',
  });
}

/** A policy that was refused, or an STS that does not know of any. */
function refusesPolicy(error: unknown): boolean {
  const failure = error instanceof DeployError && error.cause instanceof ServiceError ? error.cause.failure : undefined;
  if (failure === undefined) return false;
  return (
    roleProblemOf(failure) === 'policy refused' ||
    failure.status === 501 ||
    /^(NotImplemented|InvalidParameter)/.test(failure.code)
  );
}

/** Why the role was not to be had, with what to paste where. */
function roleError(error: unknown, role: string, claims: Claims | undefined): unknown {
  if (!(error instanceof ServiceError)) return error;
  const { failure } = error;
  const told = describe(failure);
  if (failure.operation === 'GetIdToken') return tokenError(failure, error);
  const kind = kindOf(failure);
  if (kind === 'misbehaved') {
    return new DeployError('STORE_MISBEHAVED', `The answer is not that of an STS: ${told}.`, {
      hint: 'Check sts-endpoint: it must be an STS, and no proxy may change its answers.',
      cause: error,
    });
  }
  if (kind === 'unreachable' || kind === 'transient' || kind === 'throttled') {
    return new DeployError('STORE_UNREACHABLE', `STS gave no answer to rely on: ${told}.`, {
      hint: 'Check sts-endpoint, aws-region and the network, or run the job again later.',
      cause: error,
    });
  }
  if (kind === 'credentials' && claims === undefined) return explain(failure, { bucket: '', prefix: '' });
  return new DeployError('ROLE_DENIED', `STS refused the role ${plain(role)}: ${told}.`, {
    hint: (claims === undefined ? keysRemedy(failure, role) : trustRemedy(roleProblemOf(failure), claims, role)).join(
      '\n',
    ),
    cause: error,
  });
}

function keysRemedy(failure: ServiceFailure, role: string): string[] {
  const problem = roleProblemOf(failure);
  if (problem !== 'not trusted') return trustRemedy(problem, {}, role);
  const statement = { Effect: 'Allow', Action: 'sts:AssumeRole', Resource: plain(role) };
  return [
    "The role's trust policy must name the caller (and the external id, if it asks for one), and the caller's policy needs:",
    JSON.stringify(statement, null, 2),
  ];
}

function tokenError(failure: ServiceFailure, cause: unknown): DeployError {
  const silent = ['unreachable', 'transient', 'throttled'].includes(kindOf(failure));
  return new DeployError(
    silent ? 'STORE_UNREACHABLE' : 'OIDC_UNAVAILABLE',
    `GitHub's token service gave no token: ${describe(failure)}.`,
    {
      hint: 'Run the job again; if it stays so, look at https://www.githubstatus.com.',
      cause,
    },
  );
}
