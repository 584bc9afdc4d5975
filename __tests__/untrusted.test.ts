import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from './support/cloud/cloud.ts';
import { OWNER, Stage } from './support/deploys.ts';
import type { WorkflowEvent } from './support/runner.ts';

const HERE = { id: 1, full_name: 'acme/site', fork: false };
const FORK = { id: 2, full_name: 'mallory/site', fork: true };
const run = (head_repository: unknown): WorkflowEvent => ({
  name: 'workflow_run',
  payload: { repository: HERE, workflow_run: { event: 'pull_request', head_repository } },
});

describe('events that may carry an outsider’s code', () => {
  let cloud: LoopbackCloud;
  beforeAll(async () => {
    cloud = await startCloud();
  });
  afterAll(() => cloud.close());

  const untrusted: [string, WorkflowEvent][] = [
    ['pull_request_target', { name: 'pull_request_target' }],
    ['a workflow_run of a fork', run(FORK)],
    ['a workflow_run of a fork that is gone', run(null)],
    ['a workflow_run of a repository that took over the name', run({ ...HERE, id: 3 })],
    ['a workflow_run of a repository that says nothing', run({})],
    ['a workflow_run without a payload', { name: 'workflow_run', payload: { workflow_run: undefined } }],
  ];
  test.each(untrusted)('%s is refused before any request', async (_, event) => {
    const stage = await Stage.withRole(cloud, OWNER);
    const tokens = cloud.github.issued.length;
    cloud.clearRequests();
    const refused = await stage.run({}, { event });
    expect([refused.exitCode, refused.result.status, refused.result.error.code]).toEqual([
      1,
      'refused',
      'UNTRUSTED_EVENT',
    ]);
    expect(refused.log.annotations).toMatchObject([{ kind: 'error', title: 'UNTRUSTED_EVENT' }]);
    expect([cloud.count(), cloud.github.issued.length]).toEqual([0, tokens]);
    expect(await stage.keys()).toEqual([]);
  });

  test.each(untrusted.slice(0, 2))('%s passes with allow-untrusted', async (_, event) => {
    const stage = await Stage.withRole(cloud, OWNER);
    expect((await stage.run({ 'allow-untrusted': 'true' }, { event })).exitCode).toBe(0);
  });

  test('a workflow_run of the repository itself, a push and a pull request pass', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    for (const event of [run(HERE), { name: 'push' }, { name: 'pull_request' }])
      expect((await stage.run({}, { event })).exitCode).toBe(0);
  });

  test('what publishes nothing passes: a plan, a probe, and the removal of a preview', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    const event = { name: 'pull_request_target' };
    await stage.put('preview/index.html');
    for (const mode of ['plan', 'probe', 'remove'])
      expect([mode, (await stage.run({ mode, prefix: 'preview' }, { event })).exitCode]).toEqual([mode, 0]);
  });
});
