import { describe, expect, test } from '@jest/globals';
import { breadthFindings, exposureFindings } from '../../src/core/findings.ts';

describe('credentials that see more than the prefix', () => {
  test.each([
    ['nothing more', { outsidePrefix: false, buckets: undefined, listed: undefined }, []],
    ['no other bucket in the account', { outsidePrefix: false, buckets: [], listed: undefined }, []],
    [
      'the rest of the bucket',
      { outsidePrefix: true, buckets: undefined, listed: undefined },
      ['lists-outside-prefix'],
    ],
    ['the names of other buckets', { outsidePrefix: false, buckets: ['a'], listed: undefined }, ['lists-account']],
    [
      'into another bucket',
      { outsidePrefix: false, buckets: ['a', 'b'], listed: 'b' },
      ['lists-other-buckets', 'lists-account'],
    ],
  ])('%s', (_what, breadth, codes) => {
    const findings = breadthFindings(breadth, 'docs/');
    expect(findings.map(({ code }) => code)).toEqual(codes);
    expect(findings.every(({ level, hint }) => level === 'warning' && hint !== undefined)).toBe(true);
  });
});

test('what anybody can read is told, and how to hide the manifest', () => {
  const [object, manifest] = exposureFindings('public', 'public', 'arn:aws:s3:::b/docs/.s3-deploy*');
  expect(object?.message).toContain('can be read by anybody');
  expect(manifest?.hint).toContain('arn:aws:s3:::b/docs/.s3-deploy*');
});

test.each([
  ['private', 'private', 'cannot be read', 'cannot be read'],
  ['missing', 'missing', 'Nothing is below', 'no manifest'],
  ['unknown', 'unknown', 'Nothing tells', 'Nothing tells'],
] as const)('objects %s, manifest %s', (object, manifest, first, second) => {
  const findings = exposureFindings(object, manifest, 'arn');
  expect(findings.map(({ message }) => message)).toEqual([
    expect.stringContaining(first),
    expect.stringContaining(second),
  ]);
  expect(findings.every(({ level, hint }) => level === 'info' && hint === undefined)).toBe(true);
});
