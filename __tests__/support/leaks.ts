import type { RunnerLog } from './runner-log.ts';

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
/** Shorter pieces of base64 turn up by chance. */
const MIN_ENCODED = 8;

/**
 * Fails when a secret, plain or in a common encoding, is in anything that a run leaves behind.
 * Its one allowed place is the data of `::add-mask::`: a masked line was still printed, and a mask does not know
 * hex, base64url or half a value.
 *
 * @throws with one line for each place, naming the secret by number and length only
 */
export function expectNoLeak(run: Traces, secrets: Iterable<string>): void {
  const places = placesOf(run);
  const found: string[] = [];
  for (const [index, secret] of [...secrets].entries()) {
    if (secret.length < 4) throw new Error(`Secret ${index} is too short to look for: ${secret.length} characters.`);
    for (const [form, needle] of formsOf(secret)) {
      for (const [place, text] of places) {
        if (text.includes(needle)) found.push(`secret ${index} (${secret.length} characters) as ${form} in ${place}`);
      }
    }
  }
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
    for (const [name, value] of Object.entries(run[kind])) places.push([`${kind}.${name}`, value]);
  }
  for (const [path, body] of run.files) {
    places.push([`file ${path}`, body.toString('utf8')], [`file ${path}`, body.toString('latin1')]);
  }
  return places;
}

/** A secret as it may be written, by the name of the form. */
function formsOf(secret: string): [string, string][] {
  const bytes = Buffer.from(secret);
  const forms: [string, string][] = [
    ['itself', secret],
    ['hex', bytes.toString('hex')],
    ['HEX', bytes.toString('hex').toUpperCase()],
    ['a URL', encodeURIComponent(secret)],
    ['a form', new URLSearchParams([['', secret]]).toString().slice(1)],
    ['JSON', JSON.stringify(secret).slice(1, -1)],
    ['JSON in JSON', JSON.stringify(JSON.stringify(secret)).slice(3, -3)],
  ];
  for (const shift of [0, 1, 2]) {
    const core = base64Core(bytes, shift);
    if (core.length < MIN_ENCODED) continue;
    forms.push([`base64 (shift ${shift})`, core]);
    forms.push([`base64url (shift ${shift})`, core.replaceAll('+', '-').replaceAll('/', '_')]);
  }
  // Header and claims of a JWT are no secret, but its signature has no business anywhere.
  const [, , signature] = /^eyJ[\w-]+\.[\w-]+\.([\w-]+)$/.exec(secret) ? secret.split('.') : [];
  if (signature) forms.push(['a JWT signature', signature]);
  return forms;
}

/** The characters of base64 that come out the same whatever stands around the value, `shift` bytes into a triple. */
function base64Core(bytes: Buffer, shift: number): string {
  const encoded = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
  return encoded.slice(Math.ceil((shift * 8) / 6), Math.floor(((shift + bytes.length) * 8) / 6));
}
