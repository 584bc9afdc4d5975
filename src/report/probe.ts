import type { Capabilities } from '../core/capabilities.ts';
import type { Finding } from '../core/findings.ts';
import type { Check } from '../core/model.ts';
import { html } from '../core/text.ts';
import type { RunRecord } from './record.ts';

/** What a probe has to tell. */
export interface Probed {
  readonly checks: readonly Check[];
  readonly findings: readonly Finding[];
  readonly capabilities: Capabilities;
}

const MARKS = { allowed: '✓', denied: '✗', unknown: '?' };

/** The log of a probe: a line a check, and one a finding. */
export function probeLines({ checks, findings }: Pick<Probed, 'checks' | 'findings'>): string[] {
  const width = Math.max(0, ...checks.map(({ action }) => action.length));
  return [
    ...checks.map((check) => {
      const { action, result, required } = check;
      const mark = required || result !== 'denied' ? MARKS[result] : '-';
      return `${mark} ${action.padEnd(width)} ${result}: ${evidenceOf(check)}`;
    }),
    // What was left behind has been said already, when it was.
    ...findings
      .filter(({ code }) => code !== 'leftover')
      .map(({ level, message, hint }) => {
        const more = level === 'warning' && hint !== undefined ? ` ${hint}` : '';
        return `${level === 'warning' ? '!' : 'i'} ${message}${more}`;
      }),
  ];
}

/** The call and its answer; the log names requests only where somebody may have to ask for one. */
function evidenceOf({ evidence, why, result, requestId }: Check, always = false): string {
  const request = (always || result === 'denied') && requestId !== undefined ? `, request ${requestId}` : '';
  return `${evidence}${request}${why === undefined ? '' : ` (${why})`}`;
}

const SIGNS = { allowed: '✅', denied: '❌', unknown: '❔' };

/** The probe's part of the summary; of a deploy only where something is missing. */
export function probeSection({ checks, findings = [], missing, policy, mode }: RunRecord): string {
  if (checks === undefined || (mode !== 'probe' && missing.length === 0)) return '';
  const rows = checks.map((check) => {
    const { action, resource, result, required } = check;
    const sign = required || result !== 'denied' ? SIGNS[result] : '➖';
    return `<tr><td>${sign}</td><td><code>${html(action)}</code></td><td><code>${html(resource)}</code></td><td>${html(evidenceOf(check, true))}</td></tr>`;
  });
  const table = `<table>\n<tr><th></th><th>Action</th><th>Resource</th><th>Evidence</th></tr>\n${rows.join('\n')}\n</table>`;
  return [table, findingList(findings), policyOf(policy)].filter((part) => part !== '').join('\n\n');
}

function findingList(findings: readonly Finding[]): string {
  if (findings.length === 0) return '';
  const items = findings.map(({ level, message, hint }) => {
    const more = hint === undefined ? '' : ` ${html(hint, 600)}`;
    return `<li>${level === 'warning' ? '⚠️ ' : ''}${html(message, 600)}${more}</li>`;
  });
  return `<ul>\n${items.join('\n')}\n</ul>`;
}

function policyOf(policy: RunRecord['policy']): string {
  if (policy === undefined) return '';
  return `<details><summary>The least policy for these inputs</summary>\n${preformatted(JSON.stringify(policy, null, 2))}\n</details>`;
}

/** Lines as they are, harmless. */
export function preformatted(text: string): string {
  return `<pre>${text
    .split('\n')
    .map((line) => html(line, 2000))
    .join('\n')}</pre>`;
}
