import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { goalsTable, type Report } from './report.ts';
import type { Row } from './row.ts';

const REPOSITORY = join(import.meta.dirname, '..');
const PAGE = join(REPOSITORY, 'docs', 'performance.md');
/** The last real report of each row: rows may be run one at a time, since some take minutes. */
const REPORTS = join(REPOSITORY, '.cache', 'bench', 'reports.json');
const MARKS = ['<!-- bench -->', '<!-- /bench -->'] as const;

interface Kept {
  readonly report: Report;
  /** Machine, versions and settings. */
  readonly on: string;
}

/** Keeps the reports of a run, and writes those of all rows into the page. */
export function writePage(rows: readonly Row[], reports: ReadonlyMap<string, Report>, about: string): void {
  const kept: Record<string, Kept> = existsSync(REPORTS) ? JSON.parse(readFileSync(REPORTS, 'utf8')) : {};
  for (const [name, report] of reports) kept[name] = { report, on: about };
  mkdirSync(join(REPORTS, '..'), { recursive: true });
  writeFileSync(REPORTS, JSON.stringify(kept, undefined, 1));

  const told = rows.flatMap(({ name, title }) => (kept[name] === undefined ? [] : [{ name, title, ...kept[name] }]));
  const on = [...new Set(told.map((one) => one.on))].join('\n\n');
  const details = told.map(({ name, title, report }) => `### ${title} (\`${name}\`)\n\n${report.detail}`);
  const text = [on, goalsTable(told), ...details].join('\n\n');
  const [before = '', rest = ''] = readFileSync(PAGE, 'utf8').split(MARKS[0]);
  const [, after = ''] = rest.split(MARKS[1]);
  writeFileSync(PAGE, `${before}${MARKS[0]}\n\n${text}\n\n${MARKS[1]}${after}`);
}
