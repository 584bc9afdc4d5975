import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { DEFAULT_SIZES, memoryFor, multipartEtag, PARTS_AT_ONCE, partSizeFor } from '../../src/core/parts.ts';

const MIB = 1024 ** 2;
const TIB = 1024 ** 4;

test.each([
  ['a small file', 10 * MIB, 8 * MIB],
  ['10,000 parts exactly', 80_000 * MIB, 8 * MIB],
  ['one byte more', 80_000 * MIB + 1, 9 * MIB],
  ['the largest object', 5 * TIB, 525 * MIB],
  ['nothing', 0, 8 * MIB],
])('the parts of %s', (_what, size, part) => {
  expect(partSizeFor(size, DEFAULT_SIZES)).toBe(part);
});

test.each([8 * MIB + 1, 80_000 * MIB + 1, 1 * TIB - 1, 5 * TIB])('%d bytes fit in 10,000 parts', (size) => {
  expect(Math.ceil(size / partSizeFor(size, DEFAULT_SIZES))).toBeLessThanOrEqual(10_000);
});

test('a larger part size that is asked for is used', () => {
  expect(partSizeFor(80_001 * MIB, { threshold: 100 * MIB, part: 100 * MIB })).toBe(100 * MIB);
});

test.each([
  ['nothing', 0, 0],
  ['a file that goes up whole', 3 * MIB, 3 * MIB],
  ['a file of the threshold', 8 * MIB, 8 * MIB],
  ['a file of fewer parts than are under way at once', 9 * MIB, 9 * MIB],
  ['a large file', 1000 * MIB, PARTS_AT_ONCE * 8 * MIB],
])('the memory for %s', (_what, size, bytes) => {
  expect(memoryFor(size, DEFAULT_SIZES)).toBe(bytes);
});

test('the ETag of parts is the MD5 of their MD5s, and their number', () => {
  const md5s = ['a', 'b', 'c'].map((text) => createHash('md5').update(text).digest());
  // As md5sum gives it for the 48 bytes of the three digests.
  expect(multipartEtag(md5s)).toBe('4054c6f7787ecb7b323323155b0c0583-3');
});
