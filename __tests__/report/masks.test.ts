import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mask, redacted } from '../../src/report/masks.ts';

// The commands that mask would stand between the lines of the test's own output.
const write = process.stdout.write;
beforeEach(() => {
  process.stdout.write = (() => true) as typeof process.stdout.write;
});
afterEach(() => {
  process.stdout.write = write;
});

const ONE = 'IQoJb3JpZ2luX2VjE/first+token/with=signs';
const TWO = 'IQoJb3JpZ2luX2VjE/second+token/with=signs';

test('takes secrets out of a text, whole or cut off, as they are or as in a URL, also those that begin alike', () => {
  for (const secret of [ONE, TWO, 'wJalrXUtnFEMI']) mask(secret);
  expect(redacted(`a ${ONE} b ${encodeURIComponent(TWO)} c wJalrXUtnFEMI d ${TWO.slice(0, 30)}…`)).toBe(
    'a *** b *** c *** d ***…',
  );
  expect(redacted(`${ONE}${TWO}`)).toBe('******');
});

test('leaves words alone that a short secret would take out, and texts without any', () => {
  mask('deploy');
  expect(redacted('deploy to the bucket IQoJb3Jp')).toBe('deploy to the bucket IQoJb3Jp');
});
