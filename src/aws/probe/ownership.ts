import { ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { DeployError } from '../../errors.ts';
import type { Prober, Trial } from './prober.ts';

/**
 * Tells the two reasons apart for which a store says "Access Denied" and no more, by asking again with one thing changed.
 * @param unowned a client that does not say whom the bucket should belong to.
 * @throws DeployError BUCKET_WRONG_OWNER, or PERMISSION_DENIED for a bucket whose requester pays.
 */
export async function explainBareDenial(
  prober: Prober,
  unowned: S3Client,
  expectedOwner: string | undefined,
): Promise<void> {
  const { bucket } = prober.destination;
  if (expectedOwner !== undefined && isMore(await listAs(prober, unowned))) {
    throw new DeployError('BUCKET_WRONG_OWNER', `The bucket ${bucket} does not belong to account ${expectedOwner}.`, {
      hint: 'Check the name of the bucket, and expected-bucket-owner: another account has a bucket of this name.',
    });
  }
  if (isMore(await listAs(prober, prober.s3, { RequestPayer: 'requester' }))) {
    throw new DeployError('PERMISSION_DENIED', `Whoever asks the bucket ${bucket} for something has to pay for it.`, {
      hint: 'Deploy with credentials of the account that owns the bucket, or turn off Requester Pays in its properties.',
    });
  }
}

/** Whether a store that should refuse a wrong `expected-bucket-owner` does not look at it. */
export async function ignoresOwner(prober: Prober, nobodys: S3Client): Promise<boolean> {
  return (await listAs(prober, nobodys)).answer !== undefined;
}

function listAs(prober: Prober, s3: S3Client, more: { RequestPayer?: 'requester' } = {}): Promise<Trial<object>> {
  const command = new ListObjectsV2Command({
    ...prober.bucket,
    Prefix: prober.destination.prefix,
    MaxKeys: 1,
    ...more,
  });
  return prober.try('ListObjectsV2', (options) => s3.send(command, options));
}

/** Something else than a bare denial: an answer, or a denial that says of what. */
function isMore({ answer, denial }: Trial<object>): boolean {
  return answer !== undefined || denial?.action !== undefined;
}
