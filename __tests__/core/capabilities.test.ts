import { expect, test } from '@jest/globals';
import { AWS, CAPABILITIES, knownCapabilities, missingCapabilities, UNKNOWN } from '../../src/core/capabilities.ts';

test('AWS can do everything, with or without an endpoint of its own', () => {
  expect(CAPABILITIES.filter((one) => knownCapabilities(undefined)[one] !== true)).toEqual([]);
  expect(knownCapabilities('https://s3.eu-central-1.amazonaws.com')).toEqual(AWS);
  expect(missingCapabilities(AWS)).toEqual([]);
});

test.each([
  ['https://account.r2.cloudflarestorage.com', { conditionalWrites: true }],
  ['https://storage.googleapis.com', { conditionalWrites: false, batchDelete: false }],
  ['https://ams3.digitaloceanspaces.com', { urlEncodedListing: false }],
  ['https://eu-central.object.fastlystorage.app', { multipart: false }],
])('%s is known', (endpoint, has) => {
  expect(knownCapabilities(endpoint)).toMatchObject(has);
  expect(CAPABILITIES.some((one) => knownCapabilities(endpoint)[one] === undefined)).toBe(true);
});

test.each(['https://s3.example.org', 'https://amazonaws.com.example.org', 'not a url'])(
  'of %s nothing is known',
  (endpoint) => {
    expect(knownCapabilities(endpoint)).toEqual(UNKNOWN);
  },
);

test('what is missing is told, with what a deploy does without; what is unknown is not', () => {
  expect(missingCapabilities({ ...UNKNOWN, batchDelete: false, multipart: true })).toEqual([
    'batch delete: objects are deleted one by one',
  ]);
});
