import * as core from '@actions/core';
import { plain } from '../core/text.ts';

/** The job's log. Every line passes `plain`, so that nothing in it can be a command of the runner or the terminal. */
export const log = {
  /** Prints one line; a line feed in it, from a file's name say, is shown and not obeyed. */
  line(text: string): void {
    core.info(plain(text));
  },
  /** Prints text of our own that has several lines. */
  block(text: string): void {
    for (const line of text.split('\n')) core.info(plain(line));
  },
  /** Prints one line that only a debug log shows. */
  debug(text: string): void {
    core.debug(plain(text));
  },
  /** Prints a line and makes an annotation that asks for nothing. */
  notice(text: string): void {
    core.notice(plain(text));
  },
  /** Prints a yellow line and makes an annotation. */
  warn(text: string): void {
    core.warning(plain(text));
  },
  /** Prints a red line and makes an annotation. */
  error(title: string, text: string): void {
    core.error(
      text
        .split('\n')
        .map((line) => plain(line))
        .join('\n'),
      { title },
    );
  },
  /** Folds what `work` prints under a heading. */
  async group<T>(name: string, work: () => Promise<T>): Promise<T> {
    core.startGroup(plain(name));
    try {
      return await work();
    } finally {
      core.endGroup();
    }
  },
};
