import type { Options } from './options.ts';
import type { Report } from './report.ts';
import type { Tool } from './tools/tool.ts';

/** What a row is measured with. */
export interface Bench {
  readonly options: Options;
  /** An empty folder of the row's own. */
  readonly folder: string;
  /** Other tools that are on this machine, by name. */
  readonly peers: ReadonlyMap<string, Tool>;
}

/** One kind of work, and what is to hold of it. */
export interface Row {
  readonly name: string;
  readonly title: string;
  /** Part of `--quick`. */
  readonly quick: boolean;
  measure(bench: Bench): Promise<Report>;
}
