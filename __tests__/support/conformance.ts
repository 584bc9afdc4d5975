import { afterAll, beforeAll, describe, test } from '@jest/globals';
import { authenticationCases } from './conformance/authentication.ts';
import { bucketCases } from './conformance/buckets.ts';
import { listingCases } from './conformance/listing.ts';
import { multipartCases } from './conformance/multipart.ts';
import { objectCases } from './conformance/objects.ts';
import { permissionCases } from './conformance/permissions.ts';
import { removalCases } from './conformance/removals.ts';
import { allow, type Case, policy, Scene } from './conformance/scene.ts';
import { stsCases } from './conformance/sts.ts';
import { writeCases } from './conformance/writes.ts';
import type { AccessKeys, TestCloud } from './test-cloud.ts';

const CASES: Record<string, Case[]> = {
  objects: objectCases,
  writes: writeCases,
  'copies and deletions': removalCases,
  listings: listingCases,
  'multipart uploads': multipartCases,
  'what a bucket says of itself': bucketCases,
  authentication: authenticationCases,
  permissions: permissionCases,
  AssumeRoleWithWebIdentity: stsCases,
};

/**
 * What a cloud must do to be taken for AWS by the tests of this project, asked of it with AWS's own SDK.
 * Each cloud passes all of it, but for the cases in which it is known to differ: those are skipped, with the reason.
 */
export function describeConformance(name: TestCloud['name'], start: () => Promise<TestCloud>): void {
  describe(`${name} behaves as AWS does`, () => {
    let cloud: TestCloud;
    let admin: AccessKeys;

    beforeAll(async () => {
      cloud = await start();
      admin = await cloud.createUser('admin', policy(allow('s3:*', '*')));
    }, 60_000);
    afterAll(() => cloud?.close());

    for (const [group, cases] of Object.entries(CASES)) {
      describe(group, () => {
        for (const { name: sentence, run, except } of cases) {
          const reason = except?.[name];
          if (reason) {
            test.skip(`${sentence} (${name}: ${reason})`, () => {});
            continue;
          }
          test(sentence, async () => {
            const scene = await Scene.set(cloud, admin);
            try {
              await run(scene);
            } finally {
              scene.clear();
            }
          }, 30_000);
        }
      });
    }
  });
}
