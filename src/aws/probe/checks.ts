import { probeFolder } from '../../core/key.ts';
import type { Check } from '../../core/model.ts';
import type { Action } from '../../core/needs.ts';
import { objectsArn, resourceFor } from '../../core/policy.ts';
import type { First } from './look.ts';
import type { ProbeTarget } from './probe.ts';
import { notReached, type Verdict } from './prober.ts';
import type { Roundtrip } from './roundtrip.ts';

/** One check per action, the strongest proof of each. */
export function checksOf(target: ProbeTarget, first: First, round: Roundtrip | undefined): Check[] {
  const { needs, destination, partition, kmsKey, distribution } = target;
  const verdicts = new Map<Action, Verdict>([...(first.written?.verdicts ?? []), ...first.also]);
  const { read, deletion } = first;
  verdicts.set('s3:ListBucket', first.listed.verdict);
  if (read !== undefined) verdicts.set('s3:GetObject', read.verdict);
  if (deletion !== undefined) verdicts.set('s3:DeleteObject', deletion);
  if (read?.decrypt !== undefined) verdicts.set('kms:Decrypt', read.decrypt.verdict);
  for (const [action, verdict] of round === undefined ? [] : proofsOf(round, verdicts)) verdicts.set(action, verdict);

  const check = (
    action: Action,
    required: boolean,
    resource = resourceFor(action, destination, partition, { key: kmsKey, distribution }),
  ) => ({
    action,
    resource,
    required,
    ...(verdicts.get(action) ?? notReached(action.startsWith('kms:') ? 'kms:GenerateDataKey' : 's3:PutObject')),
  });
  const asked = [...needs.required, ...needs.wanted];
  const keyNamed = first.written?.kmsKey ?? read?.decrypt?.resource;
  const discovered = (['kms:GenerateDataKey', 'kms:Decrypt'] as const).filter(
    (action) => !asked.includes(action) && verdicts.get(action)?.result === 'denied',
  );
  const removal = target.asked === 'full' && asked.includes('s3:PutObject') && !asked.includes('s3:DeleteObject');
  return [
    ...needs.required.map((action) => check(action, true)),
    ...discovered.map((action) => check(action, true, keyNamed)),
    ...(removal ? [check('s3:DeleteObject', true, probeArn(target))] : []),
    ...needs.wanted.map((action) => check(action, false)),
  ];
}

function probeArn({ destination, partition }: ProbeTarget): string {
  return objectsArn({ ...destination, prefix: probeFolder(destination.prefix) }, partition);
}

/** What the whole way of an object has proved of each action. */
function proofsOf({ put, read, removed }: Roundtrip, before: ReadonlyMap<Action, Verdict>): Map<Action, Verdict> {
  const proofs = new Map<Action, Verdict>([['s3:PutObject', put]]);
  if (put.result === 'allowed') {
    for (const action of ['s3:PutObjectAcl', 's3:PutObjectTagging', 'kms:GenerateDataKey'] as const)
      if (before.has(action)) proofs.set(action, put);
  }
  if (read?.verdict.result === 'allowed') {
    proofs.set('s3:GetObject', { ...read.verdict, why: 'the same content came back' });
    if (before.has('kms:Decrypt')) proofs.set('kms:Decrypt', read.verdict);
  } else if (read?.denial !== undefined) {
    proofs.set(read.denial.action?.startsWith('kms:') ? 'kms:Decrypt' : 's3:GetObject', read.verdict);
  }
  if (removed !== undefined && removed.result !== 'unknown') proofs.set('s3:DeleteObject', removed);
  return proofs;
}
