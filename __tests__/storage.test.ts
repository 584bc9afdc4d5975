import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from './support/cloud/cloud.ts';
import { OWNER, Stage } from './support/deploys.ts';
import type { ActionRun } from './support/runner.ts';

const KEY = 'arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555';

/** What every object is stored with, on AWS, where all of it is known. */
describe('objects are stored', () => {
  let cloud: LoopbackCloud;
  beforeAll(async () => {
    cloud = await startCloud({ hosts: 'aws' });
  });
  afterAll(() => cloud.close());
  const stages: Stage[] = [];
  afterEach(() => {
    for (const { site } of stages.splice(0)) site.dispose();
  });

  async function scene() {
    const stage = await Stage.withRole(cloud, [...OWNER, { Effect: 'Allow', Action: 'kms:*', Resource: KEY }]);
    stages.push(stage);
    stage.site.write('video.mp4', Buffer.alloc(6 * 1024 ** 2, 'v'));
    const run = (inputs: Record<string, string>): Promise<ActionRun> =>
      stage.run(
        { endpoint: '', 'sts-endpoint': '', 'part-size': '5MiB', ...inputs },
        { env: { ...cloud.awsEnvironment(), ...cloud.github.jobEnvironment() } },
      );
    const stored = () => {
      const bucket = cloud.bucket(stage.bucket);
      const keys = bucket.keys().filter((key) => !key.startsWith('.s3-deploy'));
      return keys.map((key) => bucket.live(key)).filter((version) => version !== undefined);
    };
    return { stage, run, stored };
  }
  const UNCHANGED = { uploaded: 0, updated: 0, unchanged: 6 };

  test('with the ACL, class, encryption and tags that are asked for, large ones too, and known again', async () => {
    const { run, stored } = await scene();
    const inputs = {
      ...{ acl: 'bucket-owner-full-control', 'storage-class': 'STANDARD_IA', sse: 'AES256' },
      tags: 'team=web\ncost centre=a/b=ü',
    };
    cloud.clearRequests();
    const first = await run(inputs);
    expect([first.result.error, first.result.counts.uploaded]).toEqual([null, 6]);
    for (const { key, headers, tags } of stored()) {
      expect([key, headers['x-amz-storage-class'], headers['x-amz-server-side-encryption']]).toEqual([
        ...[key, 'STANDARD_IA', 'AES256'],
      ]);
      expect(tags).toEqual([
        ['team', 'web'],
        ['cost centre', 'a/b=ü'],
      ]);
    }
    const writes = cloud.requests.filter(
      ({ operation, key }) => /^(PutObject|CreateMultipartUpload)$/.test(operation) && !key?.startsWith('.s3-deploy'),
    );
    expect(writes.map(({ headers }) => headers['x-amz-acl'])).toEqual(Array(6).fill('bucket-owner-full-control'));
    expect((await run(inputs)).result.counts).toMatchObject(UNCHANGED);
  });

  test('with a key of KMS', async () => {
    const { run, stored } = await scene();
    const inputs = { 'sse-kms-key-id': KEY };
    expect((await run(inputs)).result.counts.uploaded).toBe(6);
    expect(stored().map(({ kmsKey }) => kmsKey)).toEqual(Array(6).fill(KEY));
    expect((await run(inputs)).result.counts).toMatchObject(UNCHANGED);
  });

  test.each([
    ['tags', 'team=web', 'team=press', ({ tags }: { tags: [string, string][] }) => tags[0]?.[1], 'press'],
    [
      'storage-class',
      'STANDARD_IA',
      'ONEZONE_IA',
      ({ headers }: { headers: Record<string, string> }) => headers['x-amz-storage-class'],
      'ONEZONE_IA',
    ],
  ] as const)(
    'otherwise when %s is changed, and their content does not travel',
    async (input, one, other, of, expected) => {
      const { run, stored } = await scene();
      await run({ [input]: one });
      cloud.clearRequests();
      const changed = await run({ [input]: other });
      expect(changed.result.counts).toMatchObject({ uploaded: 0, updated: 6 });
      expect(stored().map((version) => of(version as never))).toEqual(Array(6).fill(expected));
      expect(stored().every(({ headers }) => headers['content-type'] !== 'binary/octet-stream')).toBe(true);
      expect([cloud.count('CopyObject'), cloud.count('UploadPart')]).toEqual([6, 0]);
      expect((await run({ [input]: other })).result.counts).toMatchObject(UNCHANGED);
    },
  );
});
