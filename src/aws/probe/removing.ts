import { AbortMultipartUploadCommand, DeleteObjectCommand } from '@aws-sdk/client-s3';
import type { Prober, Verdict } from './prober.ts';

/** Deletes a key that is not there, on the condition that it is: nothing happens, and a denial comes first. */
export async function deleteNothing(prober: Prober): Promise<Verdict> {
  const target = { ...prober.bucket, Key: prober.ownKey('delete') };
  const { verdict, answer } = await prober.try(
    'DeleteObject',
    (options) => prober.s3.send(new DeleteObjectCommand({ ...target, IfMatch: '*' }), options),
    { allowing: ['PreconditionFailed', 'NoSuchKey', 'NotFound'], uncancelled: true },
  );
  if (answer?.DeleteMarker === true && answer.VersionId !== undefined) {
    // A versioned bucket of a store that does not know the condition.
    const remove = new DeleteObjectCommand({ ...target, VersionId: answer.VersionId });
    await prober.takeBack('DeleteObject', `a delete marker at ${target.Key}`, (options) =>
      prober.s3.send(remove, options),
    );
  }
  return verdict;
}

/** Deletes a version that is not there: 204, and no marker, for those who may delete versions. */
export async function deleteNoVersion(prober: Prober): Promise<Verdict> {
  const target = { ...prober.bucket, Key: prober.ownKey('version'), VersionId: 'null' };
  const { verdict } = await prober.try(
    'DeleteObject',
    (options) => prober.s3.send(new DeleteObjectCommand(target), options),
    { allowing: ['NoSuchVersion', 'NoSuchKey', 'NotFound'] },
  );
  return verdict;
}

/** Aborts an upload that nobody began; tells also whether the store has uploads in parts, where it says so. */
export async function abortNothing(prober: Prober): Promise<{ verdict: Verdict; multipart: boolean | undefined }> {
  // Stores look at the form of an id: this one is of Ceph's, which is a base64 of nothing elsewhere.
  const target = { ...prober.bucket, Key: prober.ownKey('abort'), UploadId: '2~s3deployprobe00000000000000000' };
  const { verdict, failure } = await prober.try(
    'AbortMultipartUpload',
    (options) => prober.s3.send(new AbortMultipartUploadCommand(target), options),
    { allowing: ['NoSuchUpload', 'NotFound'] },
  );
  const isUnknown = failure?.status === 501 || failure?.status === 405 || failure?.code === 'NotImplemented';
  return { verdict, multipart: failure?.code === 'NoSuchUpload' ? true : isUnknown ? false : undefined };
}
