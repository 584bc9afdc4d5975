import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Writes dist/licenses.txt: each licence once, below the packages in `dist` that are under it. */
const lock: {
  packages: Record<string, { version?: string; dev?: boolean; optional?: boolean; link?: boolean; license?: string }>;
} = JSON.parse(readFileSync('package-lock.json', 'utf8'));
const packages = new Map<string, string[]>();
for (const [folder, { version, license, dev, optional, link }] of Object.entries(lock.packages)) {
  if (!folder.startsWith('node_modules/') || link || dev || optional) continue;
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
  const text = file === undefined ? `${license}` : readFileSync(join(folder, file), 'utf8').trim();
  packages.set(text, [...(packages.get(text) ?? []), `${folder.replace(/^.*node_modules\//, '')} ${version}`]);
}
const sections = [...packages].map(([text, names]) => `${names.sort().join('\n')}\n\n${text}\n`);
writeFileSync('dist/licenses.txt', sections.join(`\n${'-'.repeat(80)}\n\n`));
