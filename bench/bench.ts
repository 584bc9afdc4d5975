/**
 * What a deploy costs beside other tools, and which goals that meets: `npm run bench -- --help`.
 *
 * Rounds are interleaved, so that what else the machine does falls on all tools alike. Seconds are this machine's at this
 * moment; ratios within a row are what can be compared.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeMachine, moveAside } from './machine.ts';
import { readOptions } from './options.ts';
import { writePage } from './page.ts';
import { goalsTable, type Report } from './report.ts';
import { ROWS } from './rows.ts';
import { installPeers } from './tools/packages.ts';

const options = readOptions(process.argv.slice(2));
if (options.install) installPeers();
// Which of them are here is known once they are loaded.
const { ALL_PEERS } = await import('./tools/peers.ts');
const peers = new Map(ALL_PEERS.filter(({ version }) => version !== undefined).map((tool) => [tool.name, tool]));
const rows = ROWS.filter(({ name, quick }) => options.only?.includes(name) ?? (!options.quick || quick));

const about = [
  describeMachine(),
  `${options.pace.ms} ms a request, ${options.pace.listMs} ms a list page`,
  [...peers.values()].map(({ name, version }) => `${name} (${version})`).join(', '),
].join('; ');
console.log(`${about}\n`);
for (const { name, version, from } of ALL_PEERS) {
  if (version === undefined) console.log(`${name} is left out, for it is not here: ${from}`);
}
if (options.list) {
  for (const { name, title } of ROWS) console.log(`${name.padEnd(16)}${title}`);
  process.exit();
}

moveAside();
const root = mkdtempSync(join(tmpdir(), 's3-deploy-bench-'));
const reports = new Map<string, Report>();
try {
  for (const row of rows) {
    const folder = join(root, row.name);
    mkdirSync(folder);
    const report = await row.measure({ options, folder, peers });
    reports.set(row.name, report);
    rmSync(folder, { recursive: true, force: true });
    console.log(`\n### ${row.title} (\`${row.name}\`)\n\n${report.detail}`);
  }
} finally {
  rmSync(root, { recursive: true, force: true });
}
const told = rows.flatMap(({ name, title }) => {
  const report = reports.get(name);
  return report === undefined ? [] : [{ title, report }];
});
if (told.some(({ report }) => report.verdicts.length > 0)) console.log(`\n## Goals\n\n${goalsTable(told)}`);
if (options.write) writePage(ROWS, reports, about);
