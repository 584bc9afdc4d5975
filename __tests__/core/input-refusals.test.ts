import { expect, test } from '@jest/globals';
import { inputRefusal } from '../../src/core/input-refusals.ts';

const failure = (code: string, message = '') => ({
  operation: 'PutObject',
  code,
  message,
  status: 400,
  requestId: 'R1',
  region: undefined,
  retryAfter: undefined,
});

test.each([
  ['AccessControlListNotSupported', '', { acl: 'public-read' }, 'acl'],
  ['InvalidStorageClass', '', { storageClass: 'GOLD' }, 'storage-class'],
  ['KMS.NotFoundException', '', { kmsKeyId: 'k' }, 'sse-kms-key-id'],
  ['KMS.DisabledException', '', {}, 'sse-kms-key-id'],
  ['InvalidTag', '', { tags: [['aws:a', 'b']] as [string, string][] }, 'tags'],
  ['NotImplemented', '', { encryption: 'aws:kms' }, 'sse'],
  [
    'NotImplemented',
    'A header is not implemented (x-amz-acl)',
    { acl: 'private', tags: [['a', 'b']] as [string, string][] },
    'acl',
  ],
  [
    'NotImplemented',
    'A header is not implemented (x-amz-tagging)',
    { acl: 'private', tags: [['a', 'b']] as [string, string][] },
    'tags',
  ],
  [
    'InvalidArgument',
    "Unsupported header 'x-amz-tagging' received",
    { tags: [['a', 'b']] as [string, string][] },
    'tags',
  ],
  ['InvalidArgument', 'The encryption method specified is not supported', { encryption: 'aws:kms' }, 'sse'],
])('%s %s is about an input', (code, message, storage, input) => {
  const error = inputRefusal(failure(code, message), storage);
  expect(error).toMatchObject({ code: 'INPUT_INVALID', message: expect.stringMatching(new RegExp(`^${input}: .*R1`)) });
  expect(error?.hint).toBeDefined();
});

test.each([
  ['AccessControlListNotSupported', '', {}],
  ['InvalidArgument', 'Part number must be an integer', { encryption: 'aws:kms' }],
  ['InvalidArgument', '', { acl: 'private' }],
  ['NotImplemented', 'A header is not implemented (x-amz-acl)', {}],
  ['InvalidArgument', 'A facle', { acl: 'private' }],
  ['SlowDown', '', { acl: 'private', encryption: 'AES256' }],
])('%s %s is about none', (code, message, storage) => {
  expect(inputRefusal(failure(code, message), storage)).toBeUndefined();
});
