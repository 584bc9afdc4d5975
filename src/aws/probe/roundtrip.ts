import { createHash } from 'node:crypto';
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  ListObjectVersionsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { explain, misbehaved } from '../../core/explain.ts';
import type { StorageOptions } from '../../core/model.ts';
import type { Prober, Trial, Verdict } from './prober.ts';
import { throwIfInput, type WriteHeaders } from './writing.ts';

/** What an object that was put, read back and removed has shown. */
export interface Roundtrip {
  readonly put: Verdict;
  readonly read: Trial<GetObjectCommandOutput> | undefined;
  readonly removed: Verdict | undefined;
  /** What came back otherwise than it was put: `x-amz-server-side-encryption: AES256 → nothing`. */
  readonly differences: readonly string[];
  /** Whether DeleteObjects took the object; undefined where it was not tried. */
  readonly batchDelete: boolean | undefined;
}

/**
 * Puts an object as the deploy would, reads it back, compares, and removes it: whatever happens in between, also when
 * the job is cancelled. The PUT itself is finished first, or what it left could come after its removal.
 * @param while_ is told the key while the object is there.
 */
export async function roundtrip(
  prober: Prober,
  headers: WriteHeaders,
  storage: StorageOptions,
  while_: (key: string) => Promise<void>,
): Promise<Roundtrip> {
  const target = { ...prober.bucket, Key: prober.ownKey('object.html') };
  const content = Buffer.from('<!doctype html><title>s3-deploy probe</title>\n');
  const ContentMD5 = createHash('md5').update(content).digest('base64');
  const command = new PutObjectCommand({ ...target, ...headers, Body: content, ContentMD5 });
  let removed: Removal | undefined;
  let put: Trial<{ VersionId?: string | undefined; $metadata: object }> | undefined;
  let read: Trial<GetObjectCommandOutput> | undefined;
  let differences: string[] = [];
  let tries = 0;
  try {
    put = await prober.try(
      'PutObject',
      (options) => {
        tries++;
        return prober.s3.send(command, options);
      },
      { uncancelled: true },
    );
    if (put.failure !== undefined) throwIfInput(put.failure, storage);
    if (put.answer !== undefined) {
      [read] = await Promise.all([readBack(prober, target), while_(target.Key)]);
      if (read.answer !== undefined) differences = await compare(prober, headers, content, read.answer);
    }
  } finally {
    // A denial leaves nothing. Any other end, an answer that never came included, may have.
    if (put?.denial === undefined) removed = await remove(prober, target.Key, put?.answer?.VersionId, tries > 1);
  }
  return {
    put: put.verdict,
    read,
    removed: removed?.verdict,
    differences,
    batchDelete: removed?.batch,
  };
}

function readBack(prober: Prober, target: { Bucket: string; Key: string }): Promise<Trial<GetObjectCommandOutput>> {
  return prober.try('GetObject', (options) => prober.s3.send(new GetObjectCommand(target), options), {
    allowing: ['InvalidObjectState'],
  });
}

interface Removal {
  readonly verdict: Verdict;
  /** Whether DeleteObjects did it. */
  readonly batch: boolean | undefined;
}

/** Removes the object with the call that a deploy deletes with, and by itself where that does not do it. */
async function remove(prober: Prober, Key: string, VersionId: string | undefined, twice: boolean): Promise<Removal> {
  const one = { Key, ...(VersionId !== undefined && { VersionId }) };
  const batch = await removeByBatch(prober, one);
  let { verdict, marker } = batch;
  if (!batch.done) {
    const command = new DeleteObjectCommand({ ...prober.bucket, ...one });
    const trial = await prober.takeBack('DeleteObject', `the object ${Key}`, (options) =>
      prober.s3.send(command, options),
    );
    verdict = trial.verdict;
    marker = trial.answer?.DeleteMarker === true;
  }
  // Where versions are kept, a PUT whose answer was lost has left one, and a delete without a version a marker.
  if (VersionId === undefined ? marker : twice) await removeVersions(prober, Key);
  return { verdict, batch: batch.capable };
}

interface BatchRemoval {
  readonly done: boolean;
  readonly capable: boolean | undefined;
  readonly verdict: Verdict;
  readonly marker: boolean;
}

async function removeByBatch(prober: Prober, one: { Key: string; VersionId?: string }): Promise<BatchRemoval> {
  // Content-MD5 instead of CRC32: older stores know nothing else.
  const input = { ...prober.bucket, Delete: { Objects: [one] }, ChecksumAlgorithm: 'MD5' as never };
  try {
    const { verdict, answer, failure } = await prober.try(
      'DeleteObjects',
      (options) => prober.s3.send(new DeleteObjectsCommand(input), options),
      { uncancelled: true },
    );
    const [deleted] = answer?.Deleted ?? [];
    const done = deleted !== undefined && (answer?.Errors ?? []).length === 0;
    // Refused as a whole (Ceph wants s3:DeleteObject on the bucket for it): a deploy goes key by key there.
    const capable = done ? true : failure?.status === undefined ? undefined : false;
    // A marker that was deleted by its version is gone; one that a delete made is there.
    return { done, capable, verdict, marker: one.VersionId === undefined && deleted?.DeleteMarker === true };
  } catch {
    return {
      done: false,
      capable: undefined,
      verdict: { result: 'unknown', evidence: 'DeleteObjects' },
      marker: false,
    };
  }
}

async function removeVersions(prober: Prober, key: string): Promise<void> {
  const { answer } = await prober.takeBack('ListObjectVersions', `perhaps versions of ${key}`, (options) =>
    prober.s3.send(new ListObjectVersionsCommand({ ...prober.bucket, Prefix: key }), options),
  );
  for (const { Key, VersionId } of [...(answer?.Versions ?? []), ...(answer?.DeleteMarkers ?? [])]) {
    if (Key !== key || VersionId === undefined) continue;
    await prober.takeBack('DeleteObject', `a version of ${key}`, (options) =>
      prober.s3.send(new DeleteObjectCommand({ ...prober.bucket, Key, VersionId }), options),
    );
  }
}

/** What a store must give back as it got it. Tags are counted; an ACL is not answered with the object. */
const KEPT = {
  ContentType: 'Content-Type',
  CacheControl: 'Cache-Control',
  StorageClass: 'x-amz-storage-class',
  ServerSideEncryption: 'x-amz-server-side-encryption',
} as const;

async function compare(
  prober: Prober,
  headers: WriteHeaders,
  content: Buffer,
  answer: GetObjectCommandOutput,
): Promise<string[]> {
  const body = await answer.Body?.transformToByteArray();
  if (body === undefined || !content.equals(body)) {
    throw explain(misbehaved('GetObject', 'an object comes back with other content'), prober.destination);
  }
  const names = Object.keys(KEPT) as (keyof typeof KEPT)[];
  return names
    .filter((name) => headers[name] !== undefined && (answer[name] ?? standard(name)) !== headers[name])
    .map((name) => `${KEPT[name]}: ${headers[name]} → ${answer[name] ?? 'nothing'}`);
}

/** The default storage class is not answered. */
function standard(name: string): string | undefined {
  return name === 'StorageClass' ? 'STANDARD' : undefined;
}
