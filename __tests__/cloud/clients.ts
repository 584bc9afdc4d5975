import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { STSClient, type STSClientConfig } from '@aws-sdk/client-sts';
import type { LoopbackCloud } from '../support/cloud/cloud.ts';
import type { AccessKeys, PolicyDocument, PolicyStatement } from '../support/test-cloud.ts';

/** The SDK as a deploy uses it: one attempt, so that every answer is seen. */
export function s3Client(cloud: LoopbackCloud, credentials: AccessKeys, config: S3ClientConfig = {}): S3Client {
  return new S3Client({
    endpoint: cloud.s3Endpoint,
    forcePathStyle: true,
    region: cloud.region,
    credentials,
    maxAttempts: 1,
    ...config,
  });
}

export function stsClient(cloud: LoopbackCloud, config: STSClientConfig = {}): STSClient {
  return new STSClient({ endpoint: cloud.stsEndpoint, region: cloud.region, maxAttempts: 1, ...config });
}

export const policy = (...Statement: PolicyStatement[]): PolicyDocument => ({ Version: '2012-10-17', Statement });

export const allow = (Action: string | string[], Resource: string | string[] = '*'): PolicyStatement => ({
  Effect: 'Allow',
  Action,
  Resource,
});

export const deny = (Action: string | string[], Resource: string | string[] = '*'): PolicyStatement => ({
  Effect: 'Deny',
  Action,
  Resource,
});
