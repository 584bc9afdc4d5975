import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseCommandFile } from './command-files.ts';

/** What triggered the workflow. `payload` is merged over a small one of the same kind. */
export interface WorkflowEvent {
  name?: string;
  payload?: Record<string, unknown>;
}

/** The token of the job: known to the runner as a secret, and the default of inputs that say `${{ github.token }}`. */
export const JOB_TOKEN = 'ghs_T3stT0kenOfTheJob0123456789abcdefAB';

const COMMAND_FILES = {
  GITHUB_OUTPUT: 'set_output_',
  GITHUB_STEP_SUMMARY: 'step_summary_',
  GITHUB_ENV: 'set_env_',
  GITHUB_STATE: 'save_state_',
  GITHUB_PATH: 'add_path_',
} as const;

/** Folders and files of one step below a temporary folder, and the environment that names them. */
export interface StepEnvironment {
  env: Record<string, string>;
  workspace: string;
  /** Reads what the step wrote. Files made before the step began are not among `files`, unless the step could fill them. */
  collect(): Promise<{
    outputs: Record<string, string>;
    state: Record<string, string>;
    env: Record<string, string>;
    paths: string[];
    summary: string;
    files: Map<string, Buffer>;
  }>;
}

/** Lays out `root` as a runner's work folder: an empty home, RUNNER_TEMP with the command files, the event, a workspace. */
export async function prepareStep(
  root: string,
  event: WorkflowEvent = {},
  workspace = path.join(root, 'work', 'site', 'site'),
): Promise<StepEnvironment> {
  const temp = path.join(root, 'work', '_temp');
  const home = path.join(root, 'home');
  const commands = path.join(temp, '_runner_file_commands');
  const eventPath = path.join(root, 'work', '_event', 'event.json');
  for (const folder of [commands, home, workspace, path.dirname(eventPath)]) await mkdir(folder, { recursive: true });

  const name = event.name ?? 'push';
  const payload = { ...defaultPayload(name), ...event.payload };
  await writeFile(eventPath, JSON.stringify(payload));
  const files = Object.entries(COMMAND_FILES).map(([variable, prefix]): [string, string] => [
    variable,
    path.join(commands, prefix + randomUUID()),
  ]);
  for (const [, file] of files) await writeFile(file, '');
  const paths = Object.fromEntries(files) as Record<keyof typeof COMMAND_FILES, string>;

  const read = (variable: keyof typeof COMMAND_FILES) => readFile(paths[variable], 'utf8');
  return {
    env: {
      PATH: process.env.PATH ?? '',
      HOME: home,
      CI: 'true',
      GITHUB_ACTIONS: 'true',
      GITHUB_EVENT_NAME: name,
      GITHUB_EVENT_PATH: eventPath,
      GITHUB_REPOSITORY: 'acme/site',
      GITHUB_REPOSITORY_OWNER: 'acme',
      GITHUB_RUN_ID: '7700112233',
      GITHUB_RUN_NUMBER: '42',
      GITHUB_RUN_ATTEMPT: '1',
      ...refs(name, payload),
      GITHUB_SHA: '5e1f0c7b2a9d4e83b6f1a0c9d8e7f6a5b4c3d2e1',
      GITHUB_WORKFLOW: 'deploy',
      GITHUB_JOB: 'deploy',
      GITHUB_ACTION: '__self',
      GITHUB_ACTOR: 'octocat',
      GITHUB_SERVER_URL: 'https://github.com',
      // Nothing listens on port 9: a test that needs the API names its own.
      GITHUB_API_URL: 'http://127.0.0.1:9',
      GITHUB_WORKSPACE: workspace,
      RUNNER_TEMP: temp,
      RUNNER_OS: 'Linux',
      RUNNER_ARCH: process.arch.toUpperCase(),
      RUNNER_NAME: 'GitHub Actions 1',
      ...paths,
    },
    workspace,
    async collect() {
      return {
        outputs: parseCommandFile(await read('GITHUB_OUTPUT')),
        state: parseCommandFile(await read('GITHUB_STATE')),
        env: parseCommandFile(await read('GITHUB_ENV')),
        paths: (await read('GITHUB_PATH')).split('\n').filter(Boolean),
        summary: await read('GITHUB_STEP_SUMMARY'),
        files: new Map([...(await readTree(temp, root)), ...(await readTree(home, root))]),
      };
    },
  };
}

/** Every file below `folder`, by its path from `root`. */
async function readTree(folder: string, root: string): Promise<[string, Buffer][]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  return Promise.all(files.map(async (file) => [path.relative(root, file), await readFile(file)] as [string, Buffer]));
}

function defaultPayload(name: string): Record<string, unknown> {
  const repository = { full_name: 'acme/site', name: 'site', owner: { login: 'acme' }, default_branch: 'main' };
  if (!name.startsWith('pull_request')) return { ref: 'refs/heads/main', repository };
  const head = {
    ref: 'feature',
    sha: 'c0ffee5b2a9d4e83b6f1a0c9d8e7f6a5b4c3d2e1',
    repo: { ...repository, fork: false },
  };
  return { action: 'synchronize', number: 7, pull_request: { number: 7, head, base: { ref: 'main' } }, repository };
}

function refs(name: string, payload: Record<string, unknown>): Record<string, string> {
  if (name === 'pull_request') {
    const number = String(payload.number);
    return { GITHUB_REF: `refs/pull/${number}/merge`, GITHUB_HEAD_REF: 'feature', GITHUB_BASE_REF: 'main' };
  }
  return { GITHUB_REF: name.startsWith('pull_request') ? 'refs/heads/main' : String(payload.ref ?? 'refs/heads/main') };
}
