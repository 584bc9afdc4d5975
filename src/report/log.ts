import * as core from '@actions/core';
import { plain } from '../core/text.ts';
import { redacted } from './masks.ts';

/** A line that is safe to print. Secrets go first: what is cut afterwards is not a half of one. */
const safe = (text: string) => plain(redacted(text));

/** The job's log. Every line passes `safe`, so that nothing in it can be a command of the runner or the terminal. */
export const log = {
  /** Prints one line; a line feed in it, from a file's name say, is shown and not obeyed. */
  line(text: string): void {
    core.info(safe(text));
  },
  /** Prints text of our own that has several lines. */
  block(text: string): void {
    for (const line of text.split('\n')) core.info(safe(line));
  },
  /** Prints one line that only a debug log shows. */
  debug(text: string): void {
    core.debug(safe(text));
  },
  /** Prints a line and makes an annotation that asks for nothing. */
  notice(text: string): void {
    core.notice(safe(text));
  },
  /** Prints a yellow line and makes an annotation. */
  warn(text: string): void {
    core.warning(safe(text));
  },
  /** Prints a red line and makes an annotation. */
  error(title: string, text: string): void {
    core.error(
      text
        .split('\n')
        .map((line) => safe(line))
        .join('\n'),
      { title },
    );
  },
  /** Folds what `work` prints under a heading. */
  async group<T>(name: string, work: () => Promise<T>): Promise<T> {
    core.startGroup(safe(name));
    try {
      return await work();
    } finally {
      core.endGroup();
    }
  },
};
