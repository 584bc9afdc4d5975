import { accountOf, partitionOf } from './core/policy.ts';
import { describeClaims, trustPolicy } from './core/trust.ts';
import type { Inputs } from './inputs.ts';
import { log } from './report/log.ts';
import { webIdentity } from './session.ts';
import { suggestedPolicy } from './suggested-policy.ts';

/** Prints what a new set-up needs to paste: the permission policy, and the trust policy that matches this very job. */
export async function showPolicies(inputs: Inputs, env: NodeJS.ProcessEnv): Promise<void> {
  const partition = partitionOf(inputs.role ?? inputs.region);
  const account = inputs.maskAccount ? undefined : accountOf(inputs.role);
  log.line('The permission policy for these inputs:');
  log.block(JSON.stringify(suggestedPolicy(inputs, { partition, account }), null, 2));
  if (env.ACTIONS_ID_TOKEN_REQUEST_URL === undefined) {
    log.line('This job has no OIDC token: with permissions: id-token: write the trust policy for it is shown as well.');
    return;
  }
  const github = await webIdentity(inputs, env);
  const claims = github.claimsOf(await github.fetchToken());
  log.block(["This job's token says:", ...describeClaims(claims).map((line) => `    ${line}`)].join('\n'));
  log.line('The trust policy that matches it:');
  log.block(JSON.stringify(trustPolicy(claims, inputs.role), null, 2));
  log.line('Or pinned to the repository by its id, so that it survives a new name:');
  log.block(JSON.stringify(trustPolicy(claims, inputs.role, true), null, 2));
}
