import type { GetObjectCommandOutput, S3Client } from '@aws-sdk/client-s3';
import type { Capabilities } from '../../core/capabilities.ts';
import type { Exposure, Finding } from '../../core/findings.ts';
import { type Destination, manifestKey } from '../../core/key.ts';
import type { Check, StorageOptions } from '../../core/model.ts';
import type { Needs } from '../../core/needs.ts';
import type { KmsKey, Partition } from '../../core/policy.ts';
import { type ProbeInput, probeForm } from '../../core/probe-form.ts';
import type { Caller } from '../caller.ts';
import type { CloudFront } from '../cloudfront.ts';
import type { Page } from '../listing.ts';
import { checksOf } from './checks.ts';
import { findFeatures } from './features.ts';
import { findingsOf } from './findings.ts';
import { type First, look, together, when } from './look.ts';
import { explainBareDenial } from './ownership.ts';
import { Prober } from './prober.ts';
import { type Roundtrip, roundtrip } from './roundtrip.ts';
import { exists, exposureOf } from './surroundings.ts';
import type { WriteHeaders } from './writing.ts';

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
  /** The ARN of the CloudFront distribution that is told of changes. */
  readonly distribution: string | undefined;
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
  /** The first page of what is below the prefix. */
  readonly firstPage: () => Promise<Page>;
  /** Reads the manifest ahead of the plan; absent where there will be none, or none that looks into it. */
  readonly readManifest: ((key: string) => Promise<GetObjectCommandOutput>) | undefined;
  /** Does not say whom the bucket should belong to. */
  readonly unowned: () => S3Client;
  /** Says that it should belong to nobody. */
  readonly nobodys: () => S3Client;
  readonly anonymous: () => S3Client;
  /** What is in front of the store. */
  readonly cloudfront: CloudFront | undefined;
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
 * | get               | GetObject of the manifest, where a plan wants it | 200, 206, 416, 404     | 403    |
 * |                   | else of a byte of what is listed, or of nothing  |                        |        |
 * | put, ACL, tagging | on AWS a multipart start, aborted                | 200                    | 403    |
 * |                   | elsewhere PutObject with a Content-MD5 that lies | 400 BadDigest          | 403    |
 * | KMS               | the same, and a part of one byte                 | 200                    | 403    |
 * | abort multipart   | of what was started; elsewhere of nothing        | 204, 404               | 403    |
 * | delete            | DeleteObject of a missing key, `If-Match: *`     | 404, 412, 204          | 403    |
 * | invalidate        | CreateInvalidation of a batch that is wrong      | (400 proves nothing)   | 403    |
 * |                   | GetInvalidation of none                          | 404                    | 403    |
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
  const key = first.listed.object?.key;
  const site =
    second?.exposure ??
    (target.thorough && key !== undefined
      ? await exposureOf(caller, clients.anonymous(), target.destination.bucket, key)
      : 'missing');
  const manifest = target.thorough ? await exposureOfManifest(prober, target, clients, caller) : 'unknown';

  const checks = checksOf(target, first, second?.round);
  const capabilities = { ...target.known, ...first.capabilities, ...second?.capabilities };
  const findings = findingsOf(target, first, second?.round, {
    ...{ form, why, site, manifest, checks, capabilities },
    leftovers: prober.leftovers,
  });
  return { checks, findings, capabilities, versioned: first.settings?.versioned ?? first.read?.versioned };
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
