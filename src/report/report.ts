import { mkdtempSync, writeFileSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as core from '@actions/core';
import type { Destination } from '../core/key.ts';
import type { Check, LocalFile, Outcome, Plan } from '../core/model.ts';
import type { Policy } from '../core/policy.ts';
import { bytes, count, duration } from '../core/text.ts';
import type { DeployError } from '../errors.ts';
import { log } from './log.ts';
import { Progress } from './progress.ts';
import { bytesOf, countsOf, probeResultOf, type RunRecord, uploadsOf } from './record.ts';
import { resultOf } from './result.ts';
import { summaryOf } from './summary.ts';

/** Tells the story of a run as it goes on, and writes down what came of it. */
export class Report {
  readonly record: RunRecord;
  readonly progress = new Progress();
  readonly #started = performance.now();
  readonly #env: NodeJS.ProcessEnv;

  constructor(env: NodeJS.ProcessEnv, tally: { calls: ReadonlyMap<string, number>; retries: number }) {
    this.#env = env;
    this.record = { mode: 'deploy', missing: [], timings: {}, calls: tally.calls, retries: () => tally.retries };
  }

  /** One step: a group in the log, a figure in the timings. */
  async step<T>(title: string, work: () => Promise<T>): Promise<T> {
    const started = performance.now();
    try {
      return await log.group(title, work);
    } finally {
      this.record.timings[title.toLowerCase()] = Math.round(performance.now() - started);
    }
  }

  began(mode: string, destination: Destination): void {
    Object.assign(this.record, { mode, destination });
  }

  opened(region: string, url: string): void {
    Object.assign(this.record, { region, url });
  }

  scanned(files: readonly LocalFile[]): void {
    this.record.source = { files: files.length, bytes: files.reduce((sum, { size }) => sum + size, 0) };
  }

  checked(checks: readonly Check[], missing: readonly string[], policy: Policy): void {
    Object.assign(this.record, { checks, missing, policy });
    for (const { action, result, evidence, why } of checks) {
      log.line(`${MARKS[result]} ${action.padEnd(16)} ${result}: ${evidence}${why === undefined ? '' : ` (${why})`}`);
    }
  }

  planned(plan: Plan): void {
    this.record.plan = plan;
    for (const { uploads } of plan.phases) {
      for (const { key, reason, file } of uploads)
        log.line(`${reason === 'new' ? '+' : '~'} ${key}  (${reason}, ${bytes(file.size)})`);
    }
    for (const { key } of plan.deletions) log.line(`- ${key}  (not in the source)`);
    const uploads = uploadsOf(plan);
    const kept = plan.kept.length === 0 ? '' : `, ${plan.kept.length} stale kept (delete is off)`;
    log.line(
      `${count(uploads.length, 'upload')} (${bytes(bytesOf(uploads))}), ${count(plan.deletions.length, 'deletion')}, ${plan.unchanged} unchanged${kept}`,
    );
  }

  /** The upload, with a line now and then on how far it is. */
  async upload(plan: Plan, work: () => Promise<Outcome>): Promise<Outcome> {
    const files = uploadsOf(plan);
    if (files.length === 0) return this.#applied(await work());
    return this.step('Upload', async () => {
      const total = { files: files.length, bytes: bytesOf(files) };
      const started = performance.now();
      const outcome = this.#applied(await this.progress.during(total, log.line, work));
      const done = `${count(outcome.uploaded.length, 'file')} (${bytes(outcome.bytesUploaded)})`;
      log.line(`${done} uploaded in ${duration(performance.now() - started)}`);
      return outcome;
    });
  }

  /** The deletions, where there are any. */
  async delete(plan: Plan, work: () => Promise<Outcome>): Promise<Outcome> {
    if (plan.deletions.length === 0) return work();
    return this.step('Delete', async () => {
      const outcome = this.#applied(await work());
      log.line(`${outcome.deleted.length} of ${count(plan.deletions.length, 'stale object')} deleted`);
      return outcome;
    });
  }

  #applied(outcome: Outcome): Outcome {
    const known = new Set(this.record.outcome?.failures);
    for (const failure of outcome.failures) if (!known.has(failure)) log.line(`✗ ${failure.key}: ${failure.message}`);
    this.record.outcome = outcome;
    return outcome;
  }

  /** Says how the run ended: the red line with its code, or the totals. Then writes summary, outputs and result file. */
  async close(error: DeployError | undefined): Promise<void> {
    const { record } = this;
    if (error !== undefined) record.error = error;
    record.timings.total = Math.round(performance.now() - this.#started);
    if (error === undefined) log.line(this.#totals());
    else log.error(error.code, `${error.message}${error.hint === undefined ? '' : `\n${error.hint}`}`);
    this.#writeOutputs();
    const summary = this.#env.GITHUB_STEP_SUMMARY;
    if (summary) await appendFile(summary, `${summaryOf(record)}\n`);
  }

  #totals(): string {
    const { mode, url, timings } = this.record;
    if (mode === 'probe') return 'Every permission that these inputs need is there.';
    const { uploaded, updated, deleted, unchanged, bytes: size } = countsOf(this.record);
    if (uploaded + updated + deleted === 0)
      return `Nothing to do: ${count(unchanged, 'file')} unchanged, in ${duration(timings.total ?? 0)}`;
    const would = mode === 'plan' ? 'A deploy would make' : 'Deployed:';
    const at = url === undefined || mode === 'plan' ? '' : ` → ${url}`;
    return `${would} ${uploaded} new, ${updated} changed, ${deleted} deleted, ${unchanged} unchanged; ${bytes(size)} in ${duration(timings.total ?? 0)}${at}`;
  }

  #writeOutputs(): void {
    const { record } = this;
    const folder = mkdtempSync(join(this.#env.RUNNER_TEMP || tmpdir(), 's3-deploy-'));
    const resultFile = join(folder, 'result.json');
    writeFileSync(resultFile, `${JSON.stringify(resultOf(record), null, 2)}\n`);
    const counts = countsOf(record);
    core.setOutput('result-file', resultFile);
    core.setOutput('changed', counts.uploaded + counts.updated + counts.deleted > 0);
    core.setOutput('uploaded-count', counts.uploaded);
    core.setOutput('updated-count', counts.updated);
    core.setOutput('unchanged-count', counts.unchanged);
    core.setOutput('deleted-count', counts.deleted);
    core.setOutput('kept-count', counts.kept);
    core.setOutput('bytes-uploaded', counts.bytes);
    core.setOutput('probe-result', probeResultOf(record));
    core.setOutput('missing-permissions', record.missing.join(','));
    if (record.url !== undefined) core.setOutput('url', record.url);
    if (record.region !== undefined) core.setOutput('region', record.region);
    if (record.policy !== undefined) {
      const policyFile = join(folder, 'policy.json');
      writeFileSync(policyFile, `${JSON.stringify(record.policy, null, 2)}\n`);
      core.setOutput('suggested-policy-file', policyFile);
    }
  }
}

const MARKS = { allowed: '✓', denied: '✗', unknown: '?' };
