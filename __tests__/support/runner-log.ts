import { type Command, parseCommand } from './runner/commands.ts';
import { LineReader } from './runner/line-reader.ts';
import { SecretMasker } from './runner/secret-masker.ts';

export type { Command } from './runner/commands.ts';

/** Something that a person finds in the log, masked. */
export interface LogLine {
  kind: 'text' | 'group' | 'endgroup' | 'error' | 'warning' | 'notice' | 'debug';
  text: string;
  /** Title of the group that the line is folded into. Groups do not nest: a second one ends the first. */
  group: string | undefined;
}

/** What the run's page shows above the log. The runner masks the message and nothing but the message. */
export interface Annotation {
  kind: 'error' | 'warning' | 'notice';
  message: string;
  title: string | undefined;
  properties: Record<string, string>;
}

/** Commands that this runner still has names for; set-env and add-path only to refuse them. */
const NAMES = `stop-commands set-env set-output save-state add-mask add-path add-matcher remove-matcher
  debug warning error notice group endgroup echo`.split(/\s+/);
/** Of each kind, no more annotations than this are kept, and no longer ones. */
const MAX_ANNOTATIONS = 10;
const MAX_MESSAGE = 4096;

/**
 * The runner's end of a step's output: takes lines in, obeys the commands among them, and keeps what a person would see.
 * Where the rules come from: ActionCommandManager, ActionCommand, OutputManager and SecretMasker in actions/runner.
 */
export class RunnerLog {
  readonly lines: LogLine[] = [];
  /** Every command that was recognised and obeyed, in order. */
  readonly commands: Command[] = [];
  readonly annotations: Annotation[] = [];
  /** Lines exactly as they arrived, except those that were obeyed as `add-mask`. */
  readonly raw: string[] = [];
  /** True when a command made the step fail, whatever its exit code. */
  failed = false;
  /** Title of the group that is open now; at the end of a run it should be `undefined`. */
  openGroup: string | undefined;
  /** Called with every line as it arrives, after it was read: for a test that waits for something in the log. */
  onLine: ((line: string) => void) | undefined;
  readonly #masker = new SecretMasker();
  readonly #registered = new Set(NAMES);
  #stopToken: string | undefined;
  #echo = false;

  /** `masks` are the values that the job knows as secrets before the step begins. */
  constructor(masks: Iterable<string> = []) {
    for (const mask of masks) this.#masker.addMask(mask);
  }

  /** Reads a whole text at once, as one stream. */
  static of(text: string, masks: Iterable<string> = []): RunnerLog {
    const log = new RunnerLog(masks);
    const reader = log.reader();
    reader.push(Buffer.from(text));
    reader.end();
    return log;
  }

  /** A reader for one more stream of the step; stdout and stderr share masks and the state of commands. */
  reader(): LineReader {
    return new LineReader((line) => this.add(line));
  }

  /** Values registered as masks so far, without their encodings. */
  get masks(): string[] {
    return this.#masker.originals;
  }

  /** The log as it is downloaded, without the lines of step debugging. */
  get visible(): string {
    return this.lines
      .filter(({ kind }) => kind !== 'debug')
      .map(({ kind, text }) => (kind === 'text' ? text : `##[${kind}]${text}`))
      .join('\n');
  }

  /** Takes in one line, without its line break. */
  add(line: string): void {
    const command = parseCommand(line, this.#registered);
    if (command?.name !== 'add-mask' || this.#stopToken !== undefined) this.raw.push(line);
    if (!command || !this.#obey(command, line)) this.#show('text', line);
    this.onLine?.(line);
  }

  #obey(command: Command, line: string): boolean {
    if (this.#stopToken !== undefined) {
      if (command.name !== this.#stopToken) return false;
      this.#registered.delete(this.#stopToken);
      this.#stopToken = undefined;
      this.#show('text', line);
      return true;
    }
    this.commands.push(command);
    if (this.#echo && ['group', 'endgroup', 'echo'].includes(command.name)) this.#show('text', line);
    this.#run(command, line);
    return true;
  }

  #run({ name, data, properties }: Command, line: string): void {
    if (name === 'stop-commands') this.#stop(data, line);
    else if (name === 'add-mask') this.#mask(data);
    else if (name === 'error' || name === 'warning' || name === 'notice') this.#annotate(name, data, properties);
    else if (name === 'debug') for (const text of data.split(/\r?\n/)) this.#show('debug', text);
    else if (name === 'group') this.#group(name, data);
    else if (name === 'endgroup') this.#group(name, '');
    else if (name === 'echo' && /^\s*(on|off)\s*$/i.test(data)) this.#echo = data.trim().toLowerCase() === 'on';
    else if (name === 'echo' || name === 'set-env' || name === 'add-path') this.#refuse(line);
  }

  #mask(data: string): void {
    if (this.#echo) this.#show('text', '::add-mask::***');
    if (data.trim() !== '') this.#masker.addMask(data);
    else this.#annotate('warning', "Can't add secret mask for empty string in ##[add-mask] command.");
  }

  /** From here on nothing is a command, `add-mask` included, until a line names the token. */
  #stop(token: string, line: string): void {
    if (token === '' || token.toLowerCase() === 'pause-logging' || this.#registered.has(token.toLowerCase())) {
      this.#refuse(line);
      return;
    }
    this.#stopToken = token.toLowerCase();
    this.#registered.add(this.#stopToken);
    if (token.length > 6) this.#masker.add(token);
    this.#show('text', line);
  }

  #refuse(line: string): void {
    this.failed = true;
    this.#annotate('error', `Unable to process command '${line}' successfully.`);
  }

  #annotate(kind: Annotation['kind'], text: string, properties: Record<string, string> = {}): void {
    const message = this.#masker.mask(text).slice(0, MAX_MESSAGE);
    if (this.annotations.filter((other) => other.kind === kind).length < MAX_ANNOTATIONS) {
      this.annotations.push({ kind, message, title: properties.title, properties });
    }
    if (message !== '') this.#show(kind, message);
  }

  #group(kind: 'group' | 'endgroup', title: string): void {
    this.openGroup = undefined;
    this.#show(kind, title);
    if (kind === 'group') this.openGroup = this.lines.at(-1)?.text;
  }

  #show(kind: LogLine['kind'], text: string): void {
    this.lines.push({ kind, text: this.#masker.mask(text), group: this.openGroup });
  }
}
