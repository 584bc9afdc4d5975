import { HeadBucketCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { explain, kindOf, MISBEHAVED, misbehaved, type ServiceFailure } from '../core/explain.ts';
import type { Destination } from '../core/key.ts';
import { homeRegion, partitionOf } from '../core/policy.ts';
import type { ProbeInput } from '../core/probe-form.ts';
import { DeployError } from '../errors.ts';
import type { Caller } from './caller.ts';
import { type CredentialSource, createS3 } from './clients.ts';
import { ServiceError } from './failure.ts';

export interface RegionInputs {
  readonly destination: Destination;
  /** `aws-region`: what the user said. */
  readonly region: string | undefined;
  /** AWS_REGION or AWS_DEFAULT_REGION: what the runner says. */
  readonly ambientRegion: string | undefined;
  /** The role, whose partition is the bucket's. */
  readonly role: string | undefined;
  readonly endpoint: string | undefined;
  readonly forcePathStyle: boolean;
  readonly probe: ProbeInput;
}

/**
 * The region of the bucket. AWS's HeadBucket tells it whatever the permissions are, and so do some other stores; where one
 * does not, it takes what it is given. A region that is given is not asked for when a probe follows: AWS refuses each of its
 * calls in any other region, and names the right one.
 * @throws DeployError BUCKET_NOT_FOUND, BUCKET_WRONG_REGION (with the right one), STORE_UNREACHABLE.
 */
export async function findRegion(inputs: RegionInputs, credentials: CredentialSource, caller: Caller): Promise<string> {
  const given = inputs.region ?? inputs.ambientRegion;
  const isSettled = inputs.endpoint !== undefined || inputs.probe !== 'off';
  if (inputs.region !== undefined && isSettled) return inputs.region;
  const asked = given ?? homeRegion(partitionOf(inputs.role));
  const s3 = createS3(
    { region: asked, endpoint: inputs.endpoint, forcePathStyle: inputs.forcePathStyle },
    credentials,
    caller.connections,
  );
  const Bucket = inputs.destination.bucket;
  const actual = await regionAnswered(inputs.destination, inputs.endpoint !== undefined, [
    () =>
      caller.call('HeadBucket', async (options) => {
        const answer = await s3.send(new HeadBucketCommand({ Bucket }), options);
        // AWS always tells it; a proxy's page does not.
        if (inputs.endpoint === undefined && answer.BucketRegion === undefined)
          throw new ServiceError(misbehaved('HeadBucket', 'no region'));
        return answer;
      }),
    // A HEAD has no body to say why; this has.
    () =>
      caller.call('ListObjectsV2', (options) =>
        s3.send(new ListObjectsV2Command({ Bucket, MaxKeys: 1 }), options).then(() => ({})),
      ),
  ]);
  if (actual !== undefined && inputs.region !== undefined && actual !== inputs.region) {
    throw new DeployError('BUCKET_WRONG_REGION', `The bucket ${Bucket} is in ${actual}, not in ${inputs.region}.`, {
      hint: `Set aws-region: ${actual}, or leave it out: the bucket is asked.`,
    });
  }
  return actual ?? asked;
}

/** Asks until one answer, or refusal, tells a region. */
async function regionAnswered(
  destination: Destination,
  compatible: boolean,
  calls: readonly (() => Promise<{ BucketRegion?: string | undefined }>)[],
): Promise<string | undefined> {
  for (const call of calls) {
    try {
      return (await call()).BucketRegion;
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      const { failure } = error;
      const isHead = failure.operation === 'HeadBucket';
      if (failure.status === 404 && !(isHead && compatible)) throw explain(named(failure), destination);
      if (failure.region !== undefined) return failure.region;
      // Denied without a region: the probe asks with calls that say what is denied.
      if (kindOf(failure) === 'denied') return undefined;
      if (![301, 400, 404].includes(failure.status ?? 0)) throw explain(failure, destination);
    }
  }
  return undefined;
}

/** A HEAD has no code: AWS means the bucket by 404. Any web server says 404 to what it does not know, and no code with it. */
function named(failure: ServiceFailure): ServiceFailure {
  const code = failure.operation === 'HeadBucket' || failure.code === 'NoSuchBucket' ? 'NoSuchBucket' : MISBEHAVED;
  return { ...failure, code };
}
