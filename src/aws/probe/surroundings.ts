import {
  GetObjectCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { Breadth, Exposure } from '../../core/findings.ts';
import type { Caller } from '../caller.ts';
import { ServiceError } from '../failure.ts';
import type { Prober } from './prober.ts';

/** Other buckets that a look goes into: one that may be listed is enough to know. */
const OTHERS = 3;

/** Looks how much further than the prefix these credentials see. Only ever lists one key at a time. */
export async function lookAround(prober: Prober, unowned: S3Client): Promise<Breadth> {
  const { bucket, prefix } = prober.destination;
  const [outsidePrefix, names] = await Promise.all([
    prefix === '' ? false : mayList(prober, prober.s3, bucket),
    otherBuckets(prober, unowned),
  ]);
  const some = (names ?? []).slice(0, OTHERS);
  const listed = await Promise.all(some.map((name) => mayList(prober, unowned, name)));
  return { outsidePrefix, buckets: names, listed: some.find((_, index) => listed[index]) };
}

async function mayList(prober: Prober, s3: S3Client, Bucket: string): Promise<boolean> {
  const command = new ListObjectsV2Command({ Bucket, MaxKeys: 1 });
  try {
    return (await prober.try('ListObjectsV2', (options) => s3.send(command, options))).answer?.Name !== undefined;
  } catch {
    // A bucket of another region, or one that is gone by now: nothing to be seen there from here.
    return false;
  }
}

async function otherBuckets(prober: Prober, s3: S3Client): Promise<string[] | undefined> {
  try {
    const trial = await prober.try('ListBuckets', (options) => s3.send(new ListBucketsCommand({}), options));
    return trial.answer?.Buckets?.map(({ Name = '' }) => Name).filter((name) => name !== prober.destination.bucket);
  } catch {
    return undefined;
  }
}

/** Whether anybody can read a key. A missing key is denied to those who may not list, so it has to be there. */
export async function exposureOf(caller: Caller, anonymous: S3Client, Bucket: string, Key: string): Promise<Exposure> {
  const command = new GetObjectCommand({ Bucket, Key, Range: 'bytes=0-0' });
  try {
    const answer = await caller.call('GetObject', (options) => anonymous.send(command, options), { budgetMs: 1000 });
    await answer.Body?.transformToByteArray();
    return 'public';
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    const { code, status } = error.failure;
    if (code === 'InvalidRange') return 'public';
    return status === 401 || status === 403 ? 'private' : 'unknown';
  }
}

/** Whether a key is there; undefined where that may not be known. */
export async function exists(prober: Prober, Key: string): Promise<boolean | undefined> {
  const command = new HeadObjectCommand({ ...prober.bucket, Key });
  const trial = await prober.try('HeadObject', (options) => prober.s3.send(command, options), {
    allowing: ['NotFound', 'NoSuchKey'],
  });
  return trial.answer !== undefined ? true : trial.verdict.result === 'allowed' ? false : undefined;
}
