import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { JOB_TOKEN, type RunOptions, runAction } from '../support/runner.ts';

const action = path.join(import.meta.dirname, 'fixture');
const run = (script: string, options: RunOptions = {}) =>
  runAction({ action, ...options, inputs: { script, ...options.inputs } });
/** A step that prints its environment, tokens and all. */
const show = async (options: RunOptions = {}) =>
  JSON.parse((await run('console.log(JSON.stringify(process.env))', { unchecked: true, ...options })).stdout);

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
  test('are looked for in every run that names them', async () => {
    await expect(run('console.log("my s3cr3t")', { secrets: ['s3cr3t'] })).rejects.toThrow('The run leaks');
    await expect(run('console.log("s3c" + "r3t" + 2)', { secrets: () => ['s3cr3t2'] })).rejects.toThrow('leaks');
  });

  test('in files below RUNNER_TEMP and the home folder too', async () => {
    const write = (folder: string) => `${APPEND} appendFileSync(process.env.${folder} + '/x', atob('czNjcjN0'))`;
    await expect(run(write('HOME'), { secrets: ['s3cr3t'] })).rejects.toThrow('file home/x');
    await expect(run(write('RUNNER_TEMP'), { secrets: ['s3cr3t'] })).rejects.toThrow('file work/_temp/x');
  });

  test('that every step has are looked for without being named', async () => {
    const env = { ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'a-request-token', AWS_SECRET_ACCESS_KEY: 'an-ambient-secret' };
    await expect(run('console.log(process.env.INPUT_TOKEN)')).rejects.toThrow('leaks');
    await expect(run('console.log(process.env.ACTIONS_ID_TOKEN_REQUEST_TOKEN)', { env })).rejects.toThrow('leaks');
    await expect(run('console.log(process.env.AWS_SECRET_ACCESS_KEY)', { env })).rejects.toThrow('leaks');
  });

  test('come with a check for commands that are not ours', async () => {
    await expect(run('console.log("a##[stop-commands]x")')).rejects.toThrow('not ours');
  });
});

test('measures what the process used when asked to', async () => {
  const { rusage } = await run('Buffer.alloc(200e6, 1)', { measure: true });
  expect(rusage!.maxRSS).toBeGreaterThan(150_000);
});
