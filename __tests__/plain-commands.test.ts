import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from './support/cloud/cloud.ts';
import { allow, describeDeploys, OWNER, Stage } from './support/deploys.ts';
import { Site } from './support/site.ts';
import { describeSyncs } from './support/syncs.ts';

const PLAIN = { S3_DEPLOY_PLAIN_COMMANDS: 'true' };

/** The puts of a cloud, by whether the SDK sent them itself: it gives each request a number. */
function putsOf(clouds: readonly LoopbackCloud[]) {
  const puts = clouds.flatMap(({ requests }) => requests.filter(({ operation }) => operation === 'PutObject'));
  const bySdk = puts.filter(({ headers }) => headers['amz-sdk-invocation-id'] !== undefined);
  return { all: puts.length, bySdk: bySdk.length };
}

describe('a deploy to AWS, to hosts named after the bucket', () => {
  let cloud: LoopbackCloud;
  beforeAll(async () => {
    cloud = await startCloud({ hosts: 'aws' });
  });
  afterAll(() => cloud.close());

  const inputs = {
    endpoint: '',
    'sts-endpoint': '',
    headers: "'**':\n  x-amz-meta-build: '17'\n  Expires: Wed, 21 Oct 2037 07:28:00 GMT",
    sse: 'aws:kms',
    'sse-kms-key-id': 'arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab',
    'storage-class': 'STANDARD_IA',
    tags: 'team=docs + more',
    'expected-bucket-owner': '123456789012',
  };
  const files = {
    'index.html': 'hello',
    "it's (a) *!~ +%2F&=?#:@$,;é😀.css": 'body {}',
    'large.bin': randomBytes(1024 ** 2 + 1),
    'empty.txt': '',
  };

  test('puts small files by the pattern, and all is stored as with plain commands', async () => {
    const stored: unknown[] = [];
    for (const plain of [false, true]) {
      const stage = await Stage.withRole(cloud, [...OWNER, allow(['kms:*'], '*')], { site: new Site(files) });
      cloud.clearRequests();
      const env = { ...cloud.awsEnvironment(), ...cloud.github.jobEnvironment(), ...(plain && PLAIN) };
      const run = await stage.run(inputs, { env });
      expect(run.log.visible).toContain('Deployed: 4 new');
      expect(run.result.requests.retries).toBe(0);
      // Four files and the manifest; one of them is large.
      expect(putsOf([cloud])).toEqual({ all: 5, bySdk: plain ? 5 : 1 });
      const hosts = new Set(
        cloud.requests.filter(({ operation }) => operation === 'PutObject').map(({ headers }) => headers.host),
      );
      expect([...hosts]).toEqual([`${stage.bucket}.s3.eu-central-1.amazonaws.com`]);
      const objects = [...(await cloud.objects(stage.bucket))].filter(([key]) => key in files);
      stored.push(
        objects.map(([key, { body, headers }]) => {
          expect(body.equals(Buffer.from(files[key as keyof typeof files]))).toBe(true);
          // With KMS an ETag is another each time.
          const { 'last-modified': _, etag: __, ...rest } = headers;
          return [key, rest];
        }),
      );
    }
    expect(stored[0]).toEqual(stored[1]);
  });
});

describe('with plain commands alone', () => {
  const clouds: LoopbackCloud[] = [];
  const start = async () => {
    const cloud = await startCloud();
    clouds.push(cloud);
    return cloud;
  };
  beforeAll(() => {
    Stage.environment = PLAIN;
  });

  describeDeploys('the loopback cloud', start);
  describeSyncs('the loopback cloud', start);

  test('every put was a command of the SDK', () => {
    const { all, bySdk } = putsOf(clouds);
    expect(all).toBeGreaterThan(100);
    expect(bySdk).toBe(all);
  });
});
