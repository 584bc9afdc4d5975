import { createLocalJWKSet, decodeJwt, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose';
import { ServiceError } from './errors.ts';
import type { Context } from './patterns.ts';

/** An identity provider as the account knows it. */
export interface OidcProvider {
  arn: string;
  /** `iss` of its tokens. */
  issuer: string;
  /** Where its keys are fetched, on every call. */
  keysUrl: string;
  /** The audiences that the provider is registered for. */
  clientIds: string[];
}

const invalid = (message: string) => new ServiceError(400, 'InvalidIdentityToken', message);

const NO_KEY =
  "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements";

/**
 * The claims of a token that one of the providers signed, or STS's refusal.
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
 */
export async function verifyWebIdentity(
  token: string,
  providers: readonly OidcProvider[],
  now: number,
): Promise<{ provider: OidcProvider; claims: JWTPayload; audience: string }> {
  let issuer: string | undefined;
  try {
    issuer = decodeJwt(token).iss;
  } catch {
    throw invalid('The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)');
  }
  const provider = providers.find((one) => one.issuer === issuer);
  if (!provider) throw invalid(`No OpenIDConnect provider found in your account for ${issuer}`);

  const { payload: claims } = await jwtVerify(token, createLocalJWKSet(await fetchKeys(provider)), {
    algorithms: ['RS256'],
    currentDate: new Date(now),
  }).catch((error) => {
    throw explain(error, now);
  });
  for (const name of ['sub', 'aud', 'exp', 'iat']) {
    if (claims[name] === undefined) throw invalid(`Missing a required claim: ${name}`);
  }
  if (claims.iat! * 1000 > now) throw invalid('Token issued in the future');
  const audience = [claims.aud ?? []].flat().find((one) => provider.clientIds.includes(one));
  if (audience === undefined) throw invalid('Incorrect token audience');
  return { provider, claims, audience };
}

async function fetchKeys({ keysUrl }: OidcProvider): Promise<JSONWebKeySet> {
  try {
    const answer = await fetch(keysUrl);
    if (answer.ok) return (await answer.json()) as JSONWebKeySet;
  } catch {
    // Down, or no JSON: the same to STS.
  }
  throw invalid(NO_KEY);
}

function explain(error: unknown, now: number): ServiceError {
  if (error instanceof errors.JWTExpired) {
    const message = `Token expired: current date/time ${Math.floor(now / 1000)} must be before the expiration date/time${error.payload.exp}`;
    return new ServiceError(400, 'ExpiredTokenException', message);
  }
  if (error instanceof errors.JWTClaimValidationFailed && error.claim === 'nbf') {
    return invalid('Token is not valid yet');
  }
  if (error instanceof errors.JWKSNoMatchingKey) return invalid(NO_KEY);
  return invalid('The signature of the provided token could not be verified');
}

/**
 * The claims of GitHub's tokens that IAM knows, as of January 2026; a condition on any other finds no key.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
 */
const CLAIMS =
  'sub aud azp amr actor actor_id job_workflow_ref repository repository_id workflow ref environment enterprise_id';

/** Claims as condition keys, `token.actions.githubusercontent.com:sub` and so on. */
export function claimContext({ issuer, arn }: OidcProvider, claims: Record<string, unknown>): Context {
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
