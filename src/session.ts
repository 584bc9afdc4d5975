import { lstatSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import type { Caller } from './aws/caller.ts';
import { openSession, type WebIdentity } from './aws/credentials.ts';
import type { Session } from './aws/session.ts';
import { accountOf, distributionArn, kmsKeyOf, needsOf, partitionOf, REMOVAL, sessionPolicy } from './core/policy.ts';
import { DeployError } from './errors.ts';
import { isForkPullRequest } from './github/event.ts';
import { claimsOf, fetchToken, noTokenService, tokenServiceOf } from './github/oidc.ts';
import type { Inputs } from './inputs.ts';
import type { World } from './main.ts';
import { log } from './report/log.ts';
import { mask } from './report/masks.ts';
import type { Report } from './report/report.ts';

/** Opens the session that the inputs ask for, an assumed role narrowed to what they need. */
export async function signIn(inputs: Inputs, world: World, caller: Caller, report: Report): Promise<Session> {
  refuseLinkedToken(world.env);
  const account = accountOf(inputs.role);
  if (inputs.maskAccount && account !== undefined) mask(account);
  const session = await openSession(
    {
      ...inputs,
      sessionPolicy: sessionPolicyOf(inputs),
      sessionPolicyIsOptional: inputs.inlineSessionPolicy === 'auto',
      sts: { region: inputs.region ?? inputs.ambientRegion, endpoint: inputs.stsEndpoint },
      // A store of its own has no AWS STS that would know its keys.
      hasSts: inputs.endpoint === undefined || inputs.stsEndpoint !== undefined,
    },
    {
      identity: () => webIdentity(inputs, world.env),
      caller,
      pace: world.pace,
      mask,
      warn: log.warn,
    },
  );
  if (inputs.maskAccount && session.identity !== undefined) mask(session.identity.account);
  const { description, identity } = session;
  log.line(identity === undefined || inputs.role !== undefined ? description : `${description}: ${identity.arn}`);
  if (inputs.keys?.accessKeyId.startsWith('AKIA') && inputs.endpoint === undefined) log.notice(LONG_LIVED);
  report.signedIn(inputs.maskAccount ? undefined : session.identity);
  return session;
}

const LONG_LIVED =
  'These are long-lived access keys. A role through OIDC needs no secret that could leak or expire: see "Quick start" in the README.';

/** The job's identity at GitHub. @throws DeployError OIDC_UNAVAILABLE for a job without one. */
export async function webIdentity(inputs: Inputs, env: NodeJS.ProcessEnv): Promise<WebIdentity> {
  const service = tokenServiceOf(env, mask);
  if (service === undefined) throw noTokenService(isForkPullRequest(env));
  return { claimsOf, fetchToken: () => fetchToken(service, inputs.audience, mask) };
}

/**
 * The default chain reads the file that AWS_WEB_IDENTITY_TOKEN_FILE names and sends it to STS. In the checkout it could be
 * a link to any file of the runner; elsewhere links are usual (Kubernetes mounts its tokens so).
 */
function refuseLinkedToken(env: NodeJS.ProcessEnv): void {
  const { AWS_WEB_IDENTITY_TOKEN_FILE: file, GITHUB_WORKSPACE: workspace } = env;
  if (!file || !workspace || !resolve(file).startsWith(resolve(workspace) + sep)) return;
  if (!lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink()) return;
  throw new DeployError('CREDENTIALS_INVALID', 'AWS_WEB_IDENTITY_TOKEN_FILE names a symbolic link in the checkout.', {
    hint: 'Name the token file itself, outside the workspace.',
  });
}

/**
 * With `auto`, a session may do what the inputs need and make use of. A probe may look around as well: it is to tell how
 * wide the role is, and a session policy grants nothing that the role lacks.
 */
function sessionPolicyOf(inputs: Inputs): string | undefined {
  if (inputs.inlineSessionPolicy === 'none') return undefined;
  if (inputs.inlineSessionPolicy !== 'auto') return inputs.inlineSessionPolicy;
  const { destination, mode, probe, region, role, storage } = inputs;
  const partition = partitionOf(role);
  const { required, wanted } = needsOf(inputs);
  const writes = required.includes('s3:PutObject') && (probe === 'full' || (mode === 'probe' && probe === 'auto'));
  const account = accountOf(role);
  const key = storage.kmsKeyId === undefined ? undefined : kmsKeyOf(storage.kmsKeyId, { partition, region, account });
  return sessionPolicy([...required, ...wanted], destination, partition, {
    key,
    ...(inputs.distribution && { distribution: distributionArn(inputs.distribution, { partition, account }) }),
    looks: mode === 'probe',
    probeObjects: writes ? REMOVAL : undefined,
  });
}
