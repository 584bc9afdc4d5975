import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { VERSION } from '../src/version.ts';

test('the version that a run tells is that of package.json and of its lockfile', () => {
  const read = (file: string) => JSON.parse(readFileSync(join(import.meta.dirname, '..', file), 'utf8'));
  expect([read('package.json').version, read('package-lock.json').version]).toEqual([VERSION, VERSION]);
});
