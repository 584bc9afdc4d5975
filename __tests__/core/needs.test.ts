import { describe, expect, test } from '@jest/globals';
import { neededActions, needsOf, type Purpose } from '../../src/core/needs.ts';

const [L, G, P, D] = ['s3:ListBucket', 's3:GetObject', 's3:PutObject', 's3:DeleteObject'];
const ABORT = 's3:AbortMultipartUpload';
const [INVALIDATE, LOOK] = ['cloudfront:CreateInvalidation', 'cloudfront:GetInvalidation'];
const KMS = ['kms:GenerateDataKey', 'kms:Decrypt'];

describe('what inputs need, and what they make use of', () => {
  test.each<[string, Purpose, (string | undefined)[], (string | undefined)[]]>([
    ['a deploy', { mode: 'deploy', delete: false }, [L, G, P], [ABORT]],
    ['one that deletes', { mode: 'deploy', delete: true }, [L, G, P, D], [ABORT]],
    ['one that deletes its own', { mode: 'deploy', delete: 'owned' }, [L, G, P, D], [ABORT]],
    ['one that deletes nothing', { mode: 'deploy', delete: 'off' }, [L, G, P], [ABORT]],
    ['a probe', { mode: 'probe', delete: true }, [L, G, P, D], [ABORT]],
    ['a probe of a plan', { mode: 'probe', dryRun: true, delete: true }, [L, G], []],
    ['a plan', { mode: 'plan', delete: true }, [L, G], []],
    ['who only appends', { mode: 'deploy', delete: false, overwrite: false }, [P], [L, G, ABORT]],
    ['who appends and deletes', { mode: 'deploy', delete: true, overwrite: false }, [L, G, P, D], [ABORT]],
    ['a plan of who only appends', { mode: 'plan', delete: false, overwrite: false }, [], [L, G]],
    ['a removal', { mode: 'remove', delete: false }, [L, D], []],
    ['a removal that only says', { mode: 'remove', delete: false, dryRun: true }, [L], []],
    ['an ACL', { mode: 'deploy', delete: false, storage: { acl: 'private' } }, [L, G, P, 's3:PutObjectAcl'], [ABORT]],
    [
      'tags',
      { mode: 'deploy', delete: false, storage: { tags: [['a', 'b']] } },
      [L, G, P, 's3:PutObjectTagging'],
      [ABORT],
    ],
    ['a KMS key', { mode: 'deploy', delete: false, storage: { kmsKeyId: 'k' } }, [L, G, P, ...KMS], [ABORT]],
    [
      'KMS with the key of the bucket',
      { mode: 'deploy', delete: false, storage: { encryption: 'aws:kms' } },
      [L, G, P],
      [ABORT],
    ],
    [
      'a KMS key elsewhere',
      { mode: 'deploy', delete: false, storage: { kmsKeyId: 'k' }, endpoint: 'https://s3.example.org' },
      [L, G, P],
      [ABORT],
    ],
    ['a distribution', { mode: 'deploy', delete: true, distribution: 'E1' }, [L, G, P, D, INVALIDATE], [ABORT]],
    [
      'a distribution that is waited for',
      { mode: 'deploy', delete: false, distribution: 'E1', cloudfrontWait: true },
      [L, G, P, INVALIDATE, LOOK],
      [ABORT],
    ],
    [
      'a distribution before a store elsewhere',
      { mode: 'deploy', delete: false, distribution: 'E1', endpoint: 'https://s3.example.org' },
      [L, G, P, INVALIDATE],
      [ABORT],
    ],
    ['a wait for nothing', { mode: 'deploy', delete: false, cloudfrontWait: true }, [L, G, P], [ABORT]],
    ['a removal behind a distribution', { mode: 'remove', delete: false, distribution: 'E1' }, [L, D, INVALIDATE], []],
    ['the same that only says', { mode: 'remove', delete: false, distribution: 'E1', dryRun: true }, [L], []],
    [
      'a plan with all of it',
      {
        mode: 'plan',
        delete: true,
        storage: { acl: 'private', kmsKeyId: 'k' },
        distribution: 'E1',
        cloudfrontWait: true,
      },
      [L, G],
      [],
    ],
  ])('%s', (_who, purpose, required, wanted) => {
    expect(needsOf(purpose)).toEqual({ required, wanted });
    expect(neededActions(purpose)).toEqual(required);
  });
});
