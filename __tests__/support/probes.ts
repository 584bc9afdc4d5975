import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { LoopbackCloud } from './cloud/cloud.ts';
import { trustFor } from './deploys.ts';
import { documentOf, PROBE_CASES, type ProbeCase } from './probe-cases.ts';
import { type ActionRun, runAction } from './runner.ts';
import { Site } from './site.ts';
import type { TestCloud } from './test-cloud.ts';

interface Check {
  action: string;
  result: string;
  required: boolean;
  why?: string;
  deniedBy?: { policy: string; explicit: boolean };
}

/** What a deploy of today does not ask for of its own accord: its probe alone knows of it. */
const NOT_ASKED_FOR = new Set(['s3:GetObject', 'kms:Decrypt']);
let number = 0;

/** A case set up on a cloud: what probes and deploys are run with. */
async function setUp(cloud: TestCloud, one: ProbeCase, onAws: boolean) {
  const bucket = `case-${++number}`;
  const userName = `user-${number}`;
  const userArn = `arn:aws:iam::${cloud.account}:user/${userName}`;
  const document = (statements: ProbeCase['policy']) => documentOf(statements, bucket, userArn);
  await cloud.createBucket(bucket);
  if (isLoopback(cloud)) {
    const { options } = cloud.bucket(bucket);
    Object.assign(options, { acls: true }, one.bucket);
  }
  if (!one.empty) await cloud.putObject(bucket, 'docs/stale.html', 'theirs');
  if (one.bucketPolicy) await cloud.setBucketPolicy(bucket, document(one.bucketPolicy));

  const inputs: Record<string, string> = { bucket, prefix: 'docs', delete: 'true' };
  if (!onAws) Object.assign(inputs, { endpoint: cloud.s3Endpoint, 'sts-endpoint': cloud.stsEndpoint });
  let env: Record<string, string> = onAws ? (cloud as LoopbackCloud).awsEnvironment() : {};
  if (one.session === undefined) {
    const boundary = one.boundary && document(one.boundary);
    const keys = await (isLoopback(cloud)
      ? cloud.createUser(userName, document(one.policy), boundary)
      : cloud.createUser(userName, document(one.policy)));
    inputs['aws-access-key-id'] = keys.accessKeyId;
    inputs['aws-secret-access-key'] = keys.secretAccessKey;
  } else {
    env = { ...env, ...cloud.github.jobEnvironment() };
    const trust = trustFor(cloud, 'repo:acme/site:ref:refs/heads/main');
    inputs['role-to-assume'] = await cloud.createRole(`role-${bucket}`, { trust, policy: document(one.policy) });
    inputs['inline-session-policy'] = Array.isArray(one.session)
      ? JSON.stringify(document(one.session))
      : (one.session as string);
  }
  Object.assign(inputs, one.inputs);
  const site = new Site({ 'index.html': 'index', 'style.css': 'body {}' });
  return {
    bucket,
    run: (more: Record<string, string>): Promise<ActionRun> =>
      runAction({
        workspace: site.workspace,
        inputs: { ...inputs, ...more },
        env,
      }),
  };
}

function isLoopback(cloud: TestCloud): cloud is LoopbackCloud {
  return cloud.name === 'loopback';
}

/** How many verdicts were compared, and how many were wrong; a suite prints them at its end. */
export interface Tally {
  policies: number;
  verdicts: number;
}

/**
 * Every case, as the built action judges it, held against what is expected and against what a deploy with the same
 * policies then comes to when its probe is off.
 */
export function describeProbes(name: string, start: () => Promise<TestCloud>, onAws = false): void {
  let cloud: TestCloud;
  const tally: Tally = { policies: 0, verdicts: 0 };
  beforeAll(async () => {
    cloud = await start();
  }, 60_000);
  afterAll(async () => {
    await cloud?.close();
    process.stderr.write(`${name}: ${tally.policies} policies, ${tally.verdicts} verdicts\n`);
  });

  const isCeph = /Ceph/.test(name);
  const cases = PROBE_CASES.filter((one) => (onAws || !one.awsOnly) && !(isCeph && one.notOnCeph));
  describe(`probes of ${name}`, () => {
    test.each(cases.map((one) => [one.name, one] as const))('%s', async (_name, one) => {
      const { bucket, run } = await setUp(cloud, one, onAws);
      const probe = await run({ mode: 'probe' });
      const checks: Check[] = probe.result.probe.checks;
      const unknown = [
        ...(one.unknown ?? []),
        ...(isCeph ? (one.unknownWhereBare ?? []) : []),
        ...(onAws ? [] : (one.unknownElsewhere ?? [])),
      ];
      const denied = one.denied.filter((action) => !unknown.includes(action));
      const required = checks.filter((check) => check.required);
      const verdicts = Object.fromEntries(required.map(({ action, result }) => [action, result]));
      const expected = required.map(({ action }) => [
        action,
        unknown.includes(action) ? 'unknown' : denied.includes(action) ? 'denied' : 'allowed',
      ]);
      expect(verdicts).toEqual(Object.fromEntries(expected));
      expect(Object.keys(verdicts)).toEqual(expect.arrayContaining(denied));
      expect(required.filter(({ result, why }) => result === 'unknown' && why === undefined)).toEqual([]);
      expect([probe.exitCode, probe.outputs['probe-result']]).toEqual(
        denied.length > 0 ? [1, 'failed'] : [0, 'passed'],
      );
      expect(probe.outputs['missing-permissions']?.split(',').filter(Boolean).sort()).toEqual([...denied].sort());
      if (!isCeph && !one.bucket?.bareDenials && denied.length > 0) {
        const by = required.find(({ result }) => result === 'denied')?.deniedBy;
        if (one.by !== undefined) expect(by?.policy).toBe(one.by);
        expect(by?.explicit).toBe(one.explicit ?? false);
      }
      tally.policies++;
      tally.verdicts += required.length;

      expect([...(await cloud.objects(bucket)).keys()]).toEqual(one.empty ? [] : ['docs/stale.html']);
      expect(await cloud.openUploads(bucket)).toEqual([]);

      if (one.inputs?.overwrite === 'false') return;
      const mode = one.inputs?.['dry-run'] === undefined ? 'deploy' : 'plan';
      const deploy = await run({ mode, probe: 'off', 'source-dir': '.' });
      expect(deploy.exitCode).toBe(denied.some((action) => !NOT_ASKED_FOR.has(action)) ? 1 : 0);
    });
  });
}
