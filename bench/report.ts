/** Whether a goal was met. */
export interface Verdict {
  readonly goal: string;
  readonly measured: string;
  /** Undefined where it could not be measured. */
  readonly met: boolean | undefined;
}

/** What came of a row. */
export interface Report {
  readonly verdicts: readonly Verdict[];
  /** Markdown: what every tool took. */
  readonly detail: string;
}

/** Ratios of each round by itself, for what the machine did besides was the same then, or nearly: median, and span. */
export function describeRatios(ratios: readonly number[]): string {
  const span = ratios.length < 2 ? '' : ` (${digits(Math.min(...ratios))}–${digits(Math.max(...ratios))})`;
  return `${digits(median(ratios))}${span}`;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

/** A number with three digits that count, or all before the point. */
export function digits(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export function roundsText(rounds: number): string {
  return `${rounds} ${rounds === 1 ? 'round' : 'rounds'}`;
}

/** A table in Markdown, as the formatter wants it and people can read it. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) => Math.max(3, ...[head, ...rows].map((cells) => cells[column]?.length ?? 0)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, n) => cell.padEnd(widths[n] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

/** The table of goals, of all rows. */
export function goalsTable(rows: readonly { readonly title: string; readonly report: Report }[]): string {
  const lines = rows.flatMap(({ title, report }) =>
    report.verdicts.map(({ goal, measured, met }, nth) => [
      nth === 0 ? title : '',
      goal,
      measured,
      met === undefined ? 'not measured' : met ? 'met' : '**not met**',
    ]),
  );
  return table(['work', 'goal', 'measured', ''], lines);
}
