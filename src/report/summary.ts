import { nameOf } from '../core/shard.ts';
import { bytes, count, duration, html } from '../core/text.ts';
import { preformatted, probeSection } from './probe.ts';
import { countsOf, type RunRecord, statusOf, uploadsOf } from './record.ts';

/** A summary may have 1 MiB; the log has all of it. */
const ROWS = 200;

/** The job summary: what happened, what changed, what the probe found. Every name in it is escaped. */
export function summaryOf(record: RunRecord): string {
  return [heading(record), problem(record), totals(record), changes(record), invalidated(record), probeSection(record)]
    .filter(Boolean)
    .join('\n\n');
}

const HEADINGS: Record<string, Record<string, string>> = {
  deploy: { succeeded: '✅ Deployed', failed: '❌ Deploy failed', refused: '🛑 Deploy refused' },
  plan: {
    succeeded: '📋 What a deploy would change',
    failed: '❌ Plan failed',
    refused: '🛑 A deploy would be refused',
  },
  remove: { succeeded: '✅ Removed', failed: '❌ Removal failed', refused: '🛑 Removal refused' },
  probe: { succeeded: '✅ Permissions are in place', failed: '❌ Probe failed', refused: '🛑 Probe refused' },
};

function heading(record: RunRecord): string {
  const { destination, region, url } = record;
  const share = record.shard === undefined ? '' : ` · ${nameOf(record.shard)}`;
  const title = `${HEADINGS[record.mode]?.[statusOf(record)] ?? 's3-deploy'}${share}`;
  const place =
    destination === undefined ? '' : `<code>s3://${html(destination.bucket)}/${html(destination.prefix)}</code>`;
  const where = [place, region === undefined ? '' : html(region)].filter(Boolean).join(' · ');
  const link =
    url === undefined || record.mode !== 'deploy' || record.shard !== undefined || record.error !== undefined
      ? ''
      : `\n\n<a href="${html(url, 2000)}">${html(url)}</a>`;
  return `### ${title}\n\n${where}${link}`;
}

function problem({ error, support }: RunRecord): string {
  if (error === undefined) return '';
  const hint = error.hint === undefined ? '' : `\n\n${preformatted(error.hint)}`;
  const forward =
    support === undefined ? '' : `\n\nFor the support of the store:\n\n${preformatted(support.join('\n'))}`;
  return `<b>${error.code}</b>: ${html(error.message, 2000)}${hint}${forward}`;
}

function totals(record: RunRecord): string {
  if (record.plan === undefined) return '';
  const { uploaded, updated, deleted, unchanged, kept, failed, bytes: size } = countsOf(record);
  const cells: [string, string | number][] = [
    ['New', uploaded],
    ['Changed', updated],
    ['Deleted', deleted],
    ['Unchanged', unchanged],
    ['Stale, kept', kept],
    ['Failed', failed],
    [record.dryRun ? 'To upload' : 'Uploaded', bytes(size)],
    ['Time', duration(record.timings.total ?? 0)],
  ];
  const row = (tag: string, at: 0 | 1) => cells.map((cell) => `<${tag}>${cell[at]}</${tag}>`).join('');
  return `<table><tr>${row('th', 0)}</tr><tr>${row('td', 1)}</tr></table>`;
}

function changes({ dryRun, plan, outcome }: RunRecord): string {
  if (plan === undefined) return '';
  const uploads = dryRun ? uploadsOf(plan) : (outcome?.uploaded ?? []);
  const deleted = dryRun ? plan.deletions.map(({ key }) => key) : (outcome?.deleted ?? []);
  const rows = [
    ...(outcome?.failures ?? []).map(({ key, message }) => ['❌', key, html(message)]),
    ...uploads.map(({ key, reason, file }) => [reason === 'new' ? '➕' : '✏️', key, `${reason}, ${bytes(file.size)}`]),
    ...deleted.map((key) => ['🗑️', key, dryRun ? 'to delete' : 'deleted']),
  ];
  if (rows.length === 0) return '';
  const shown = rows
    .slice(0, ROWS)
    .map(([mark, key = '', what]) => `<tr><td>${mark}</td><td><code>${html(key)}</code></td><td>${what}</td></tr>`);
  const more =
    rows.length > ROWS
      ? `\n<tr><td></td><td>and ${count(rows.length - ROWS, 'more change')}, in the log and the result file</td><td></td></tr>`
      : '';
  return `<details${rows.length <= 20 ? ' open' : ''}><summary>${count(rows.length, 'change')}</summary>\n<table>\n${shown.join('\n')}${more}\n</table>\n</details>`;
}

function invalidated({ invalidations = [] }: RunRecord): string {
  return invalidations
    .map(({ id, paths }) => {
      const all = paths.slice(0, ROWS).map((path) => `<code>${html(path)}</code>`);
      const more = paths.length > ROWS ? `, and ${count(paths.length - ROWS, 'more path')}` : '';
      return `${id === undefined ? 'To invalidate' : `Invalidated (${html(id)})`}: ${all.join(', ')}${more}`;
    })
    .join('\n\n');
}
