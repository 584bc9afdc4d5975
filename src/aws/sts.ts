import {
  AssumeRoleCommand,
  AssumeRoleWithWebIdentityCommand,
  GetCallerIdentityCommand,
  type STSClient,
} from '@aws-sdk/client-sts';
import { misbehaved, type ServiceFailure } from '../core/explain.ts';
import { homeRegion, partitionOf } from '../core/policy.ts';
import type { Caller } from './caller.ts';
import { createSts } from './clients.ts';
import { ServiceError, toServiceError } from './failure.ts';
import type { Credentials, Identity } from './session.ts';

/** What a role is asked for with. */
export interface RoleRequest {
  readonly role: string;
  readonly sessionName: string;
  readonly durationSeconds: number;
  readonly externalId: string | undefined;
  /** JSON. */
  readonly sessionPolicy: string | undefined;
}

/** Where STS is asked. */
export interface StsAddress {
  readonly region: string | undefined;
  readonly endpoint: string | undefined;
}

export interface Assumed {
  readonly credentials: Credentials;
  readonly identity: Identity | undefined;
}

/** A role, or its trust policy, that was made a moment ago is not known everywhere yet: a refusal is asked again. */
const REFUSAL_DELAYS_MS = [500, 1500];
/** Refusals of the token itself: another one may do. */
const TOKEN_REFUSED = /^(ExpiredToken|IDPRejectedClaim)/;

/** Assumes a role with tokens of the job; each try takes a new one, since a token that was refused stays refused. */
export async function assumeWithToken(
  request: RoleRequest,
  address: StsAddress,
  fetchToken: () => Promise<string>,
  caller: Caller,
): Promise<Assumed> {
  const operation = 'AssumeRoleWithWebIdentity';
  const sts = clientFor(address, request.role, caller);
  return caller.call(
    operation,
    async (options) => {
      const WebIdentityToken = await fetchToken().catch((error: unknown) => {
        throw toServiceError('GetIdToken', error);
      });
      const command = new AssumeRoleWithWebIdentityCommand({ ...common(request), WebIdentityToken });
      return assumed(operation, await sts.send(command, options));
    },
    { again: afterRefusal, slow: true },
  );
}

/** Assumes a role with other credentials. */
export async function assumeWithCredentials(
  request: RoleRequest,
  address: StsAddress,
  base: () => Promise<Credentials>,
  caller: Caller,
): Promise<Assumed> {
  const operation = 'AssumeRole';
  const sts = clientFor(address, request.role, caller, base);
  const command = new AssumeRoleCommand({
    ...common(request),
    ...(request.externalId === undefined ? {} : { ExternalId: request.externalId }),
  });
  return caller.call(operation, async (options) => assumed(operation, await sts.send(command, options)), {
    again: afterRefusal,
  });
}

/** Asks whose credentials these are; needs no permission. */
export async function whoAmI(
  address: StsAddress,
  base: () => Promise<Credentials>,
  caller: Caller,
): Promise<Identity | undefined> {
  const sts = clientFor(address, undefined, caller, base);
  const answer = await caller.call(
    'GetCallerIdentity',
    (options) => sts.send(new GetCallerIdentityCommand({}), options),
    {
      budgetMs: 10_000,
    },
  );
  return identityOf(answer.Arn);
}

function clientFor(
  address: StsAddress,
  role: string | undefined,
  { connections }: Caller,
  base?: () => Promise<Credentials>,
): STSClient {
  return createSts(address.region ?? homeRegion(partitionOf(role)), address.endpoint, connections, base);
}

function common({ role, sessionName, durationSeconds, sessionPolicy }: RoleRequest) {
  return {
    RoleArn: role,
    RoleSessionName: sessionName,
    DurationSeconds: durationSeconds,
    ...(sessionPolicy === undefined ? {} : { Policy: sessionPolicy }),
  };
}

/** Milliseconds after which a refusal is tried again, if it may pass. */
function afterRefusal({ code, message }: ServiceFailure, nth: number): number | undefined {
  const mayPass = TOKEN_REFUSED.test(code) || (code === 'AccessDenied' && !/explicit deny/.test(message));
  return mayPass ? REFUSAL_DELAYS_MS[nth - 1] : undefined;
}

interface StsAnswer {
  readonly Credentials?:
    | {
        AccessKeyId?: string | undefined;
        SecretAccessKey?: string | undefined;
        SessionToken?: string | undefined;
        Expiration?: Date | undefined;
      }
    | undefined;
  readonly AssumedRoleUser?: { Arn?: string | undefined } | undefined;
}

function assumed(operation: string, { Credentials: issued, AssumedRoleUser: user }: StsAnswer): Assumed {
  if (!issued?.AccessKeyId || !issued.SecretAccessKey || !issued.SessionToken) {
    throw new ServiceError(misbehaved(operation, 'an answer without credentials'));
  }
  return {
    credentials: {
      accessKeyId: issued.AccessKeyId,
      secretAccessKey: issued.SecretAccessKey,
      sessionToken: issued.SessionToken,
      ...(issued.Expiration === undefined ? {} : { expiration: issued.Expiration }),
    },
    identity: identityOf(user?.Arn),
  };
}

function identityOf(arn: string | undefined): Identity | undefined {
  const account = /^arn:[\w-]+:(?:sts|iam)::([^:]*):[\w/+=,.@-]+$/.exec(arn ?? '')?.[1];
  return arn === undefined || account === undefined ? undefined : { arn, account };
}
