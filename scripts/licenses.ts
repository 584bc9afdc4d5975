import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Writes dist/licenses.txt: each licence once, below the packages under it of which something is in `dist`. */
interface Module {
  /** The path of a file, where it is one. */
  readonly nameForCondition?: string | null;
  /** Those that were made one. */
  readonly modules?: readonly Module[];
}
const { modules }: { modules: readonly Module[] } = JSON.parse(readFileSync('build/stats.json', 'utf8'));
const files = (module: Module): string[] => [module.nameForCondition ?? '', ...(module.modules ?? []).flatMap(files)];
const folders = modules.flatMap(files).flatMap((file) => /.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? []);
const packages = new Map<string, string[]>();
for (const folder of new Set(folders)) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
  const text = file === undefined ? `${license}` : readFileSync(join(folder, file), 'utf8').trim();
  packages.set(text, [...(packages.get(text) ?? []), `${name} ${version}`]);
}
const all = [...packages].map(([text, names]) => `${names.sort().join('\n')}\n\n${text}\n`);
writeFileSync('dist/licenses.txt', all.sort().join(`\n${'-'.repeat(80)}\n\n`));
