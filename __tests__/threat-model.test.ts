import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';

const FOLDER = join(import.meta.dirname, '..', 'docs');
const TEXT = readFileSync(join(FOLDER, 'threat-model.md'), 'utf8');

/** What a test file says, and what says in its stead the files of `support` that it takes its tests from. */
function textOf(file: string): string {
  const text = readFileSync(file, 'utf8');
  const imported = [...text.matchAll(/from '(\.[^']*\/support\/(?:deploys|syncs|probes)\.ts)'/g)];
  return [text, ...imported.map(([, path = '']) => readFileSync(join(dirname(file), path), 'utf8'))].join('\n');
}

test('the threat model names for each threat tests that are there, by their titles', () => {
  const threats = TEXT.split('## Threats')[1]?.split('## What is not protected')[0] ?? '';
  const rows = threats.split('\n').filter((line) => /^\| (?!threat |-)/.test(line));
  expect(rows.length).toBeGreaterThanOrEqual(20);
  for (const row of rows) {
    const links = [...row.matchAll(/\]\(([^ )]+)(?: "([^"]+)")?\)/g)].map(([, target = '', title = '']) => ({
      target,
      title,
    }));
    const threat = row.split('|')[1]?.trim();
    expect([threat, links.length > 0]).toEqual([threat, true]);
    for (const { target, title } of links) {
      const file = join(FOLDER, target);
      const isThere = title !== '' && existsSync(file) && textOf(file).includes(title);
      expect([threat, target, title, isThere]).toEqual([threat, target, title, true]);
    }
  }
});

test('the boundaries that it names are files', () => {
  const named = [...TEXT.matchAll(/`(src\/[\w/-]+\.ts)`/g)].map(([, file = '']) => file);
  expect(named.filter((file) => !existsSync(join(FOLDER, '..', file)))).toEqual([]);
});
