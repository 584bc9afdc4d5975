import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  constants,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { eachOf } from '../../src/core/each-of.ts';
import { sourceFilter } from '../../src/core/globs.ts';
import { contentFingerprint, FINGERPRINT_CHUNK } from '../../src/core/manifest.ts';
import type { Body, LocalFile } from '../../src/core/model.ts';
import { readSmall, SMALL, withBody } from '../../src/site/body.ts';
import { digestOf } from '../../src/site/digest.ts';
import { scanSource } from '../../src/site/scan.ts';

const CONTENT = 'the content of the page';
const SIZES = { threshold: 5 * SMALL, part: 5 * SMALL, mostParts: 10_000 };
let folder: string;
let file: LocalFile;
const place = (name = 'page.html') => join(folder, name);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'site-'));
  writeFileSync(place(), CONTENT);
  file = scanned();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function scanned(): LocalFile {
  const [found] = scanSource(folder, sourceFilter([], []), '').files;
  if (found === undefined) throw new Error('nothing was scanned');
  return found;
}

/** Copied: what a body lends is used again. */
const readAll = async (body: Body) => Buffer.from(await body.read(0, body.size));
const changed = expect.objectContaining({
  code: 'SOURCE_INVALID',
  message: 'page.html changed while it was being deployed.',
});

describe('a body', () => {
  test('is the content of the file, whole and in pieces', async () => {
    await withBody(folder, file, async (body) => {
      expect(body.size).toBe(CONTENT.length);
      expect(String(await readAll(body))).toBe(CONTENT);
      expect(String(await body.read(4, 7))).toBe('content');
      expect(await body.read(4, 0)).toHaveLength(0);
      await body.verify();
    });
  });

  test('may be read in any order and at once', async () => {
    const pieces = await withBody(folder, file, (body) =>
      Promise.all([body.read(12, 11), body.read(0, 4), body.read(4, 8)]),
    );
    expect(pieces.map(String)).toEqual(['of the page', 'the ', 'content ']);
  });

  test('of an empty file is empty', async () => {
    writeFileSync(place(), '');
    expect(await withBody(folder, scanned(), readAll)).toHaveLength(0);
  });

  test('hands back what its use made of it', async () => {
    expect(await withBody(folder, file, async () => 42)).toBe(42);
  });

  test.each(['##[stop-commands]x', 'a\nb.html', '\ufeffx', '-', '%2e%2e'])(
    'is found under the name %j',
    async (name) => {
      renameSync(place(), place(name));
      expect(String(await withBody(folder, scanned(), readAll))).toBe(CONTENT);
    },
  );
});

describe('when a small file was last read', () => {
  const readSmallFile = (folder: string, one: LocalFile) => String(readSmall(folder, one, Buffer.alloc(SMALL)));

  test('is not noted', () => {
    const then = new Date(Date.now() - 60_000);
    utimesSync(place(), then, then);
    file = scanned();
    expect(readSmallFile(folder, file)).toBe(CONTENT);
    expect(statSync(place()).atimeMs).toBe(then.getTime());
  });

  test('is noted where it is of somebody else, who alone may ask for that', () => {
    const { size, ino, mtimeMs } = statSync('/etc/passwd');
    const theirs = { path: 'passwd', size, inode: ino, modified: mtimeMs };
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65534);
    try {
      expect(() => openSync('/etc/passwd', constants.O_NOATIME)).toThrow('EPERM');
      expect(readSmallFile('/etc', theirs)).toBe(readFileSync('/etc/passwd', 'utf8'));
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });
});

describe('the fingerprint of what was read', () => {
  const contentOf = (use: (body: Body) => Promise<unknown>) =>
    withBody(folder, file, async (body) => {
      await use(body);
      return body.content();
    });

  test('is that of the content, not of the file, however often it was read', async () => {
    const before = await contentOf(readAll);
    replace();
    file = scanned();
    expect(await contentOf((body) => readAll(body).then(() => readAll(body)))).toBe(before);
    rewrite(CONTENT.toUpperCase());
    file = scanned();
    expect(await contentOf(readAll)).not.toBe(before);
  });

  test('is not there before all of it was read', async () => {
    writeFileSync(place(), Buffer.alloc(3 * 1024 ** 2));
    file = scanned();
    await expect(contentOf((body) => body.read(2 * 1024 ** 2, 1024 ** 2))).rejects.toThrow();
  });
});

describe('the fingerprint of a large file in parts', () => {
  const content = Buffer.from(Array.from({ length: 1024 }, (_, i) => i % 251));
  const whole = Buffer.concat(
    Array.from({ length: 20 * 1024 }, () => content),
    20 * SMALL - 3,
  );
  const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest();
  const pieces = [0, 1, 2].map((i) => sha256(whole.subarray(i * FINGERPRINT_CHUNK, (i + 1) * FINGERPRINT_CHUNK)));
  beforeEach(() => {
    writeFileSync(place(), whole);
    file = scanned();
  });

  /** Reads parts of a size as an upload does, four at once, and keeps what each was sent with. */
  const inParts = (size: number, order = (offsets: number[]) => offsets) =>
    withBody(folder, file, async (body) => {
      const offsets = order(Array.from({ length: Math.ceil(body.size / size) }, (_, i) => i * size));
      const sent: [number, boolean, boolean][] = [];
      await eachOf(offsets, 4, (offset) =>
        body.withPart(offset, Math.min(size, body.size - offset), async (part) => {
          const expected = whole.subarray(offset, offset + size);
          sent.push([offset, part.content.equals(expected), part.sha256.equals(sha256(expected))]);
        }),
      );
      expect(sent).toEqual(offsets.map((offset) => [offset, true, true]));
      return body.content();
    });

  test.each([5, 7, 8, 9, 16, 20])('of %d MiB is that of the whole, and each part has its own digest', async (mib) => {
    expect(await inParts(mib * SMALL)).toBe(contentFingerprint(pieces));
  });

  test('that are read twice, from the beginning, is the same', async () => {
    expect(await inParts(5 * SMALL, (offsets) => [...offsets, ...offsets])).toBe(contentFingerprint(pieces));
  });

  test('that are not read in order is refused rather than wrong', async () => {
    await expect(inParts(5 * SMALL, (offsets) => offsets.toReversed())).rejects.toThrow('was not read');
  });
});

describe('between the scan and the upload', () => {
  test.each([
    ['written with as many other bytes', () => rewrite(CONTENT.toUpperCase())],
    ['made longer', () => appendFileSync(place(), 'x')],
    ['truncated', () => truncateSync(place(), 3)],
    ['emptied', () => truncateSync(place(), 0)],
    ['replaced by another of the same content', replace],
  ])('a file that was %s is refused', async (_what, change) => {
    change();
    await expect(withBody(folder, file, readAll)).rejects.toEqual(changed);
  });

  test.each([
    ['replaced by another', replace],
    ['made longer', () => appendFileSync(place(), 'x')],
  ])('a file that was %s is refused, though its time was set back', async (_what, change) => {
    utimesSync(place(), 1, 1);
    file = scanned();
    change();
    utimesSync(place(), 1, 1);
    await expect(withBody(folder, file, readAll)).rejects.toEqual(changed);
  });

  test('a file that was removed is refused by name', async () => {
    unlinkSync(place());
    await expect(withBody(folder, file, readAll)).rejects.toMatchObject({
      code: 'SOURCE_INVALID',
      message: expect.stringMatching(/^page\.html cannot be read: ENOENT/),
    });
  });

  test('a link that took its place is not followed, even to the very file', async () => {
    renameSync(place(), place('elsewhere'));
    symlinkSync('elsewhere', place());
    await expect(withBody(folder, file, readAll)).rejects.toMatchObject({ code: 'SOURCE_INVALID' });
  });

  test('a pipe that took its place is not waited for', async () => {
    unlinkSync(place());
    execFileSync('mkfifo', [place()]);
    await expect(withBody(folder, file, readAll)).rejects.toEqual(changed);
  });

  test('a folder that took its place is refused', async () => {
    unlinkSync(place());
    execFileSync('mkdir', [place()]);
    await expect(withBody(folder, file, readAll)).rejects.toMatchObject({ code: 'SOURCE_INVALID' });
  });
});

describe('while it is read', () => {
  /** More than is read at once. */
  const LARGE = CONTENT.repeat(100_000);
  beforeEach(() => {
    writeFileSync(place(), LARGE);
    file = scanned();
  });

  test('a file that is truncated is refused at the missing byte, and does not hang', async () => {
    const act = withBody(folder, file, (body) => {
      truncateSync(place(), 10);
      return readAll(body);
    });
    await expect(act).rejects.toEqual(changed);
  });

  test('a file that is truncated between two pieces is refused', async () => {
    const act = withBody(folder, file, async (body) => {
      await body.read(0, 10);
      truncateSync(place(), 10);
      await body.read(10, 13);
    });
    await expect(act).rejects.toEqual(changed);
  });

  test.each([
    ['written with as many other bytes', () => rewrite(LARGE.toUpperCase())],
    ['made longer', () => appendFileSync(place(), 'x')],
  ])('a file that is %s is found out before it counts', async (_what, change) => {
    const act = withBody(folder, file, async (body) => {
      change();
      await readAll(body);
      await body.verify();
    });
    await expect(act).rejects.toEqual(changed);
  });

  test('a file that is replaced gives the bytes that were scanned, or none', async () => {
    const content = await withBody(folder, file, async (body) => {
      writeFileSync(place('new'), LARGE.toUpperCase());
      renameSync(place('new'), place());
      const read = await readAll(body);
      await body.verify();
      return read;
    });
    expect(content.equals(Buffer.from(LARGE))).toBe(true);
  });
});

/** Writes the file again and again, each time with another letter: in place, as long as before or not, or anew. */
const WRITER = `
  const { openSync, writeSync, closeSync, renameSync, truncateSync } = require('node:fs');
  const [path, size] = [process.argv[1], Number(process.argv[2])];
  const wait = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  const write = (path, how, letter) => {
    const file = openSync(path, how);
    // The time of a file is that of the beginning of a write: a long one would go on behind it.
    for (let at = 0; at < size; at += 65536) writeSync(file, Buffer.alloc(65536, letter), 0, 65536, at);
    closeSync(file);
  };
  for (let i = 0; ; i++) {
    const letter = 97 + (i % 26);
    if (i % 4 === 0) write(path, 'w', letter);
    else if (i % 4 === 1) write(path, 'r+', letter);
    else if (i % 4 === 2) {
      write(path + '.new', 'w', letter);
      renameSync(path + '.new', path);
    } else truncateSync(path, i % 8 === 3 ? size / 2 : 0);
    wait(10 + (i % 7) * 10);
  }`;

test.each([
  ['read at once', SMALL],
  ['read in pieces', 3 * SMALL],
])(
  'a file that somebody writes all the time, %s, is one that was there as a whole, or is refused',
  async (_what, size) => {
    writeFileSync(place(), Buffer.alloc(size, 'a'));
    const writer = spawn(process.execPath, ['-e', WRITER, place(), String(size)], { stdio: 'inherit' });
    try {
      let [whole, refused] = [0, 0];
      for (const end = performance.now() + 2500; performance.now() < end; ) {
        const found = scanSource(folder, sourceFilter([], ['*.new']), '').files[0] as LocalFile;
        // Clocks of files tick in milliseconds: what is written within the tick of the scan looks like what was scanned.
        await wait(10);
        const read = async (body: Body) => {
          const letters = new Set<number>();
          for (let at = 0; at < body.size; at += SMALL / 2) {
            const content = await body.read(at, Math.min(SMALL / 2, body.size - at));
            for (let i = 0; i < content.length; i += 512) letters.add(content[i] ?? 0);
            body.giveBack(content);
          }
          await body.verify();
          return letters;
        };
        const letters = await withBody(folder, found, read).catch((error: { code: string }) => error.code);
        if (typeof letters === 'string') {
          expect(letters).toBe('SOURCE_INVALID');
          refused++;
        } else {
          expect(letters.size).toBeLessThanOrEqual(found.size === 0 ? 0 : 1);
          whole++;
          const [one = 0] = letters;
          const etag = async () => (await digestOf(folder, found, '0'.repeat(32), SIZES)).etag;
          const expected = createHash('md5').update(Buffer.alloc(found.size, one)).digest('hex');
          expect([expected, undefined]).toContain(await etag().catch(() => undefined));
        }
      }
      expect(whole).toBeGreaterThan(0);
      expect(refused).toBeGreaterThan(0);
    } finally {
      writer.kill('SIGKILL');
    }
  },
);

test('the file is closed, whatever its use did', async () => {
  const open = () => readdirSync('/proc/self/fd').length;
  const before = open();
  await withBody(folder, file, readAll);
  await withBody(folder, file, () => Promise.reject(new Error('upload failed'))).catch(() => undefined);
  appendFileSync(place(), 'x');
  await withBody(folder, file, readAll).catch(() => undefined);
  expect(open()).toBe(before);
});

test('the error of its use comes through as it is', async () => {
  const error = new Error('upload failed');
  await expect(withBody(folder, file, () => Promise.reject(error))).rejects.toBe(error);
});

test('a hostile name is printed harmlessly', async () => {
  const gone = { ...file, path: '##[stop-commands]x\x1b' };
  const error = await withBody(folder, gone, readAll).catch((thrown: Error) => thrown);
  expect(String(error)).toContain('##\\[stop-commands]x\\x1b cannot be read');
  expect(String(error)).not.toMatch(/##\[|\x1b/);
});

/** Writes in place, at another time: two writes may fall into one tick of the clock that stamps files. */
function rewrite(content: string): void {
  writeFileSync(place(), content);
  utimesSync(place(), 1, 1);
}

/** Puts another file of the same content into the place. */
function replace(): void {
  writeFileSync(place('new'), CONTENT);
  renameSync(place('new'), place());
}
