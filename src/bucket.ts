import type { Caller } from './aws/clients.ts';
import { createS3 } from './aws/clients.ts';
import { S3ObjectStore } from './aws/object-store.ts';
import { probe } from './aws/probe.ts';
import { findRegion } from './aws/region.ts';
import type { Session } from './aws/session.ts';
import type { Check, ObjectStore } from './core/model.ts';
import { type Action, neededActions, partitionOf, permissionPolicy } from './core/policy.ts';
import { siteUrlOf } from './core/site-url.ts';
import { DeployError } from './errors.ts';
import type { Inputs } from './inputs.ts';
import { log } from './report/log.ts';
import type { Report } from './report/report.ts';

/**
 * Finds the bucket, proves that it grants what these inputs need under exactly this prefix, and opens it.
 * @throws DeployError PERMISSION_DENIED with the statement to paste, and whatever `findRegion` and `probe` throw.
 */
export async function openBucket(
  inputs: Inputs,
  session: Session,
  caller: Caller,
  report: Report,
): Promise<ObjectStore> {
  const { destination, endpoint, forcePathStyle } = inputs;
  const region = await findRegion(inputs, session.credentials, caller);
  const partition = partitionOf(region);
  report.opened(region, siteUrlOf({ ...inputs, region }));
  log.line(
    `s3://${destination.bucket}/${destination.prefix} in ${region}${endpoint === undefined ? '' : ` at ${endpoint}`}`,
  );

  const s3 = createS3({ region, endpoint, forcePathStyle }, session.credentials, inputs.concurrency + 8, caller.clock);
  const isAws = endpoint === undefined;
  const actions = neededActions(inputs);
  const policy = (needed: readonly Action[]) => permissionPolicy(needed, destination, partition);
  const checks = await probe(s3, caller, { destination, partition, isAws, runId: crypto.randomUUID() }, actions);
  const denied = checks.filter(({ result }) => result === 'denied');
  report.checked(
    checks,
    denied.map(({ action }) => action),
    policy(actions),
  );
  if (denied.length > 0)
    throw permissionDenied(denied, policy(denied.map(({ action }) => action as Action)), session.holder);

  return new S3ObjectStore(s3, caller, {
    bucket: destination.bucket,
    isAws,
    sizes: inputs.sizes,
    storage: inputs.storage,
  });
}

function permissionDenied(
  denied: readonly Check[],
  policy: { Statement: readonly object[] },
  who: string,
): DeployError {
  const what = denied.map(({ action, resource }) => `${action} on ${resource}`).join(', ');
  const because = denied.map(({ why }) => why).find((why) => why !== undefined);
  return new DeployError('PERMISSION_DENIED', `Denied: ${what}${because === undefined ? '' : ` (${because})`}.`, {
    hint: [
      `Add this to the permission policy of ${who}:`,
      JSON.stringify(policy.Statement, null, 2),
      'If it is there already, look for a Deny in the bucket policy, a permissions boundary or the session policy.',
    ].join('\n'),
  });
}
