import { expect, test } from '@jest/globals';
import { AWS, CAPABILITIES, missingCapabilities, profileOf, UNKNOWN } from '../../src/core/capabilities.ts';

const knownCapabilities = (endpoint: string | undefined) => profileOf(endpoint).capabilities;

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

test.each([
  ['AWS', undefined, 10_000],
  ['AWS by an endpoint of its own', 'https://s3.eu-central-1.amazonaws.com', 10_000],
  ['Scaleway', 'https://s3.fr-par.scw.cloud', 1_000],
  ['R2', 'https://account.r2.cloudflarestorage.com', 10_000],
  ['a store that nobody knows', 'https://s3.example.org', 1_000],
])('%s allows so many parts', (_who, endpoint, parts) => {
  expect(profileOf(endpoint).mostParts).toBe(parts);
});
