import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { type Amount, Progress, progressLine } from '../../src/report/progress.ts';

const MIB = 1024 ** 2;

describe('a progress line', () => {
  test.each([
    [
      'half way',
      { files: 120, bytes: 35 * MIB },
      { files: 900, bytes: 70 * MIB },
      5000,
      '120 of 900 files, 35.0 MiB of 70.0 MiB, 7.0 MiB/s, 5.0 s left',
    ],
    [
      'at the beginning, when nobody can tell how long',
      { files: 0, bytes: 0 },
      { files: 1, bytes: MIB },
      5000,
      '0 of 1 file, 0 B of 1.0 MiB, 0 B/s',
    ],
    [
      'when all bytes are up',
      { files: 899, bytes: MIB },
      { files: 900, bytes: MIB },
      5000,
      '899 of 900 files, 1.0 MiB of 1.0 MiB, 204.8 KiB/s',
    ],
    [
      'with a rate that is no whole number',
      { files: 1, bytes: 500 },
      { files: 2, bytes: 1000 },
      5000.123,
      '1 of 2 files, 500 B of 1000 B, 100 B/s, 5.0 s left',
    ],
    [
      'of empty files',
      { files: 30, bytes: 0 },
      { files: 40, bytes: 0 },
      6000,
      '30 of 40 files, 0 B of 0 B, 0 B/s, 2.0 s left',
    ],
    [
      'of many files and hours',
      { files: 1000, bytes: MIB },
      { files: 200_000, bytes: 1000 * MIB },
      10_000,
      '1,000 of 200,000 files, 1.0 MiB of 1000.0 MiB, 102.4 KiB/s, 166 min 30 s left',
    ],
  ])('%s', (_what, done, total, elapsed, line) => {
    expect(progressLine(done, total, elapsed)).toBe(line);
  });
});

describe('progress', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  /** The lines that are printed while work takes so many milliseconds of the fake clock, and a minute later. */
  async function linesDuring(progress: Progress, total: Amount, ms: number): Promise<string[]> {
    const lines: string[] = [];
    const print = (line: string) => lines.push(line);
    const work = progress.during(total, print, () => new Promise<void>((done) => setTimeout(done, ms)));
    await jest.advanceTimersByTimeAsync(ms);
    await work;
    await jest.advanceTimersByTimeAsync(60_000);
    return lines;
  }

  test('of a short upload says nothing', async () => {
    expect(await linesDuring(new Progress(), { files: 1, bytes: 1 }, 4900)).toEqual([]);
  });

  test('of a long upload says every five seconds how far it is, and nothing after its end', async () => {
    const progress = new Progress();
    progress.addFile();
    progress.addBytes(100);
    expect(await linesDuring(progress, { files: 4, bytes: 400 }, 11_000)).toEqual([
      '1 of 4 files, 100 B of 400 B, 20 B/s, 15.0 s left',
      '1 of 4 files, 100 B of 400 B, 10 B/s, 30.0 s left',
    ]);
  });

  test('is never more than all, though a part was sent twice', async () => {
    const progress = new Progress();
    progress.addBytes(300);
    progress.addBytes(300);
    expect(await linesDuring(progress, { files: 1, bytes: 400 }, 5500)).toEqual([
      '0 of 1 file, 400 B of 400 B, 80 B/s',
    ]);
  });

  test('ends with its work, and hands on what came of it', async () => {
    const during = <T>(work: () => Promise<T>) => new Progress().during({ files: 1, bytes: 1 }, () => undefined, work);
    expect(await during(async () => 42)).toBe(42);
    await expect(during(() => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
    expect(jest.getTimerCount()).toBe(0);
  });
});
