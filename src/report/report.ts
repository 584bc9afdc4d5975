import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as core from '@actions/core';
import type { Kept, LocalFile, Outcome, Plan } from '../core/model.ts';
import type { Policy } from '../core/policy.ts';
import { nameOf } from '../core/shard.ts';
import { supportBlock } from '../core/support.ts';
import { bytes, count, duration } from '../core/text.ts';
import type { DeployError, ErrorCode } from '../errors.ts';
import { VERSION } from '../version.ts';
import { log } from './log.ts';
import { redacted } from './masks.ts';
import { type Probed, probeLines } from './probe.ts';
import { Progress } from './progress.ts';
import { bytesOf, countsOf, type Invalidated, probeResultOf, type RunRecord, uploadsOf } from './record.ts';
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
    this.record = {
      mode: 'deploy',
      dryRun: false,
      missing: [],
      timings: {},
      calls: tally.calls,
      retries: () => tally.retries,
    };
  }

  /** One step: a group in the log, a figure in the timings. */
  async step<T>(title: string, work: () => Promise<T>): Promise<T> {
    const started = performance.now();
    try {
      return await log.group(title, work);
    } finally {
      const { timings } = this.record;
      const name = title.toLowerCase();
      timings[name] = (timings[name] ?? 0) + Math.round(performance.now() - started);
    }
  }

  began({
    mode,
    dryRun,
    shard,
    destination,
    endpoint,
  }: Pick<RunRecord, 'mode' | 'dryRun' | 'shard' | 'destination' | 'endpoint'>): void {
    Object.assign(this.record, { mode, dryRun, shard, destination, endpoint });
  }

  signedIn(identity: RunRecord['identity']): void {
    if (identity !== undefined) this.record.identity = identity;
  }

  opened(region: string, url: string): void {
    Object.assign(this.record, { region, url });
  }

  scanned(files: readonly LocalFile[]): void {
    this.record.source = { files: files.length, bytes: files.reduce((sum, { size }) => sum + size, 0) };
  }

  /** The smallest policy for these inputs. */
  suggests(policy: Policy): void {
    this.record.policy = policy;
  }

  /** What the probe found: a line for each check and finding. */
  probed(probe: Pick<Probed, 'checks' | 'findings' | 'capabilities'>, missing: readonly string[]): void {
    const { checks, findings, capabilities } = probe;
    Object.assign(this.record, { checks, findings, capabilities, missing });
    for (const line of probeLines(probe)) log.line(line);
  }

  /** Something that the probe could not take back: said at once, since the run may not come to its end. */
  readonly leftBehind = (what: string): void => {
    log.warn(`The probe could not take back ${what}. Delete it by hand.`);
  };

  planned(plan: Plan): void {
    this.record.plan = plan;
    for (const { uploads } of plan.phases) {
      for (const { key, reason, file } of uploads)
        log.line(`${reason === 'new' ? '+' : '~'} ${key}  (${reason}, ${bytes(file.size)})`);
    }
    for (const { key } of plan.deletions) log.line(`- ${key}  (not in the source)`);
    const uploads = uploadsOf(plan);
    this.#kept(plan.kept.filter(({ why }) => why !== 'delete off'));
    const off = plan.kept.filter(({ why }) => why === 'delete off').length;
    const kept =
      plan.kept.length === 0 ? '' : `, ${plan.kept.length} kept${off === 0 ? '' : ` (${off} stale: delete is off)`}`;
    log.line(
      `${count(uploads.length, 'upload')} (${bytes(bytesOf(uploads))}), ${count(plan.deletions.length, 'deletion')}, ${plan.unchanged.length} unchanged${kept}`,
    );
  }

  /** What a CDN is told to forget, or would be: a line for each path. */
  invalidated(invalidation: Invalidated): void {
    this.record.invalidations = [...(this.record.invalidations ?? []), invalidation];
    for (const path of invalidation.paths) log.line(`↻ ${path}  (${invalidation.id ?? 'to invalidate'})`);
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
    if (plan.deletions.length === 0) return this.#applied(await work());
    return this.step('Delete', async () => {
      const outcome = this.#applied(await work());
      log.line(`${outcome.deleted.length} of ${count(plan.deletions.length, 'stale object')} deleted`);
      return outcome;
    });
  }

  #applied(outcome: Outcome): Outcome {
    const known = new Set(this.record.outcome?.failures);
    this.#kept(outcome.existing.map((key) => ({ key, why: 'exists' })));
    for (const failure of outcome.failures) if (!known.has(failure)) log.line(`✗ ${failure.key}: ${failure.message}`);
    this.record.outcome = outcome;
    return outcome;
  }

  /** Some of the objects that stay: on a site that keeps old assets there are thousands of them. */
  #kept(all: readonly Kept[]): void {
    for (const why of Object.keys(KEPT) as Kept['why'][]) {
      const kept = all.filter((one) => one.why === why);
      for (const { key } of kept.slice(0, KEPT_LINES)) log.line(`= ${key}  (${KEPT[why]})`);
      const more = kept.length - KEPT_LINES;
      if (more > 0) log.line(`= and ${count(more, 'more object')} in the result file  (${KEPT[why]})`);
    }
  }

  /** Says how the run ended: the red line with its code, or the totals. Then writes summary, outputs and result file. */
  async close(error: DeployError | undefined): Promise<void> {
    const { record } = this;
    if (error !== undefined) record.error = error;
    record.timings.total = Math.round(performance.now() - this.#started);
    if (error === undefined) log.line(this.#totals());
    else log.error(error.code, `${error.code}: ${error.message}${error.hint === undefined ? '' : `\n${error.hint}`}`);
    this.#supportBlock();
    await this.#writeDown();
  }

  /** Summary, result file and outputs; what cannot be written is said, and changes nothing of how the run ended. */
  async #writeDown(): Promise<void> {
    try {
      const { GITHUB_STEP_SUMMARY: summary, GITHUB_OUTPUT: outputs } = this.#env;
      if (summary) await appendFile(summary, redacted(`${summaryOf(this.record)}\n`));
      const values = this.#outputs();
      if (outputs && existsSync(outputs))
        for (const [name, value] of Object.entries(values)) core.setOutput(name, value);
    } catch (error) {
      log.warn(`The summary and the outputs are not complete: ${(error as Error).message}`);
    }
  }

  /** For a store that is not AWS: what its support wants to know, to be forwarded as it is. */
  #supportBlock(): void {
    const { error, endpoint, destination, region } = this.record;
    if (error === undefined || endpoint === undefined || destination === undefined || !SUPPORTED.has(error.code))
      return;
    const env = this.#env;
    this.record.support = supportBlock({
      destination,
      endpoint,
      region,
      error,
      tool: `s3-deploy ${VERSION}, Node.js ${process.version}, ${process.platform}`,
      project: `${env.GITHUB_REPOSITORY ?? 'unknown'}, ${env.GITHUB_SERVER_URL ?? ''}/${env.GITHUB_REPOSITORY ?? ''}/actions/runs/${env.GITHUB_RUN_ID ?? ''}`,
      time: new Date(),
    });
    log.block(['For the support of the store:', ...this.record.support.map((line) => `    ${line}`)].join('\n'));
  }

  #totals(): string {
    const { mode, dryRun, shard, url, timings, checks } = this.record;
    if (mode === 'probe' && checks === undefined) return 'Nothing was probed: no credentials were given.';
    if (mode === 'probe') return 'Every permission that these inputs need is there.';
    const { uploaded, updated, deleted, unchanged, bytes: size } = countsOf(this.record);
    if (uploaded + updated + deleted === 0)
      return `Nothing to do: ${count(unchanged, 'file')} unchanged, in ${duration(timings.total ?? 0)}`;
    const done = shard === undefined ? 'Deployed:' : `Uploaded by ${nameOf(shard)}:`;
    const would = dryRun ? 'A deploy would make' : done;
    const at = url === undefined || dryRun || shard !== undefined ? '' : ` → ${url}`;
    return `${would} ${uploaded} new, ${updated} changed, ${deleted} deleted, ${unchanged} unchanged; ${bytes(size)} in ${duration(timings.total ?? 0)}${at}`;
  }

  #outputs(): Record<string, string | number | boolean> {
    const { record } = this;
    const folder = mkdtempSync(join(this.#env.RUNNER_TEMP || tmpdir(), 's3-deploy-'));
    const write = (name: string, content: object) => {
      writeFileSync(join(folder, name), redacted(`${JSON.stringify(content, null, 2)}\n`));
      return join(folder, name);
    };
    const counts = countsOf(record);
    const [invalidation] = record.invalidations ?? [];
    return {
      'result-file': write('result.json', resultOf(record)),
      changed: counts.uploaded + counts.updated + counts.deleted > 0,
      'uploaded-count': counts.uploaded,
      'updated-count': counts.updated,
      'unchanged-count': counts.unchanged,
      'deleted-count': counts.deleted,
      'kept-count': counts.kept,
      'bytes-uploaded': counts.bytes,
      'probe-result': probeResultOf(record),
      'missing-permissions': record.missing.join(','),
      ...(invalidation?.id !== undefined && { 'invalidation-id': invalidation.id }),
      ...(record.url !== undefined && { url: record.url }),
      ...(record.region !== undefined && { region: record.region }),
      ...(record.identity !== undefined && {
        'aws-account-id': record.identity.account,
        'authenticated-arn': record.identity.arn,
      }),
      ...(record.policy !== undefined && { 'suggested-policy-file': write('policy.json', record.policy) }),
    };
  }
}

/** Errors that the operators of a store can do something about. */
const SUPPORTED = new Set<ErrorCode>([
  'CREDENTIALS_INVALID',
  'ROLE_DENIED',
  'BUCKET_NOT_FOUND',
  'BUCKET_WRONG_REGION',
  'PERMISSION_DENIED',
  'UPLOAD_FAILED',
  'DELETE_FAILED',
  'STORE_UNREACHABLE',
  'STORE_MISBEHAVED',
]);

/** Lines for objects that stay for one reason. */
const KEPT_LINES = 20;

/** Why an object that the source does not have, or may not replace, stays. */
const KEPT = {
  'delete off': 'stale, delete is off',
  'not ours': 'stale, but no earlier deploy put it there',
  excluded: 'stale, but in delete-exclude',
  grace: 'stale, and kept for delete-grace',
  exists: 'is there already, and overwrite is false',
};
