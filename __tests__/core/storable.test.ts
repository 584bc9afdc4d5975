import { expect, test } from '@jest/globals';
import { UNKNOWN } from '../../src/core/capabilities.ts';
import { fitsXml, storeProblem } from '../../src/core/storable.ts';

const GIB = 1024 ** 3;
const problem = (key: string, size: number, has: object, mostParts = 10_000) =>
  storeProblem({ key, size }, { ...UNKNOWN, ...has }, { mostParts });

test.each([
  ['a page', 'docs/index.html', 100, {}],
  ['a file of 5 GiB without uploads in parts', 'a', 5 * GIB, { multipart: false }],
  ['a larger one, where nobody knows', 'a', 5 * GIB + 1, {}],
  ['as much as 10,000 parts hold', 'a', 50_000 * GIB, { multipart: true }],
  ['a control character in a listing that is encoded', 'a\nb', 1, { urlEncodedListing: true }],
  ['a control character, where nobody knows', 'a\nb', 1, {}],
  ['an odd name in a listing that is not encoded', 'ä %46+&<\u2028\x7f', 1, { urlEncodedListing: false }],
])('a store can hold %s', (_what, key, size, has) => {
  expect(problem(key, size, has)).toBeUndefined();
});

test.each([
  [
    'a byte above 5 GiB without uploads in parts',
    'a',
    5 * GIB + 1,
    { multipart: false },
    /5,368,709,121 bytes.*5\.0 GiB/,
  ],
  ['more than its parts hold', 'a', 5_000 * GIB + 1, { multipart: true }, /4\.9 TiB at most$/],
  ['a line break in a listing that is not encoded', 'a\nb', 1, { urlEncodedListing: false }, /control characters/],
])('a store cannot hold %s', (_what, key, size, has, why) => {
  expect(problem(key, size, has, 1_000)).toMatch(why);
});

test.each(['\0', '\x01', '\t', '\n', '\r', '\x1f', '\ufffe', '\uffff'])('%j does not fit into XML', (character) => {
  expect(fitsXml(`a${character}b`)).toBe(false);
});
