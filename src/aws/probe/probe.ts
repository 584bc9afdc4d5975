import type { S3Client } from '@aws-sdk/client-s3';
import { type Capabilities, missingCapabilities } from '../../core/capabilities.ts';
import { breadthFindings, type Exposure, exposureFindings, type Finding, info, warning } from '../../core/findings.ts';
import { type Destination, manifestKey } from '../../core/key.ts';
import type { Check, StorageOptions } from '../../core/model.ts';
import type { Action, Needs } from '../../core/needs.ts';
import { type KmsKey, objectsArn, type Partition } from '../../core/policy.ts';
import { type ProbeForm, type ProbeInput, probeForm } from '../../core/probe-form.ts';
import type { Caller } from '../clients.ts';
import { checksOf } from './checks.ts';
import { findFeatures } from './features.ts';
import { explainBareDenial, ignoresOwner } from './ownership.ts';
import { Prober, type Verdict } from './prober.ts';
import { list, readByte } from './reading.ts';
import { abortNothing, deleteNothing, deleteNoVersion } from './removing.ts';
import { type Roundtrip, roundtrip } from './roundtrip.ts';
import { readSettings, type Settings } from './settings.ts';
import { exists, exposureOf, lookAround } from './surroundings.ts';
import { judgeWrite, lyingWrite, multipartWrite, type WriteHeaders, type Written } from './writing.ts';

/** What a probe is about. */
export interface ProbeTarget {
  readonly destination: Destination;
  readonly partition: Partition;
  readonly isAws: boolean;
  readonly needs: Needs;
  readonly storage: StorageOptions;
  /** The headers that a page of a deploy is put with. */
  readonly headers: WriteHeaders;
  readonly kmsKey: KmsKey | undefined;
  readonly expectedBucketOwner: string | undefined;
  readonly asked: Exclude<ProbeInput, 'off'>;
  readonly isPullRequest: boolean;
  /** Beyond what a deploy needs to know: how wide the credentials are, who can read the site, what the store can do. */
  readonly thorough: boolean;
  readonly known: Capabilities;
  /** Makes the probe's keys its own: no other run touches them. */
  readonly runId: string;
}

/** The clients of a probe; each reaches the same store. */
export interface ProbeClients {
  readonly s3: S3Client;
  /** Does not say whom the bucket should belong to. */
  readonly unowned: () => S3Client;
  /** Says that it should belong to nobody. */
  readonly nobodys: () => S3Client;
  readonly anonymous: () => S3Client;
}

export interface ProbeOutcome {
  readonly checks: readonly Check[];
  readonly findings: readonly Finding[];
  readonly capabilities: Capabilities;
  /** Whether the bucket keeps versions, where that is known. */
  readonly versioned: boolean | undefined;
}

/**
 * Tries each action under the very prefix of the deploy, first with calls that leave no object, version or event behind:
 *
 * | action            | call                                             | allowed                | denied |
 * | ----------------- | ------------------------------------------------ | ---------------------- | ------ |
 * | list              | ListObjectsV2 with the prefix                    | 200                    | 403    |
 * | get               | GetObject of one byte of a listed object, or of  | 200, 206, 416, 404     | 403    |
 * |                   | a missing one                                    |                        |        |
 * | put, ACL, tagging | on AWS a multipart start, aborted                | 200                    | 403    |
 * |                   | elsewhere PutObject with a Content-MD5 that lies | 400 BadDigest          | 403    |
 * | KMS               | the same, and a part of one byte                 | 200                    | 403    |
 * | abort multipart   | of what was started; elsewhere of nothing        | 204, 404               | 403    |
 * | delete            | DeleteObject of a missing key, `If-Match: *`     | 404, 412, 204          | 403    |
 *
 * On stores that let nobody but holders of s3:AbortMultipartUpload abort (Ceph), a multipart start would stay behind.
 * Then, in the form `full`, an object goes the whole way.
 * @param onLeftover hears at once of what could not be taken back.
 * @throws DeployError when the bucket is missing, of somebody else or in another region, the keys are wrong, the store is
 * silent, or it refuses what an input asks for.
 */
export async function probe(
  target: ProbeTarget,
  clients: ProbeClients,
  caller: Caller,
  onLeftover: (what: string) => void,
): Promise<ProbeOutcome> {
  const prober = new Prober(clients.s3, caller, target, onLeftover);
  const first = await look(prober, target, clients);
  if (first.listed.bare && target.isAws) await explainBareDenial(prober, clients.unowned(), target.expectedBucketOwner);

  const { form, why } = formOf(target, first);
  const second = form === 'full' ? await write(prober, target, clients, caller, first) : undefined;
  const key = first.listed.key;
  const site =
    second?.exposure ??
    (target.thorough && key !== undefined
      ? await exposureOf(caller, clients.anonymous(), target.destination.bucket, key)
      : 'missing');
  const manifest = target.thorough ? await exposureOfManifest(prober, target, clients, caller) : 'unknown';

  const checks = checksOf(target, first, second?.round);
  const capabilities = { ...target.known, ...first.capabilities, ...second?.capabilities };
  const findings = [
    ...(target.thorough && first.written !== undefined
      ? [info('probe-form', FORMS[form] + (why === 'as asked' ? '.' : `: ${why}.`))]
      : []),
    ...prober.leftovers.map((leftover) => warning('leftover', `The probe could not take back ${leftover}.`, LEFTOVER)),
    ...storedOtherwise(second?.round),
    ...(first.ownerIgnored ? [warning('owner-ignored', 'The store does not look at expected-bucket-owner.')] : []),
    ...withoutWanted(checks),
    ...(first.settings?.objectLock ? [info('object-lock', OBJECT_LOCK)] : []),
    ...(first.breadth === undefined ? [] : breadthFindings(first.breadth, target.destination.prefix)),
    ...(target.thorough ? exposureFindings(site, manifest, objectsArn(manifestScope(target), target.partition)) : []),
    ...(target.thorough
      ? missingCapabilities(capabilities).map((line) => info('missing-capability', `No ${line}.`))
      : []),
  ];
  return { checks, findings, capabilities, versioned: first.settings?.versioned ?? first.read?.versioned };
}

const FORMS: Record<ProbeForm, string> = {
  full: 'An object was written, read back and removed',
  'no-residue': 'Nothing was written',
};
const LEFTOVER = 'Delete it by hand; a lifecycle rule with AbortIncompleteMultipartUpload takes open uploads.';
const OBJECT_LOCK =
  'The bucket has Object Lock: what a deploy overwrites or deletes stays as a version until its retention ends.';

/** What the calls that leave nothing have shown. */
export interface First {
  readonly listed: Awaited<ReturnType<typeof list>>;
  readonly read: Awaited<ReturnType<typeof readByte>> | undefined;
  readonly written: Written | undefined;
  /** Of aborting and decrypting. */
  readonly also: ReadonlyMap<Action, Verdict>;
  readonly deletion: Verdict | undefined;
  readonly versionDeletion: Verdict | undefined;
  readonly settings: Settings | undefined;
  readonly breadth: Awaited<ReturnType<typeof lookAround>> | undefined;
  readonly ownerIgnored: boolean;
  readonly capabilities: Partial<Capabilities>;
}

/** Everything that needs nothing else goes at once. */
async function look(prober: Prober, target: ProbeTarget, clients: ProbeClients): Promise<First> {
  const actions = [...target.needs.required, ...target.needs.wanted];
  const needs = (action: Action) => actions.includes(action);
  const writes = needs('s3:PutObject');
  const mayWrite = writes && target.asked !== 'no-residue';
  const also = new Map<Action, Verdict>();
  let contentMd5: boolean | undefined;
  const tryWrite = target.isAws
    ? multipartWrite(prober, target.storage, also)
    : lyingWrite(prober, target.storage, (stored) => {
        contentMd5 = !stored;
      });
  const listing = list(prober);

  const [listed, read, written, abortion, deletion, versionDeletion, settings, breadth, ownerIgnored] = await together([
    listing,
    when(needs('s3:GetObject'), async () => readByte(prober, (await listing).key, target.isAws)),
    when(writes, () => judgeWrite(tryWrite, target.headers)),
    when(needs('s3:AbortMultipartUpload') && !target.isAws, () => abortNothing(prober)),
    when(needs('s3:DeleteObject') || mayWrite, () => deleteNothing(prober)),
    when(mayWrite, () => deleteNoVersion(prober)),
    when(target.thorough || mayWrite, () => readSettings(prober)),
    when(target.thorough, () => lookAround(prober, clients.unowned())),
    when(!target.isAws && target.expectedBucketOwner !== undefined, () => ignoresOwner(prober, clients.nobodys())),
  ]);
  if (abortion !== undefined) also.set('s3:AbortMultipartUpload', abortion.verdict);
  return {
    listed,
    read,
    written,
    also,
    deletion,
    versionDeletion,
    settings,
    breadth,
    ownerIgnored: ownerIgnored ?? false,
    capabilities: {
      ...(contentMd5 !== undefined && { contentMd5 }),
      ...(abortion?.multipart !== undefined && { multipart: abortion.multipart }),
      ...(listed.urlEncoded !== undefined && { urlEncodedListing: listed.urlEncoded }),
    },
  };
}

async function when<T>(wanted: boolean, work: () => Promise<T>): Promise<T | undefined> {
  return wanted ? work() : undefined;
}

/** Waits for all, also when one fails: another may have something to take back. */
async function together<T extends readonly Promise<unknown>[]>(
  work: readonly [...T],
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const settled = await Promise.allSettled(work);
  return settled.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  }) as never;
}

function formOf(target: ProbeTarget, first: First): ReturnType<typeof probeForm> {
  const { settings, read } = first;
  const put = first.written?.verdicts;
  return probeForm(target.asked, {
    isPullRequest: target.isPullRequest,
    mayPut: put !== undefined && [...put.values()].every(({ result }) => result === 'allowed'),
    mayDelete: first.deletion?.result === 'allowed',
    mayDeleteVersions: first.versionDeletion?.result === 'allowed',
    versioned: settings?.versioned ?? read?.versioned,
    objectLock: settings?.objectLock ?? read?.objectLock,
    notifies: settings?.notifies,
  });
}

interface Second {
  readonly round: Roundtrip;
  readonly exposure: Exposure | undefined;
  readonly capabilities: Partial<Capabilities>;
}

/** The object goes the whole way, and where the store is not AWS, another shows what that can do. */
async function write(
  prober: Prober,
  target: ProbeTarget,
  { anonymous }: ProbeClients,
  caller: Caller,
  first: First,
): Promise<Second> {
  let exposure: Exposure | undefined;
  const lookAt = async (key: string) => {
    if (target.thorough) exposure = await exposureOf(caller, anonymous(), target.destination.bucket, key);
  };
  const mayAbort = first.also.get('s3:AbortMultipartUpload')?.result === 'allowed';
  const [round, features] = await together([
    roundtrip(prober, target.headers, target.storage, lookAt),
    when(target.thorough && !target.isAws, () => findFeatures(prober, mayAbort)),
  ]);
  const batch = round.batchDelete === undefined || target.isAws ? {} : { batchDelete: round.batchDelete };
  return { round, exposure, capabilities: { ...features, ...batch } };
}

async function exposureOfManifest(
  prober: Prober,
  { destination }: ProbeTarget,
  { anonymous }: ProbeClients,
  caller: Caller,
): Promise<Exposure> {
  const key = manifestKey(destination.prefix);
  const [there, exposure] = await together([
    exists(prober, key),
    exposureOf(caller, anonymous(), destination.bucket, key),
  ]);
  if (exposure === 'public') return exposure;
  return there === false ? 'missing' : there === undefined ? 'unknown' : exposure;
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
