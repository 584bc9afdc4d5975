import { GetObjectCommand, type GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { manifestKey } from '../../core/key.ts';
import type { RemoteObject } from '../../core/model.ts';
import type { Page } from '../listing.ts';
import type { ProbeClients, ProbeTarget } from './probe.ts';
import { type Prober, type Trial, type Verdict, whose } from './prober.ts';

/** What a listing below the prefix showed. */
export interface Listed {
  readonly verdict: Verdict;
  /** An object below the prefix. */
  readonly object: RemoteObject | undefined;
  /** Whether the listing was url-encoded, as asked. */
  readonly urlEncoded: boolean | undefined;
  /** A denial that says nothing of itself, as AWS has them for buckets of others. */
  readonly bare: boolean;
}

/** Lists the first objects below the very prefix, as the deploy does. */
export async function list(prober: Prober, firstPage: () => Promise<Page>): Promise<Listed> {
  const { verdict, answer, denial } = await prober.judge('ListObjectsV2', firstPage);
  return {
    verdict,
    // A folder marker may be there that nobody can read; any other object says whether reading is allowed.
    object: answer?.objects.find(({ key }) => !key.endsWith('/')),
    urlEncoded: answer?.encoded,
    bare: denial !== undefined && denial.action === undefined,
  };
}

/** What reading one byte showed: of the permission, of the key that encrypts, and of the bucket. */
export interface ReadByte {
  readonly verdict: Verdict;
  /** KMS stood in the way: the object may be read, its key may not be used. */
  readonly decrypt?: { readonly verdict: Verdict; readonly resource: string | undefined };
  readonly versioned: boolean | undefined;
  readonly objectLock: boolean | undefined;
}

/** An archived object may be read, though not now; an empty one has no first byte. */
const ALLOWING = ['NoSuchKey', 'NotFound', 'InvalidRange', 'InvalidObjectState'];

/** Reads the first byte of a listed object, or of one that is not there. */
export async function readByte(prober: Prober, listedKey: string | undefined, isAws: boolean): Promise<ReadByte> {
  const Key = listedKey ?? prober.ownKey('read');
  const firstByte = new GetObjectCommand({ ...prober.bucket, Key, Range: 'bytes=0-0' });
  const trial = await prober.try('GetObject', (options) => prober.s3.send(firstByte, options), { allowing: ALLOWING });
  await trial.answer?.Body?.transformToByteArray();
  return readingOf(trial, listedKey, isAws);
}

/**
 * Reads the manifest for the plan, before anybody knows whether it is there: the plan will not have to wait for it. Undefined
 * where no plan wants it.
 */
export async function readManifest(
  prober: Prober,
  { destination, isAws }: Pick<ProbeTarget, 'destination' | 'isAws'>,
  { readManifest: read }: Pick<ProbeClients, 'readManifest'>,
): Promise<ReadByte | undefined> {
  if (read === undefined) return undefined;
  const trial = await prober.judge('GetObject', () => read(manifestKey(destination.prefix)), ALLOWING);
  return readingOf(trial, undefined, isAws);
}

function readingOf(trial: Trial<GetObjectCommandOutput>, listedKey: string | undefined, isAws: boolean): ReadByte {
  const { answer, failure } = trial;
  const version = answer?.VersionId;
  return {
    ...(failure?.status === 404 && !isAws ? { verdict: undecided(trial.verdict) } : judgeRead(trial, listedKey)),
    // S3 answers the version of an object wherever versioning ever was; of other stores nobody knows.
    versioned: version !== undefined ? true : isAws && answer !== undefined ? false : undefined,
    objectLock: answer?.ObjectLockMode === undefined ? undefined : true,
  };
}

/** AWS looks at the permission before it looks for the key; Ceph says 404 to whoever may list. */
function undecided(verdict: Verdict): Verdict {
  return { ...verdict, result: 'unknown', why: 'nothing is there yet to read' };
}

/**
 * A missing key is denied for want of s3:ListBucket only to those who may read. Where the listing is limited to a prefix,
 * it is denied as well, and not every store says why.
 */
function judgeRead(
  { verdict, denial }: Trial<unknown>,
  listedKey: string | undefined,
): Pick<ReadByte, 'verdict' | 'decrypt'> {
  if (denial === undefined) return { verdict };
  if (denial.action === 's3:ListBucket') {
    const { deniedBy: _, ...rest } = verdict;
    return {
      verdict: { ...rest, result: 'allowed', why: 'only s3:ListBucket was denied, to say that the key is missing' },
    };
  }
  if (denial.action?.startsWith('kms:')) {
    const { deniedBy: _, ...rest } = verdict;
    return {
      verdict: { ...rest, result: 'allowed', why: `only ${denial.action} was denied` },
      decrypt: { verdict, resource: denial.resource },
    };
  }
  if (denial.action === undefined && listedKey === undefined) {
    const why = 'nothing is there yet to read, and the store does not say who denied';
    return { verdict: { ...verdict, result: 'unknown', why } };
  }
  return { verdict: { ...verdict, ...whose(denial) } };
}
