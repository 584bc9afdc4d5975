import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
} from '@aws-sdk/client-s3';
import type { Capabilities } from '../../core/capabilities.ts';
import type { Prober } from './prober.ts';

type Found = Partial<Capabilities>;

/** The target of a redirect that no object is served with for longer than the probe lasts. */
const REDIRECT = '/s3-deploy-probe';

/**
 * Finds out what a store can do that is not AWS, with an object of the probe's own, which is removed again. What cannot
 * be told stays unknown.
 * @param mayAbort whether an upload in parts that is begun can be aborted again.
 */
export async function findFeatures(prober: Prober, mayAbort: boolean): Promise<Found> {
  const Key = prober.ownKey('feature.html');
  const target = { ...prober.bucket, Key };
  const versions = new Set<string | undefined>();
  const put = async (more: Partial<PutObjectCommandInput>) => {
    const command = new PutObjectCommand({ ...target, Body: '.', ContentType: 'text/html', ...more });
    const trial = await prober.try('PutObject', (options) => prober.s3.send(command, options), {
      allowing: ['PreconditionFailed', 'BadDigest', 'InvalidDigest', 'XAmzContentChecksumMismatch'],
      uncancelled: true,
    });
    if (trial.answer !== undefined) versions.add(trial.answer.VersionId);
    // No answer at all: it may be there, or not.
    else if (trial.verdict.status === undefined) versions.add(undefined);
    return trial;
  };
  try {
    const first = await put({ WebsiteRedirectLocation: REDIRECT });
    if (first.answer === undefined) return {};
    const redirects = await prober.try('HeadObject', (options) =>
      prober.s3.send(new HeadObjectCommand(target), options),
    );
    const condition = await put({ IfNoneMatch: '*' });
    const checksum = await put({ ChecksumCRC32: 'AAAAAA==' });
    return {
      conditionalWrites: refuses(condition),
      crcChecksums: refuses(checksum),
      ...(redirects.answer !== undefined && {
        websiteRedirects: redirects.answer.WebsiteRedirectLocation === REDIRECT,
      }),
      ...(mayAbort && { multipart: await hasMultipart(prober) }),
    };
  } finally {
    for (const VersionId of versions) {
      const remove = new DeleteObjectCommand({ ...target, ...(VersionId !== undefined && { VersionId }) });
      await prober.takeBack('DeleteObject', `the object ${Key}`, (options) => prober.s3.send(remove, options));
    }
  }
}

/** True: the store looked and refused. False: it took it, or does not know what it was asked. */
function refuses({ verdict, answer }: Awaited<ReturnType<Prober['try']>>): boolean | undefined {
  if (answer !== undefined) return false;
  if (verdict.result === 'allowed') return true;
  return verdict.status === 400 || verdict.status === 501 ? false : undefined;
}

async function hasMultipart(prober: Prober): Promise<boolean | undefined> {
  const target = { ...prober.bucket, Key: prober.ownKey('feature-parts') };
  const start = await prober.try(
    'CreateMultipartUpload',
    (options) => prober.s3.send(new CreateMultipartUploadCommand(target), options),
    { uncancelled: true },
  );
  const { UploadId } = start.answer ?? {};
  if (UploadId === undefined) return start.verdict.result === 'unknown' ? false : undefined;
  await prober.takeBack('AbortMultipartUpload', `the open upload of ${target.Key}`, (options) =>
    prober.s3.send(new AbortMultipartUploadCommand({ ...target, UploadId }), options),
  );
  return true;
}
