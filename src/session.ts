import * as core from '@actions/core';
import type { Caller } from './aws/clients.ts';
import { openSession, type Session, type WebIdentity } from './aws/credentials.ts';
import { neededActions, partitionOf, permissionPolicy } from './core/policy.ts';
import { isForkPullRequest } from './github/event.ts';
import { claimsOf, fetchToken, noTokenService, tokenServiceOf } from './github/oidc.ts';
import type { Inputs } from './inputs.ts';
import { log } from './report/log.ts';

/** Opens the session that the inputs ask for, an assumed role narrowed to what they need. */
export async function signIn(inputs: Inputs, env: NodeJS.ProcessEnv, caller: Caller): Promise<Session> {
  const identity = async (): Promise<WebIdentity> => {
    const service = tokenServiceOf(env, core.setSecret);
    if (service === undefined) throw noTokenService(await isForkPullRequest());
    return { claimsOf, fetchToken: () => fetchToken(service, inputs.audience, core.setSecret) };
  };
  const region = inputs.region ?? inputs.ambientRegion;
  const asked = { ...inputs, region, sessionPolicy: sessionPolicyOf(inputs) };
  const session = await openSession(asked, identity, caller, core.setSecret);
  log.line(session.description);
  return session;
}

function sessionPolicyOf(inputs: Inputs): string | undefined {
  if (inputs.inlineSessionPolicy === 'none') return undefined;
  if (inputs.inlineSessionPolicy !== 'auto') return inputs.inlineSessionPolicy;
  const policy = permissionPolicy(neededActions(inputs), inputs.destination, partitionOf(inputs.role));
  return JSON.stringify(policy);
}
