import { HeadBucketCommand } from '@aws-sdk/client-s3';
import { explain, kindOf } from '../core/explain.ts';
import type { Destination } from '../core/key.ts';
import { partitionOf } from '../core/policy.ts';
import { DeployError } from '../errors.ts';
import { type Caller, type CredentialSource, createS3 } from './clients.ts';
import { ServiceError } from './failure.ts';

export interface RegionInputs {
  readonly destination: Destination;
  /** `aws-region`: what the user said. */
  readonly region: string | undefined;
  /** AWS_REGION or AWS_DEFAULT_REGION: what the runner says. */
  readonly ambientRegion: string | undefined;
  readonly endpoint: string | undefined;
  readonly forcePathStyle: boolean;
}

/** The region where any bucket of the partition can be asked for. */
const HOME_REGIONS = { aws: 'us-east-1', 'aws-cn': 'cn-north-1', 'aws-us-gov': 'us-gov-west-1' };

/**
 * The region of the bucket. AWS's HeadBucket tells it whatever the permissions are; other stores do not, and take what
 * they are given.
 * @throws DeployError BUCKET_NOT_FOUND, BUCKET_WRONG_REGION (with the right one), STORE_UNREACHABLE.
 */
export async function findRegion(inputs: RegionInputs, credentials: CredentialSource, caller: Caller): Promise<string> {
  const given = inputs.region ?? inputs.ambientRegion;
  if (inputs.endpoint !== undefined) return given ?? 'us-east-1';
  const asked = given ?? HOME_REGIONS[partitionOf(given)];
  const s3 = createS3({ region: asked, endpoint: undefined, forcePathStyle: inputs.forcePathStyle }, credentials, 1);
  const actual = await regionAnswered(
    () =>
      caller.call('HeadBucket', (options) =>
        s3.send(new HeadBucketCommand({ Bucket: inputs.destination.bucket }), options),
      ),
    inputs.destination,
  );
  s3.destroy();
  if (actual !== undefined && inputs.region !== undefined && actual !== inputs.region) {
    throw new DeployError(
      'BUCKET_WRONG_REGION',
      `The bucket ${inputs.destination.bucket} is in ${actual}, not in ${inputs.region}.`,
      {
        hint: `Set aws-region: ${actual}, or leave it out: the bucket is asked.`,
      },
    );
  }
  return actual ?? asked;
}

async function regionAnswered(
  head: () => Promise<{ BucketRegion?: string | undefined }>,
  destination: Destination,
): Promise<string | undefined> {
  try {
    return (await head()).BucketRegion;
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    const { failure } = error;
    if (failure.status === 404) throw explain({ ...failure, code: 'NoSuchBucket' }, destination);
    if (failure.region !== undefined) return failure.region;
    // Denied without a region, or a bare 400: the probe asks with calls that say why.
    if (['denied', 'refused', 'wrong region'].includes(kindOf(failure))) return undefined;
    throw explain(failure, destination);
  }
}
