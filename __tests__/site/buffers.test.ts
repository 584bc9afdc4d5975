import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Buffers } from '../../src/site/buffers.ts';

const MIB = 1024 ** 2;

describe('a buffer', () => {
  test.each([0, 1, 4095, 4096, 4097, 65_536, 65_537, MIB, MIB + 1, 8 * MIB])(
    'for %d bytes has room, and is no more than twice that',
    (bytes) => {
      const { length } = new Buffers().take(bytes);
      expect(length).toBeGreaterThanOrEqual(bytes);
      expect(length).toBeLessThanOrEqual(Math.max(4096, 2 * bytes));
    },
  );

  test('that came back is used again, for the same size alone', () => {
    const buffers = new Buffers();
    const first = buffers.take(5000);
    buffers.giveBack(first);
    expect(buffers.take(9000)).not.toBe(first);
    expect(buffers.take(8192)).toBe(first);
    expect(buffers.take(8192)).not.toBe(first);
  });

  test('is a memory of its own, not a piece of a pool', () => {
    const { buffer, byteOffset, length } = new Buffers().take(100);
    expect([byteOffset, buffer.byteLength]).toEqual([0, length]);
  });

  test('is never lent to two at once, whoever takes and gives back in whatever order', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(100_000))), (steps) => {
        const buffers = new Buffers();
        const lent: Buffer[] = [];
        for (const [takes, number] of steps) {
          if (takes || lent.length === 0) {
            const taken = buffers.take(number);
            expect(lent).not.toContain(taken);
            lent.push(taken);
          } else buffers.giveBack(lent.splice(number % lent.length, 1)[0] as Buffer);
        }
      }),
    );
  });
});

test('no more than 48 MiB are kept for later', () => {
  const buffers = new Buffers();
  const taken = Array.from({ length: 60 }, () => buffers.take(MIB));
  for (const buffer of taken) buffers.giveBack(buffer);
  const again = Array.from({ length: 60 }, () => buffers.take(MIB));
  expect(again.filter((buffer) => taken.includes(buffer))).toHaveLength(48);
  for (const buffer of again) buffers.giveBack(buffer);
  expect(Array.from({ length: 60 }, () => buffers.take(MIB)).filter((buffer) => again.includes(buffer))).toHaveLength(
    48,
  );
});
