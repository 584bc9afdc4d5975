import { createHash } from 'node:crypto';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { sourceFilter } from '../../src/core/globs.ts';
import type { LocalFile } from '../../src/core/model.ts';
import { withBody } from '../../src/site/body.ts';
import { digestOf } from '../../src/site/digest.ts';
import { scanSource } from '../../src/site/scan.ts';

const MIB = 1024 ** 2;
const SIZES = { threshold: 5 * MIB, part: 5 * MIB, mostParts: 10_000 };
const WHOLE = '0'.repeat(32);
const inParts = (count: number) => `${WHOLE}-${count}`;
const md5 = (content: Uint8Array) => createHash('md5').update(content).digest();

/** The ETag that S3 would give a file, in the form of this one. */
async function etagOf(...args: Parameters<typeof digestOf>): Promise<string | undefined> {
  return (await digestOf(...args)).etag;
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'site-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function scanned(content: Uint8Array | string): LocalFile {
  writeFileSync(join(folder, 'a'), content);
  const [file] = scanSource(folder, sourceFilter([], []), '').files;
  if (file === undefined) throw new Error('nothing was scanned');
  return file;
}

/** Bytes of which no two pieces are alike, so that a wrong offset shows. */
function content(size: number): Buffer {
  const buffer = Buffer.alloc(size);
  for (let i = 0; i + 4 <= size; i += 4) buffer.writeUInt32LE(i, i);
  return buffer;
}

describe('for an object that went up whole', () => {
  test.each([
    ['an empty file', '', 'd41d8cd98f00b204e9800998ecf8427e'],
    ['a byte', 'a', '0cc175b9c0f1b6a831c399e269772661'],
    ['a word', 'abc', '900150983cd24fb0d6963f7d28e17f72'],
  ])('the ETag of %s is its MD5', async (_what, text, etag) => {
    expect(await etagOf(folder, scanned(text), WHOLE, SIZES)).toBe(etag);
  });

  test.each([MIB - 1, MIB, MIB + 1, 11 * MIB + 3])('the ETag of %d bytes is the MD5 of all of them', async (size) => {
    const all = content(size);
    expect(await etagOf(folder, scanned(all), WHOLE, SIZES)).toBe(md5(all).toString('hex'));
  });
});

describe('for an object that went up in parts', () => {
  test.each([
    [11 * MIB + 3, 3],
    [10 * MIB, 2],
    [5 * MIB, 1],
    [100, 1],
  ])('the ETag of %d bytes is the MD5 of the MD5s of %d parts', async (size, parts) => {
    const all = content(size);
    const pieces = Array.from({ length: parts }, (_, i) => all.subarray(i * 5 * MIB, (i + 1) * 5 * MIB));
    const expected = `${md5(Buffer.concat(pieces.map(md5))).toString('hex')}-${parts}`;
    expect(await etagOf(folder, scanned(all), inParts(parts), SIZES)).toBe(expected);
  });

  test.each([
    ['more parts than we would make', 6 * MIB, 3],
    ['fewer parts than we would make', 11 * MIB, 2],
    ['a part where there is none to make', 0, 1],
  ])('%s: the ETag tells nothing, the content is known all the same', async (_what, size, parts) => {
    const file = scanned(content(size));
    const digest = await digestOf(folder, file, inParts(parts), SIZES);
    expect(digest).toEqual({ content: fingerprint(content(size)), etag: undefined });
  });
});

describe('the fingerprint of content', () => {
  const sizes = [0, 1, MIB - 1, MIB, MIB + 1, 5 * MIB, 8 * MIB, 8 * MIB + 1, 11 * MIB + 3, 24 * MIB];

  test.each(sizes)(
    'of %d bytes is the same, whatever its object looks like, and there is no ETag without one',
    async (size) => {
      const file = scanned(content(size));
      const expected = { content: fingerprint(content(size)), etag: undefined };
      expect(await digestOf(folder, file, undefined, SIZES)).toEqual(expected);
      for (const like of [WHOLE, inParts(1), inParts(3), inParts(7)])
        expect(await digestOf(folder, file, like, SIZES)).toMatchObject({ content: expected.content });
    },
  );

  test.each(sizes)('of %d bytes is the one that an upload has, whole or in parts of any size', async (size) => {
    const all = content(size);
    const file = scanned(all);
    const { content: expected } = await digestOf(folder, file, undefined, SIZES);
    for (const part of [Math.max(1, size), 5 * MIB, 8 * MIB, 9 * MIB, 16 * MIB, 5 * MIB + 7]) {
      const found = await withBody(folder, file, async (body) => {
        const starts = Array.from({ length: Math.max(1, Math.ceil(size / part)) }, (_, i) => i * part);
        // Asked for at once, as an upload does, and once more after that, as one that begins again.
        for (const _time of ['first', 'again']) {
          const right = starts.map((start) =>
            body.withPart(start, Math.min(part, size - start), async ({ content, sha256 }) => {
              const sent = all.subarray(start, start + part);
              return content.equals(sent) && sha256.equals(createHash('sha256').update(sent).digest());
            }),
          );
          expect(new Set(await Promise.all(right))).toEqual(new Set([true]));
        }
        return body.content();
      });
      expect([part, found]).toEqual([part, expected]);
    }
  });

  test('of a content that is one piece is its SHA-256, cut', async () => {
    const { content } = await digestOf(folder, scanned('abc'), undefined, SIZES);
    expect(content).toBe(createHash('sha256').update('abc').digest('base64url').slice(0, 16));
  });

  test('tells contents of the same size apart, and pieces that change places', async () => {
    const pieces = [Buffer.alloc(8 * MIB, 'a'), Buffer.alloc(8 * MIB, 'b')];
    const digests = [];
    for (const all of [pieces, pieces.toReversed(), [Buffer.alloc(16 * MIB, 'a')]])
      digests.push((await digestOf(folder, scanned(Buffer.concat(all)), undefined, SIZES)).content);
    expect(new Set(digests).size).toBe(3);
  });
});

/** 96 bits of the SHA-256 of the content, or of the SHA-256s of each 8 MiB where there is more than one of them. */
function fingerprint(all: Buffer): string {
  const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest();
  const pieces = Array.from({ length: Math.max(1, Math.ceil(all.length / (8 * MIB))) }, (_, i) =>
    sha256(all.subarray(i * 8 * MIB, (i + 1) * 8 * MIB)),
  );
  const digest = pieces.length === 1 ? sha256(all) : sha256(Buffer.concat(pieces));
  return digest.subarray(0, 12).toString('base64url');
}

describe('a file that is not the one that was scanned', () => {
  test.each([
    ['longer', () => appendFileSync(join(folder, 'a'), 'x')],
    ['shorter', () => truncateSync(join(folder, 'a'), 1)],
  ])('but %s has no ETag', async (_what, change) => {
    const file = scanned('abc');
    change();
    await expect(etagOf(folder, file, WHOLE, SIZES)).rejects.toMatchObject({ code: 'SOURCE_INVALID' });
  });

  test('nor one that is written while it is read', async () => {
    const file = scanned(new Uint8Array(48 * MIB));
    const digest = etagOf(folder, file, WHOLE, SIZES);
    const open = () => readdirSync('/proc/self/fd').some((fd) => linkOf(`/proc/self/fd/${fd}`) === join(folder, 'a'));
    while (!open()) await setTimeout(1);
    await setTimeout(5);
    utimesSync(join(folder, 'a'), 1, 1);
    await expect(digest).rejects.toMatchObject({ code: 'SOURCE_INVALID' });
  });
});

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
