import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expectNoLeak, expectOnlyOurCommands, type Traces } from './leaks.ts';
import { inputEnvironment, readAction } from './runner/action-file.ts';
import { JOB_TOKEN, prepareStep, type WorkflowEvent } from './runner/step-environment.ts';
import { RunnerLog } from './runner-log.ts';
import { handedOut, Secrets } from './secrets.ts';

export { JOB_TOKEN, type WorkflowEvent } from './runner/step-environment.ts';

/** When to interrupt a run: after milliseconds, at the first line of output that matches, or when something is done. */
export type Moment = number | RegExp | Promise<unknown>;

export interface RunOptions {
  /** What the workflow says under `with:`. An input that action.yml does not declare is an error. */
  inputs?: Record<string, string | boolean | number>;
  /** More variables for the step, above the runner's own; `undefined` takes one away. */
  env?: Record<string, string | undefined>;
  event?: WorkflowEvent;
  /** Folder that holds action.yml; this repository if absent. */
  action?: string;
  /** Script to run instead of the one that action.yml names. */
  dist?: string;
  /** GITHUB_WORKSPACE and the working directory; a new empty folder if absent. */
  workspace?: string;
  /** More values that must appear nowhere, besides all that are looked for in every run. */
  secrets?: Iterable<string>;
  /** Values that the job knows as secrets before the step; the job's token always is one. */
  masks?: Iterable<string>;
  /** Cancels as the runner does (SIGINT, 7.5 s, SIGTERM, 2.5 s, SIGKILL), or sends the one signal that is named. */
  signalAfter?: Moment | { at: Moment; signal: NodeJS.Signals };
  /** The run is killed and `runAction` throws after this; 60,000 if absent. */
  timeoutMs?: number;
  /** Answers `rusage` too. It costs a preloaded script, so that the process is no longer quite the runner's. */
  measure?: boolean;
  /** What starts Node: `taskset -c 0`, say. */
  launcher?: readonly string[];
  /** Options of Node, before the script. */
  nodeOptions?: readonly string[];
}

export interface ActionRun extends Traces {
  /** `null` when a signal ended the process. */
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  /** True when the runner would mark the step red: an exit code, a signal, or a refused command. */
  failed: boolean;
  stdout: string;
  stderr: string;
  /** What the output `result-file` points at, parsed. */
  // biome-ignore lint/suspicious/noExplicitAny: its form is the contract that tests check field by field
  result: any;
  durationMs: number;
  rusage: NodeJS.ResourceUsage | undefined;
  /** Content of a file that the run left in RUNNER_TEMP or its home, by the path that an output names. */
  fileAt(absolutePath: string): string | undefined;
}

const KILL_AFTER_MS: [NodeJS.Signals, number][] = [
  ['SIGINT', 7_500],
  ['SIGTERM', 2_500],
  ['SIGKILL', 0],
];
const RUSAGE = path.join(import.meta.dirname, 'runner', 'rusage.cjs');
const REPOSITORY = path.join(import.meta.dirname, '..', '..');
let runs = 0;
handedOut.add('the token of the job', JOB_TOKEN);

/**
 * Runs a Node action as GitHub's runner does, in an environment that inherits nothing but PATH, and reads what it leaves.
 * Every run, killed, cancelled or out of time, is held to `expectNoLeak` and `expectOnlyOurCommands`: nothing that this
 * process has handed out, that the step was given or that it has masked itself may be told.
 *
 * @throws when the run outlasts `timeoutMs`, leaks a secret, or has a command obeyed that is not ours
 */
export async function runAction(options: RunOptions = {}): Promise<ActionRun> {
  const root = await mkdtemp(path.join(tmpdir(), 's3-deploy-run-'));
  try {
    const { timedOut, ...run } = await runIn(root, options);
    expectNoLeak(run, handedOut, secretsOf(options, run.log));
    expectOnlyOurCommands(run);
    if (timedOut)
      throw new Error(`The action was still running after ${timeoutOf(options)} ms. Its log:\n${run.log.visible}`);
    return run;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** Inputs and variables whose values are secret by their names. */
const SECRET_NAME = /(secret|token|password|secret[-_]access[-_]key)$/i;
/** Shorter values are words, which a log may hold by chance; `mask` in src/report leaves them to the runner, too. */
const SHORTEST = 8;

/** What a step knows and may not tell, whether a test thinks of it or not. */
function secretsOf({ inputs = {}, env = {}, secrets = [] }: RunOptions, log: RunnerLog): Secrets {
  const all = new Secrets();
  const named = Object.entries({ ...inputs, ...env }).filter(([name]) => SECRET_NAME.test(name));
  const given = named.map(([name, value]) => [name, String(value ?? '').trim()] as const);
  const masked = log.masks.map((mask) => ['a mask', mask] as const);
  for (const [name, value] of [...given, ...masked]) if (value.length >= SHORTEST) all.add(name, value);
  for (const secret of secrets) all.add('a secret of this run', secret);
  return all;
}

const timeoutOf = ({ timeoutMs = 60_000 }: RunOptions) => timeoutMs;

async function runIn(root: string, options: RunOptions): Promise<ActionRun & { timedOut: boolean }> {
  const action = await readAction(options.action ?? REPOSITORY);
  const step = await prepareStep(root, options.event, options.workspace);
  const inputs = inputEnvironment(action, options.inputs ?? {}, { ...step.env, GITHUB_TOKEN: JOB_TOKEN });
  // Every other run is one whose job debugs its steps: more may be printed then, and no secret.
  const debug = runs++ % 2 === 1 ? { RUNNER_DEBUG: '1' } : {};
  const env = { ...step.env, ...debug, ...inputs, ...options.env };
  const log = new RunnerLog([JOB_TOKEN, ...(options.masks ?? [])]);

  const [file = '', ...args] = [
    ...(options.launcher ?? []),
    process.execPath,
    ...(options.measure ? ['--require', RUSAGE] : []),
    ...(options.nodeOptions ?? []),
    options.dist ?? action.main,
  ];
  const started = performance.now();
  const child = spawn(file, args, {
    cwd: step.workspace,
    env: Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined)),
    stdio: ['ignore', 'pipe', 'pipe', options.measure ? 'pipe' : 'ignore'],
  });
  const streams = { stdout: listen(child, 1, log), stderr: listen(child, 2, log), rusage: listen(child, 3) };
  const done = new AbortController();
  const interrupted = interrupt(child, log, options.signalAfter, done.signal);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill('SIGKILL');
  }, timeoutOf(options));

  const [exitCode, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  const durationMs = performance.now() - started;
  clearTimeout(timer);
  done.abort();
  await interrupted;

  const left = await step.collect();
  const fileAt = (absolutePath: string) => left.files.get(path.relative(root, absolutePath))?.toString('utf8');
  const result = left.outputs['result-file'] ? fileAt(left.outputs['result-file']) : undefined;
  const rusage = streams.rusage();
  return {
    ...left,
    exitCode,
    signal,
    timedOut,
    failed: exitCode !== 0 || log.failed,
    stdout: streams.stdout(),
    stderr: streams.stderr(),
    log,
    result: result === undefined ? undefined : JSON.parse(result),
    durationMs,
    rusage: rusage ? (JSON.parse(rusage) as NodeJS.ResourceUsage) : undefined,
    fileAt,
  };
}

/** Collects one of the child's streams, and feeds it to the log line by line if there is one. */
function listen(child: ChildProcess, descriptor: 1 | 2 | 3, log?: RunnerLog): () => string {
  const chunks: Buffer[] = [];
  const reader = log?.reader();
  const stream = child.stdio[descriptor];
  stream?.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    reader?.push(chunk);
  });
  stream?.on('end', () => reader?.end());
  return () => Buffer.concat(chunks).toString('utf8');
}

/** Waits for the moment and sends the signals, each only while the process lives. */
async function interrupt(
  child: ChildProcess,
  log: RunnerLog,
  signalAfter: RunOptions['signalAfter'],
  done: AbortSignal,
): Promise<void> {
  if (signalAfter === undefined) return;
  const one = typeof signalAfter === 'object' && 'signal' in signalAfter ? signalAfter : undefined;
  await reached(one ? one.at : (signalAfter as Moment), log, done);
  for (const [signal, pauseMs] of one ? ([[one.signal, 0]] as typeof KILL_AFTER_MS) : KILL_AFTER_MS) {
    if (done.aborted) return;
    child.kill(signal);
    await pause(pauseMs, done);
  }
}

async function reached(moment: Moment, log: RunnerLog, done: AbortSignal): Promise<void> {
  if (typeof moment === 'number') return pause(moment, done);
  const ended = new Promise<void>((resolve) => done.addEventListener('abort', () => resolve(), { once: true }));
  if (!(moment instanceof RegExp)) {
    await Promise.race([moment, ended]);
    return;
  }
  const seen = new Promise<void>((resolve) => {
    log.onLine = (line) => {
      if (moment.test(line)) resolve();
    };
  });
  await Promise.race([seen, ended]);
}

function pause(ms: number, done: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    done.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
