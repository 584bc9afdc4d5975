import type { Capabilities } from '../../core/capabilities.ts';
import { missingCapabilities } from '../../core/capabilities.ts';
import { breadthFindings, type Exposure, exposureFindings, type Finding, info, warning } from '../../core/findings.ts';
import type { Destination } from '../../core/key.ts';
import type { Check } from '../../core/model.ts';
import { objectsArn } from '../../core/policy.ts';
import type { ProbeForm } from '../../core/probe-form.ts';
import type { First } from './look.ts';
import type { ProbeTarget } from './probe.ts';
import type { Roundtrip } from './roundtrip.ts';

/** What a probe came to, beside its checks. */
export interface Found {
  readonly form: ProbeForm;
  readonly why: string;
  readonly leftovers: readonly string[];
  /** Who can read an object of the site, and the manifest. */
  readonly site: Exposure;
  readonly manifest: Exposure;
  readonly checks: readonly Check[];
  readonly capabilities: Capabilities;
}

const FORMS: Record<ProbeForm, string> = {
  full: 'An object was written, read back and removed',
  'no-residue': 'Nothing was written',
};
const LEFTOVER = 'Delete it by hand; a lifecycle rule with AbortIncompleteMultipartUpload takes open uploads.';
const OBJECT_LOCK =
  'The bucket has Object Lock: what a deploy overwrites or deletes stays as a version until its retention ends.';

/** What is worth knowing, and fails nothing. */
export function findingsOf(target: ProbeTarget, first: First, round: Roundtrip | undefined, found: Found): Finding[] {
  const { thorough, destination, partition } = target;
  const { form, why, leftovers, site, manifest, checks, capabilities } = found;
  return [
    ...(thorough && first.written !== undefined
      ? [info('probe-form', FORMS[form] + (why === 'as asked' ? '.' : `: ${why}.`))]
      : []),
    ...leftovers.map((leftover) => warning('leftover', `The probe could not take back ${leftover}.`, LEFTOVER)),
    ...storedOtherwise(round),
    ...(first.ownerIgnored ? [warning('owner-ignored', 'The store does not look at expected-bucket-owner.')] : []),
    ...withoutWanted(checks),
    ...(first.settings?.objectLock ? [info('object-lock', OBJECT_LOCK)] : []),
    ...(first.breadth === undefined ? [] : breadthFindings(first.breadth, destination.prefix)),
    ...(thorough ? exposureFindings(site, manifest, objectsArn(manifestScope(target), partition)) : []),
    ...(thorough ? missingCapabilities(capabilities).map((line) => info('missing-capability', `No ${line}.`)) : []),
  ];
}

function manifestScope({ destination }: ProbeTarget): Destination {
  return { ...destination, prefix: `${destination.prefix}.s3-deploy` as `${string}/` };
}

function storedOtherwise(round: Roundtrip | undefined): Finding[] {
  return (round?.differences ?? []).map((line) =>
    warning('stored-otherwise', `The store keeps other headers: ${line}.`),
  );
}

/** What a deploy does without the permissions that it only makes use of. */
function withoutWanted(checks: readonly Check[]): Finding[] {
  const denied = new Set(checks.filter((one) => !one.required && one.result === 'denied').map(({ action }) => action));
  const findings: Finding[] = [];
  if (denied.has('s3:ListBucket')) findings.push(info('append-only', WITHOUT_LIST));
  if (denied.has('s3:GetObject')) findings.push(info('append-only', WITHOUT_GET));
  if (denied.has('s3:AbortMultipartUpload')) findings.push(info('cannot-abort', WITHOUT_ABORT));
  return findings;
}

const WITHOUT_LIST =
  'Without s3:ListBucket nothing is compared and nothing can be deleted: each file is put on the condition that it is not there yet.';
const WITHOUT_GET = 'Without s3:GetObject there is no manifest to read: headers that changed are not seen.';
const WITHOUT_ABORT =
  'Without s3:AbortMultipartUpload the parts of an upload that fails may stay: a lifecycle rule with AbortIncompleteMultipartUpload takes them.';
