import { expect, test } from '@jest/globals';
import { Patience } from '../../src/aws/patience.ts';

test('waits two seconds for a small request at first, and twice as long after each that was not answered', () => {
  const patience = new Patience();
  expect([0, 1, 2, 3].map((unanswered) => patience.waitFor(0, unanswered))).toEqual([2000, 4000, 8000, 16_000]);
  expect(patience.waitFor(80_000, 0)).toBe(12_000);
});

test('waits longer for all once the store is known to be slow, but never too long', () => {
  const patience = new Patience();
  patience.heard(1500);
  expect(patience.waitFor(0, 0)).toBe(6000);
  patience.heard(60_000);
  expect(patience.waitFor(0, 0)).toBe(15_000);
});

test('forgets one slow answer among many that are quick', () => {
  const patience = new Patience();
  patience.heard(3000);
  for (let i = 0; i < 10; i++) patience.heard(50);
  expect(patience.waitFor(0, 0)).toBeGreaterThan(5000);
  for (let i = 0; i < 60; i++) patience.heard(50);
  expect(patience.waitFor(0, 0)).toBe(2000);
});
