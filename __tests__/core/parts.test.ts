import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { DEFAULT_PART, multipartEtag, partSizeFor } from '../../src/core/parts.ts';

const MIB = 1024 ** 2;
const TIB = 1024 ** 4;
const SIZES = { threshold: DEFAULT_PART, part: DEFAULT_PART, mostParts: 10_000 };
const FEW = { ...SIZES, mostParts: 1_000 };

test.each([
  ['a small file', 10 * MIB, 8 * MIB],
  ['10,000 parts exactly', 80_000 * MIB, 8 * MIB],
  ['one byte more', 80_000 * MIB + 1, 9 * MIB],
  ['the largest object', 5 * TIB, 525 * MIB],
  ['nothing', 0, 8 * MIB],
])('the parts of %s', (_what, size, part) => {
  expect(partSizeFor(size, SIZES)).toBe(part);
});

test.each([8 * MIB + 1, 80_000 * MIB + 1, 1 * TIB - 1, 5 * TIB])('%d bytes fit in 10,000 parts', (size) => {
  expect(Math.ceil(size / partSizeFor(size, SIZES))).toBeLessThanOrEqual(10_000);
});

test.each([
  ['1,000 parts exactly', 8_000 * MIB, 8 * MIB],
  ['one byte more', 8_000 * MIB + 1, 9 * MIB],
  ['a tebibyte', 1 * TIB, 1049 * MIB],
])('the parts of %s, where a store allows 1,000', (_what, size, part) => {
  expect(partSizeFor(size, FEW)).toBe(part);
  expect(Math.ceil(size / part)).toBeLessThanOrEqual(1_000);
});

test('a larger part size that is asked for is used', () => {
  expect(partSizeFor(80_001 * MIB, { ...SIZES, part: 100 * MIB })).toBe(100 * MIB);
});

test('the ETag of parts is the MD5 of their MD5s, and their number', () => {
  const md5s = ['a', 'b', 'c'].map((text) => createHash('md5').update(text).digest());
  // As md5sum gives it for the 48 bytes of the three digests.
  expect(multipartEtag(md5s)).toBe('4054c6f7787ecb7b323323155b0c0583-3');
});
