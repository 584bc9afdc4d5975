import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compareKeys } from '../../src/core/key.ts';
import { cutRanges, type Range } from '../../src/core/ranges.ts';

const keys = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => `k${String(from + i).padStart(7, '0')}`);
const within = (key: string, { after, until }: Range) =>
  compareKeys(key, after) > 0 && (until === undefined || compareKeys(key, until) <= 0);

describe('ranges', () => {
  test('hold whole pages of what is expected', () => {
    const expected = keys(10_500);
    const ranges = cutRanges(expected, expected[999] ?? '');
    expect(ranges.map((range) => expected.filter((key) => within(key, range)).length)).toEqual([
      ...Array(9).fill(1000),
      500,
    ]);
  });

  test.each([0, 1, 999, 1000, 1001, 2000, 2001, 31_999, 32_000, 32_001, 33_000, 200_000])(
    'of %d expected keys are no more than 32, and cost no more pages than one listing',
    (count) => {
      const expected = keys(count);
      const ranges = cutRanges(expected, '');
      expect(ranges.length).toBeGreaterThanOrEqual(1);
      expect(ranges.length).toBeLessThanOrEqual(32);
      let pages = 0;
      for (const [i, { after, until }] of ranges.entries()) {
        const from = i === 0 ? 0 : expected.indexOf(after) + 1;
        const to = until === undefined ? count : expected.indexOf(until) + 1;
        pages += Math.max(1, Math.ceil((to - from) / 1000));
      }
      expect(pages).toBe(Math.max(1, Math.ceil(count / 1000)));
    },
  );

  test('is one where nothing is expected after the first page', () => {
    expect(cutRanges([], 'x')).toEqual([{ after: 'x', until: undefined }]);
    expect(cutRanges(keys(5000), 'z')).toEqual([{ after: 'z', until: undefined }]);
    expect(cutRanges(keys(5000), 'k0004999')).toEqual([{ after: 'k0004999', until: undefined }]);
  });

  test('begin after the key that was listed last, be it expected or not', () => {
    const [first] = cutRanges(keys(5000), 'k0000999x');
    expect(first).toEqual({ after: 'k0000999x', until: 'k0001999' });
  });

  test('leave no key out, whatever is expected, in whatever order', () => {
    const key = fc.string({ unit: 'binary', maxLength: 6 }).filter((one) => one.isWellFormed());
    fc.assert(
      fc.property(fc.array(key, { maxLength: 20 }), fc.nat(2500), fc.boolean(), key, fc.array(key), (...given) => {
        const [odd, count, isSorted, after, asked] = given;
        const expected = [...odd, ...keys(count)];
        if (isSorted) expected.sort(compareKeys);
        const ranges = cutRanges(expected, after);
        for (const one of [...asked, ...odd]) {
          const found = ranges.filter((range) => within(one, range)).length;
          if (compareKeys(one, after) <= 0) continue;
          expect(found).toBeGreaterThanOrEqual(1);
          if (isSorted) expect(found).toBe(1);
        }
      }),
    );
  });
});
