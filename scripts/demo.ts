import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type LoopbackCloud, startCloud } from '../__tests__/support/cloud/cloud.ts';
import { type ActionRun, runAction } from '../__tests__/support/runner.ts';
import { Site } from '../__tests__/support/site.ts';
import type { PolicyDocument } from '../__tests__/support/test-cloud.ts';
import { neededActions, permissionPolicy } from '../src/core/policy.ts';
import { trustPolicy } from '../src/core/trust.ts';
import { serve } from './demo/serve.ts';
import { type Inputs, showJob, showRun, showStep, showTitle } from './demo/show.ts';

/**
 * `npm run demo`: the built action deploys examples/site, as GitHub's runner would start it, to an imitation of AWS on
 * this machine: TLS, signatures, OIDC and policies are checked as there, and nothing leaves the machine. Each step is
 * asserted. `npm run demo -- --serve` keeps the deployed site open for a browser.
 */
const BUCKET = 'tide-tables';
const ROLE = 'deploy-site';
const EXAMPLE = join(import.meta.dirname, '..', 'examples', 'site');

const { serve: stayOpen = false } = parseArgs({ options: { serve: { type: 'boolean' } } }).values;
const cloud = await startCloud({ hosts: 'aws' });
const site = new Site();
try {
  site.copyFrom(EXAMPLE);
  console.log('s3-deploy on this machine: the built action, a runner like GitHub’s, and an imitation of AWS.');
  await tell(cloud, site);
  console.log('Every step did what it should.');
  if (stayOpen) await serve(await cloud.objects(BUCKET));
  else console.log('To see the site in a browser: npm run demo -- --serve');
} finally {
  site.dispose();
  await cloud.close();
}

/** The story: a first deploy, a change, a preview of a deletion, a missing permission, and the deploy that it allows. */
async function tell(cloud: LoopbackCloud, site: Site): Promise<void> {
  await cloud.createBucket(BUCKET);
  const role = await createRole(cloud);
  const inputs: Inputs = { 'role-to-assume': role, bucket: BUCKET, 'source-dir': 'public' };
  const run = (changed: Inputs = {}) => runOnGitHub(cloud, site, { ...inputs, ...changed });

  showTitle(
    '1. The first deploy',
    'The job shows its OIDC token, gets the role, and proves that it may write. Then all goes up.',
  );
  showJob(inputs);
  const first = shown(await run());
  assert.equal(first.exitCode, 0);
  assert.equal(first.outputs['uploaded-count'], String(first.result.uploads.length));
  assert.deepEqual(await keysIn(cloud), first.result.uploads.map(({ key }: { key: string }) => key).sort());

  showTitle(
    '2. One page changes',
    'The next job builds the site anew, so every file has a new time. Content decides: one file goes up.',
  );
  rebuild(site);
  showStep(inputs);
  const second = shown(await run());
  assert.equal(second.exitCode, 0);
  assert.deepEqual(second.result.uploads, [
    { key: 'about/index.html', reason: 'content', size: second.result.bytes.uploaded },
  ]);

  showTitle(
    '3. What would a deletion do?',
    'robots.txt is gone from the site. A plan tells what a deploy would change, and changes nothing.',
  );
  site.remove('robots.txt');
  showStep({ mode: 'plan', ...inputs, delete: true });
  const plan = shown(await run({ mode: 'plan', delete: true }));
  assert.equal(plan.exitCode, 0);
  assert.deepEqual(plan.result.deletions, [{ key: 'robots.txt' }]);
  assert.ok((await keysIn(cloud)).includes('robots.txt'));

  showTitle(
    '4. May the role do that?',
    'Until now nothing was to be deleted, and the role cannot. The probe says so, and what to grant.',
  );
  const { 'source-dir': _, ...withoutSource } = inputs;
  showStep({ mode: 'probe', ...withoutSource, delete: true });
  const probe = shown(await run({ mode: 'probe', delete: true }));
  assert.equal(probe.exitCode, 1);
  assert.equal(probe.result.error.code, 'PERMISSION_DENIED');
  assert.equal(probe.outputs['missing-permissions'], 's3:DeleteObject');

  showTitle(
    '5. Granted',
    'The role gets the policy that the probe suggested (output suggested-policy-file), and the deploy deletes one object.',
  );
  cloud.setRolePolicy(ROLE, JSON.parse(probe.fileAt(probe.outputs['suggested-policy-file'] ?? '') ?? '{}'));
  showStep({ ...inputs, delete: true });
  const last = shown(await run({ delete: true }));
  assert.equal(last.exitCode, 0);
  assert.deepEqual(last.result.deletions, [{ key: 'robots.txt' }]);
  assert.ok(!(await keysIn(cloud)).includes('robots.txt'));
}

/** The role of the README's quick start: its trust policy, and the permissions of a deploy that deletes nothing. */
function createRole(cloud: LoopbackCloud): Promise<string> {
  const claims = {
    iss: cloud.github.issuer,
    aud: 'sts.amazonaws.com',
    sub: 'repo:acme/site:ref:refs/heads/main',
  };
  const trust = trustPolicy(claims, `arn:aws:iam::${cloud.account}:role/${ROLE}`) as PolicyDocument;
  const policy = permissionPolicy(
    neededActions({ mode: 'deploy', delete: 'off', dryRun: false }),
    { bucket: BUCKET, prefix: '' },
    'aws',
  ) as unknown as PolicyDocument;
  return cloud.createRole(ROLE, { trust, policy });
}

/** Runs `dist` in the environment that a job with `permissions: id-token: write` gets, and fails if a secret leaks. */
function runOnGitHub(cloud: LoopbackCloud, site: Site, inputs: Inputs): Promise<ActionRun> {
  return runAction({
    inputs,
    workspace: site.workspace,
    env: { ...cloud.awsEnvironment(), ...cloud.github.jobEnvironment() },
  });
}

/** Builds the site anew, as each job does: every file gets a new time, and one page another word. */
function rebuild(site: Site): void {
  site.copyFrom(EXAMPLE);
  const page = readFileSync(site.at('about/index.html'), 'utf8');
  site.write('about/index.html', page.replace('made up', 'invented'));
}

async function keysIn(cloud: LoopbackCloud): Promise<string[]> {
  return [...(await cloud.objects(BUCKET)).keys()].filter((key) => !key.startsWith('.s3-deploy')).sort();
}

function shown(run: ActionRun): ActionRun {
  showRun(run);
  return run;
}
