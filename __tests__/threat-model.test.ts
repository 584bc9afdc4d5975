import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const FOLDER = join(import.meta.dirname, '..', 'docs');
const TEXT = readFileSync(join(FOLDER, 'threat-model.md'), 'utf8');

test('the threat model names for each threat tests that are there', () => {
  const threats = TEXT.split('## Threats')[1]?.split('## What is not protected')[0] ?? '';
  const rows = threats.split('\n').filter((line) => /^\| (?!threat |-)/.test(line));
  expect(rows.length).toBeGreaterThanOrEqual(20);
  for (const row of rows) {
    const links = [...row.matchAll(/\]\(([^)]+)\)/g)].map(([, target = '']) => target);
    expect([row, links.length > 0, links.filter((target) => !existsSync(join(FOLDER, target)))]).toEqual([
      row,
      true,
      [],
    ]);
  }
});

test('the boundaries that it names are files', () => {
  const named = [...TEXT.matchAll(/`(src\/[\w/-]+\.ts)`/g)].map(([, file = '']) => file);
  expect(named.filter((file) => !existsSync(join(FOLDER, '..', file)))).toEqual([]);
});
