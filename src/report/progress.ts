import { bytes, count, duration } from '../core/text.ts';

/** A line so often, on uploads that take longer. */
const EVERY_MS = 5_000;

export interface Amount {
  readonly files: number;
  readonly bytes: number;
}

/** How far an upload is: `120 of 900 files, 35.2 MiB of 210.0 MiB, 11.7 MiB/s, 15 s left`. */
export function progressLine(done: Amount, total: Amount, elapsedMs: number): string {
  const rate = (done.bytes / elapsedMs) * 1000;
  const share = total.bytes === 0 ? done.files / total.files : done.bytes / total.bytes;
  const left = share > 0 && share < 1 ? `, ${duration((elapsedMs * (1 - share)) / share)} left` : '';
  return (
    `${count(done.files, 'file').replace(/ files?$/, '')} of ${count(total.files, 'file')}, ` +
    `${bytes(done.bytes)} of ${bytes(total.bytes)}, ${bytes(rate)}/s${left}`
  );
}

/** Hears of files and bytes that are up, and prints a line now and then while the upload goes on. */
export class Progress {
  #files = 0;
  #bytes = 0;

  readonly addFile = (): void => {
    this.#files++;
  };

  readonly addBytes = (count: number): void => {
    this.#bytes += count;
  };

  async during<T>(total: Amount, print: (line: string) => void, work: () => Promise<T>): Promise<T> {
    const started = performance.now();
    const timer = setInterval(() => {
      // A part that was sent twice counts once.
      const done = { files: this.#files, bytes: Math.min(this.#bytes, total.bytes) };
      print(progressLine(done, total, performance.now() - started));
    }, EVERY_MS);
    try {
      return await work();
    } finally {
      clearInterval(timer);
    }
  }
}
