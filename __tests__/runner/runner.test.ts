import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { describe, expect, test } from '@jest/globals';
import { startCloud } from '../support/cloud/cloud.ts';
import { JOB_TOKEN, type RunOptions, runAction } from '../support/runner.ts';
import type { PolicyDocument } from '../support/test-cloud.ts';

const action = path.join(import.meta.dirname, 'fixture');
const run = (script: string, options: RunOptions = {}) =>
  runAction({ action, ...options, inputs: { script, ...options.inputs } });
/** A step that prints its environment, tokens and all: backwards, or its log would not pass. */
async function show(options: RunOptions = {}): Promise<Record<string, string>> {
  const script = `
    const backwards = Object.entries(process.env).map(([name, value]) => [name, [...value].reverse().join('')]);
    console.log(JSON.stringify(backwards));
  `;
  const shown: [string, string][] = JSON.parse((await run(script, options)).stdout);
  return Object.fromEntries(shown.map(([name, value]) => [name, [...value].reverse().join('')]));
}

const APPEND = 'const { appendFileSync } = await import("node:fs");';

describe('the environment', () => {
  test('holds inputs under their runner names, defaults and evaluated expressions included', async () => {
    const env = await show({ inputs: { 'dry-run': true } });
    expect(env).toMatchObject({
      'INPUT_DRY-RUN': 'true',
      INPUT_OLD_NAME: 'kept',
      INPUT_TOKEN: JOB_TOKEN,
      GITHUB_REPOSITORY: 'acme/site',
      GITHUB_EVENT_NAME: 'push',
      GITHUB_REF: 'refs/heads/main',
      GITHUB_ACTIONS: 'true',
      CI: 'true',
    });
  });

  test('inherits nothing but PATH', async () => {
    process.env.AWS_PROFILE = 'of the developer';
    const env = await show({ env: { MINE: 'yes', CI: undefined } });
    delete process.env.AWS_PROFILE;
    const foreign = Object.keys(env).filter((name) => !/^(INPUT|GITHUB|RUNNER)_/.test(name));
    expect(foreign.sort()).toEqual(['HOME', 'MINE', 'PATH']);
    expect(env.HOME).not.toBe(process.env.HOME);
  });

  test('names the payload of the event', async () => {
    const script = `${APPEND} console.log((await import('node:fs')).readFileSync(process.env.GITHUB_EVENT_PATH, 'utf8'))`;
    const event = { name: 'pull_request', payload: { number: 12 } };
    expect(JSON.parse((await run(script, { event })).stdout)).toMatchObject({
      number: 12,
      pull_request: { head: { repo: { fork: false } } },
    });
    expect(await show({ event })).toMatchObject({ GITHUB_REF: 'refs/pull/12/merge' });
  });

  test('begins in the workspace', async () => {
    const workspace = await realpath(await mkdtemp(path.join(tmpdir(), 'workspace-')));
    expect((await run('console.log(process.cwd())', { workspace })).stdout).toBe(`${workspace}\n`);
    await rm(workspace, { recursive: true });
  });

  test('refuses an input that action.yml does not declare', async () => {
    await expect(show({ inputs: { buckte: 'x' } })).rejects.toThrow("no input 'buckte'");
  });
});

test('answers outputs, state, environment, paths, summary and the result file', async () => {
  const { outputs, state, env, paths, summary, result, fileAt, failed } = await run(`${APPEND}
    const { GITHUB_OUTPUT, GITHUB_STATE, GITHUB_ENV, GITHUB_PATH, GITHUB_STEP_SUMMARY, RUNNER_TEMP } = process.env;
    appendFileSync(RUNNER_TEMP + '/result.json', '{"version":1}');
    appendFileSync(GITHUB_OUTPUT, 'answer<<ghadelimiter_1\\n4\\n2\\nghadelimiter_1\\nresult-file=' + RUNNER_TEMP + '/result.json\\n');
    appendFileSync(GITHUB_STATE, 'a=1\\n');
    appendFileSync(GITHUB_ENV, 'b=2\\n');
    appendFileSync(GITHUB_PATH, '/c\\n');
    appendFileSync(GITHUB_STEP_SUMMARY, '# d');
  `);
  expect(outputs).toMatchObject({ answer: '4\n2' });
  expect({ state, env, paths, summary }).toEqual({ state: { a: '1' }, env: { b: '2' }, paths: ['/c'], summary: '# d' });
  expect(result).toEqual({ version: 1 });
  expect(fileAt(outputs['result-file']!)).toBe('{"version":1}');
  expect(failed).toBe(false);
});

test('reads stdout and stderr into one log', async () => {
  const { log, stderr, exitCode, failed } = await run(
    'console.log("::add-mask::s3cr3t"); setTimeout(() => { console.error("a s3cr3t"); process.exitCode = 3 }, 50)',
  );
  expect(log.visible).toBe('a ***');
  expect({ stderr, exitCode, failed }).toEqual({ stderr: 'a s3cr3t\n', exitCode: 3, failed: true });
});

describe('a run that is cancelled', () => {
  const wait = 'setInterval(() => {}, 1000); console.log("ready");';

  test('gets SIGINT first, at a moment in its log', async () => {
    const { signal, durationMs } = await run(wait, { signalAfter: /ready/ });
    expect(signal).toBe('SIGINT');
    expect(durationMs).toBeLessThan(5_000);
  });

  test('may clean up and say so', async () => {
    const script = `process.on('SIGINT', () => { console.log('cleaned'); process.exit(1); }); ${wait}`;
    const { exitCode, log } = await run(script, { signalAfter: /ready/ });
    expect({ exitCode, visible: log.visible }).toEqual({ exitCode: 1, visible: 'ready\ncleaned' });
  });

  test('gets SIGTERM 7.5 s later', async () => {
    const { signal, durationMs } = await run(`process.on("SIGINT", () => {}); ${wait}`, { signalAfter: /ready/ });
    expect(signal).toBe('SIGTERM');
    expect(durationMs).toBeGreaterThan(7_500);
  }, 20_000);

  test('can be killed outright', async () => {
    const signalAfter = { at: Promise.resolve(), signal: 'SIGKILL' as const };
    expect((await run(wait, { signalAfter })).signal).toBe('SIGKILL');
  });

  test('or outlasts its time, which throws with the log', async () => {
    await expect(run(wait, { timeoutMs: 500 })).rejects.toThrow(/after 500 ms.*ready/s);
  });
});

describe('secrets', () => {
  const leaks = (script: string, options: RunOptions = {}) =>
    expect(run(script, options)).rejects.toThrow('The run leaks');
  const print = (text: string) => `console.log(${JSON.stringify(text)});`;

  test('are looked for in every run that names them', async () => {
    await leaks('console.log("my s3cr3t")', { secrets: ['s3cr3t'] });
  });

  test('are looked for in every place that a step can write to', async () => {
    const half = JSON.stringify(['an-ambient', '-secret-key']);
    const say = `const s = ${half}.join(''); const { env } = process;`;
    const scripts: Record<string, string> = {
      'the raw output': 'console.log(s)',
      'the visible log': 'console.error(s)',
      'an annotation': 'console.log("::warning title=" + s + "::x")',
      'the visible log, debugged': 'console.log("::debug::" + s)',
      'outputs.answer': 'appendFileSync(env.GITHUB_OUTPUT, "answer=" + s + "\\n")',
      'env.A': 'appendFileSync(env.GITHUB_ENV, "A=" + s + "\\n")',
      'state.A': 'appendFileSync(env.GITHUB_STATE, "A=" + s + "\\n")',
      GITHUB_PATH: 'appendFileSync(env.GITHUB_PATH, s + "\\n")',
      'the summary': 'appendFileSync(env.GITHUB_STEP_SUMMARY, s)',
      'file home/x': 'appendFileSync(env.HOME + "/x", btoa("x" + s))',
      'file work/_temp/x': 'appendFileSync(env.RUNNER_TEMP + "/x", Buffer.from(s).toString("hex"))',
    };
    const env = { AWS_SECRET_ACCESS_KEY: 'an-ambient-secret-key' };
    for (const [place, script] of Object.entries(scripts))
      await expect(run(`${APPEND}${say}${script}`, { env })).rejects.toThrow(`in ${place.split(',')[0]}`);
    await run(`${APPEND}${say}`, { env });
  });

  test('that a step is given are looked for without being named', async () => {
    for (const name of ['ACTIONS_ID_TOKEN_REQUEST_TOKEN', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'DB_PASSWORD'])
      await leaks(`console.log(process.env.${name})`, { env: { [name]: 'of-this-very-step' } });
    await leaks('console.log(process.env.INPUT_TOKEN)', { inputs: { token: 'an-input-that-is-secret' } });
    await leaks('console.log(process.env.INPUT_TOKEN)');
  });

  test('that a step has masked are looked for: a mask is no leave to print', async () => {
    await leaks(`${print('::add-mask::made-in-the-step')}console.log(btoa("x made-in-the-step"))`);
  });

  test('that the cloud and GitHub hand out are looked for, whoever holds them', async () => {
    const cloud = await startCloud();
    const keys = await cloud.createUser('user', {
      Statement: { Effect: 'Allow', Action: 'sts:AssumeRole', Resource: '*' },
    });
    const trust: PolicyDocument = {
      Statement: { Effect: 'Allow', Principal: { AWS: '*' }, Action: 'sts:AssumeRole' },
    };
    const RoleArn = await cloud.createRole('role', { trust });
    const sts = new STSClient({ endpoint: cloud.stsEndpoint, region: cloud.region, credentials: keys });
    const { Credentials } = await sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'session' }));
    const bearer = String(cloud.github.jobEnvironment().ACTIONS_ID_TOKEN_REQUEST_TOKEN);
    const made: Record<string, string | undefined> = {
      'an access key id': keys.accessKeyId,
      'a secret key': keys.secretAccessKey,
      'a secret key of a session': Credentials?.SecretAccessKey,
      'a session token': Credentials?.SessionToken,
      'an OIDC token': cloud.github.token(),
      'what OIDC tokens are asked for with': bearer,
    };
    await cloud.close();
    for (const [what, secret = ''] of Object.entries(made))
      await expect(run(print(`x ${secret}`))).rejects.toThrow(`${what.replace(/ of a .*/, '')} (`);
  });

  test('are looked for in runs that are cancelled, killed, or out of time', async () => {
    const script = `${print('ghs_T3stT0kenOfTheJob0123456789abcdefAB')} setInterval(() => {}, 1000);`;
    await leaks(script, { signalAfter: /ghs/ });
    await leaks(script, { signalAfter: { at: /ghs/, signal: 'SIGKILL' } });
    await leaks(script, { timeoutMs: 1000 });
  });

  test('come with a check for commands that are not ours', async () => {
    await expect(run('console.log("a##[stop-commands]x")')).rejects.toThrow('not ours');
    await expect(run('console.error("::set-output name=a::b")')).rejects.toThrow('not ours');
    const wait = 'console.log("a##[add-path]x"); setInterval(() => {}, 1000)';
    await expect(run(wait, { signalAfter: { at: /add-path/, signal: 'SIGKILL' } })).rejects.toThrow('not ours');
  });
});

test('every other run is one that debugs', async () => {
  const values = [(await show()).RUNNER_DEBUG, (await show()).RUNNER_DEBUG];
  expect(values.sort()).toEqual(['1', undefined]);
});

test('measures what the process used when asked to', async () => {
  const { rusage } = await run('Buffer.alloc(200e6, 1)', { measure: true });
  expect(rusage!.maxRSS).toBeGreaterThan(150_000);
});
