import type { RunnerLog } from './runner-log.ts';
import type { Secrets } from './secrets.ts';

/** The traces of a run that anybody but the step itself can read. */
export interface Traces {
  log: RunnerLog;
  outputs: Record<string, string>;
  env: Record<string, string>;
  state: Record<string, string>;
  paths: string[];
  summary: string;
  /** Files that the run left behind, by path. */
  files: ReadonlyMap<string, Buffer>;
}

/** The only workflow commands that this action has a use for. */
const OUR_COMMANDS = new Set(['add-mask', 'group', 'endgroup', 'error', 'warning', 'notice', 'debug']);

/**
 * Fails when a secret, plain or in a common encoding, whole or cut off, is in anything that a run leaves behind.
 * Its one allowed place is the data of `::add-mask::`: a masked line was still printed, and a mask does not know
 * hex, base64url or half a value.
 *
 * @throws with one line for each place, naming what is told there without telling it
 */
export function expectNoLeak(run: Traces, ...secrets: Secrets[]): void {
  const found = placesOf(run).flatMap(([place, text]) =>
    secrets.flatMap((some) => some.toldBy(text).map((name) => `${name} in ${place}`)),
  );
  if (found.length > 0) throw new Error(`The run leaks:\n  ${[...new Set(found)].join('\n  ')}`);
}

/**
 * Fails when the log holds a command that this action never gives, `stop-commands` or `set-output` say: then a file
 * name or a server's message was taken for one.
 */
export function expectOnlyOurCommands(run: Pick<Traces, 'log'>): void {
  const foreign = run.log.commands.filter(({ name }) => !OUR_COMMANDS.has(name));
  if (foreign.length > 0) {
    throw new Error(`Commands that are not ours were obeyed:\n  ${foreign.map((c) => JSON.stringify(c)).join('\n  ')}`);
  }
  if (run.log.failed) throw new Error('The runner refused a command.');
}

/** Every place a secret could be read in, as text; bytes that are not UTF-8 become latin-1, which keeps ASCII whole. */
function placesOf(run: Traces): [string, string][] {
  const places: [string, string][] = [
    ['the raw output', run.log.raw.join('\n')],
    ['the visible log', run.log.lines.map(({ text }) => text).join('\n')],
    ['an annotation', JSON.stringify(run.log.annotations)],
    ['the summary', run.summary],
    ['GITHUB_PATH', run.paths.join('\n')],
  ];
  for (const kind of ['outputs', 'env', 'state'] as const) {
    for (const [name, value] of Object.entries(run[kind])) places.push([`${kind}.${name}`, `${name}=${value}`]);
  }
  for (const [path, body] of run.files) {
    places.push([`file ${path}`, `${path}\n${body.toString('utf8')}`]);
    if (!body.every((byte) => byte < 128)) places.push([`file ${path}`, body.toString('latin1')]);
  }
  return places;
}
