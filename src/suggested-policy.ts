import type { Check } from './core/model.ts';
import {
  type Action,
  distributionArn,
  type KeyPlace,
  kmsKeyOf,
  neededActions,
  type Policy,
  permissionPolicy,
} from './core/policy.ts';
import type { Inputs } from './inputs.ts';

/** What is known of where the bucket lies. */
export interface Place extends Pick<KeyPlace, 'partition'> {
  readonly region?: string | undefined;
  readonly account?: string | undefined;
  /** Whether the bucket keeps versions. */
  readonly versioned?: boolean | undefined;
  /** What the probe found out: a key that the bucket encrypts with, say, which no input names. */
  readonly checks?: readonly Check[];
}

/** The smallest policy for exactly these inputs, or for some of the actions that they need. */
export function suggestedPolicy(inputs: Inputs, place: Place, some?: readonly string[]): Policy {
  const { storage, destination, probe } = inputs;
  const { partition, region = inputs.region, account, versioned, checks = [] } = place;
  const discovered = checks.filter(({ action, required }) => required && action.startsWith('kms:'));
  const all = new Set([...neededActions(inputs), ...discovered.map(({ action }) => action as Action)]);
  const actions = [...all].filter((action) => some === undefined || some.includes(action));
  const named = discovered.map(({ resource }) => ({ arn: resource }))[0];
  const key = storage.kmsKeyId === undefined ? named : kmsKeyOf(storage.kmsKeyId, { partition, region, account });
  const removes = probe === 'full' && all.has('s3:PutObject') && !all.has('s3:DeleteObject');
  const removal = removes ? ['s3:DeleteObject', ...(versioned ? ['s3:DeleteObjectVersion'] : [])] : [];
  return permissionPolicy(actions, destination, partition, {
    key,
    ...(inputs.distribution && { distribution: distributionArn(inputs.distribution, { partition, account }) }),
    probeObjects: removal.filter((action) => some === undefined || some.includes(action)),
  });
}
