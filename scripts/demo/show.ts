import { styleText } from 'node:util';
import { dump } from 'js-yaml';
import type { Annotation, RunnerLog } from '../../__tests__/support/runner-log.ts';
import { summaryText } from './summary.ts';

/** Shows in a terminal what a person sees of a run on GitHub. `styleText` leaves colours out where nobody would see them. */

/** What a workflow says under `with:`. */
export type Inputs = Record<string, string | boolean>;

const WIDTH = 100;

/** The heading of a step, and what it shows. */
export function showTitle(heading: string, story: string): void {
  const rule = '━'.repeat(WIDTH - heading.length);
  console.log(`\n${styleText(['bold', 'blue'], `━━ ${heading} ${rule}`)}\n${story}\n`);
}

/** The job that starts the action with these inputs, as it stands in a workflow. */
export function showJob(inputs: Inputs): void {
  const job = {
    'runs-on': 'ubuntu-latest',
    permissions: { 'id-token': 'write', contents: 'read' },
    steps: [{ uses: 'actions/checkout@v7' }, { run: 'npm ci && npm run build' }, stepOf(inputs)],
  };
  showYaml({ jobs: { deploy: job } });
}

/** The step of such a job alone. */
export function showStep(inputs: Inputs): void {
  showYaml([stepOf(inputs)]);
}

function stepOf(inputs: Inputs) {
  return { uses: 'OWNER/s3-deploy@main', with: inputs };
}

function showYaml(value: unknown): void {
  const lines = dump(value, { lineWidth: -1 }).trimEnd().split('\n');
  showFrame(
    'workflow',
    lines.map((line) => styleText('cyan', line)),
  );
}

/** The job's log with its groups as headings, the annotations above the run's page, and the job summary. */
export function showRun(run: { log: RunnerLog; summary: string }): void {
  showFrame('log', logLines(run.log));
  showFrame('annotations', run.log.annotations.map(annotationLine));
  showFrame('summary', summaryText(run.summary).split('\n'));
}

function logLines(log: RunnerLog): string[] {
  return log.lines.flatMap(({ kind, text, group }) => {
    const indent = group === undefined ? '' : '  ';
    switch (kind) {
      case 'group':
        return styleText('bold', `▾ ${text}`);
      case 'endgroup':
      case 'debug':
        return [];
      case 'text':
        return indent + text;
      default:
        return `${LABELS[kind]}${text}`.split('\n').map((line) => styleText(COLOURS[kind], indent + line));
    }
  });
}

/** An annotation's title and its first line: the rest is in the log as well. */
function annotationLine({ kind, title, message }: Annotation): string {
  const [first] = message.split('\n');
  return styleText(COLOURS[kind], `${LABELS[kind]}${title === undefined ? '' : `${title}: `}${first}`);
}

const LABELS = { error: 'Error: ', warning: 'Warning: ', notice: 'Notice: ' };
const COLOURS = { error: 'red', warning: 'yellow', notice: 'blue' } as const;

/** Lines with a name above and a bar at the left; nothing where there are none. */
function showFrame(name: string, lines: readonly string[]): void {
  if (lines.length === 0) return;
  const bar = styleText('dim', '│');
  console.log([styleText('dim', `┌ ${name}`), ...lines.map((line) => `${bar} ${line}`.trimEnd()), ''].join('\n'));
}
