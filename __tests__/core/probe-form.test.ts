import { describe, expect, test } from '@jest/globals';
import { type ProbeFacts, probeForm } from '../../src/core/probe-form.ts';

const FACTS: ProbeFacts = {
  isPullRequest: false,
  mayPut: true,
  mayDelete: true,
  mayDeleteVersions: true,
  versioned: undefined,
  objectLock: undefined,
  notifies: undefined,
};

describe('a probe writes', () => {
  test.each<[string, 'auto' | 'full', Partial<ProbeFacts>]>([
    ['where everything may be deleted', 'auto', {}],
    ['where versions may be deleted', 'auto', { versioned: true }],
    ['where no versions are kept', 'auto', { versioned: false, mayDeleteVersions: false }],
    ['when asked to, where versions stay', 'full', { versioned: true, mayDeleteVersions: false }],
    ['when asked to, for a pull request', 'full', { isPullRequest: true }],
    ['when asked to, where something listens', 'full', { notifies: true }],
  ])('%s', (_where, asked, facts) => {
    expect(probeForm(asked, { ...FACTS, ...facts }).form).toBe('full');
  });
});

describe('a probe writes nothing', () => {
  test.each<[string, 'auto' | 'full' | 'no-residue', Partial<ProbeFacts>, string]>([
    ['when asked not to', 'no-residue', {}, 'as asked'],
    ['where it may not', 'full', { mayPut: false }, 'nothing can be written'],
    ['under Object Lock, whatever is asked', 'full', { objectLock: true }, 'Object Lock'],
    ['where it could not delete, whatever is asked', 'full', { mayDelete: false }, 'could not be deleted'],
    ['for a pull request', 'auto', { isPullRequest: true }, 'pull request'],
    ['where something listens', 'auto', { notifies: true }, 'listens'],
    ['where versions would stay', 'auto', { versioned: true, mayDeleteVersions: false }, 'keeps versions'],
    ['where nobody knows', 'auto', { mayDeleteVersions: false }, 's3:GetBucketVersioning'],
  ])('%s', (_where, asked, facts, why) => {
    const chosen = probeForm(asked, { ...FACTS, ...facts });
    expect(chosen).toEqual({ form: 'no-residue', why: expect.stringContaining(why) });
  });
});
