import { describe, expect, test } from '@jest/globals';
import { info, warning } from '../../src/core/findings.ts';
import type { Check, Failure, Outcome, Plan, RemoteObject, Stored, Unchanged, Upload } from '../../src/core/model.ts';
import { permissionPolicy } from '../../src/core/policy.ts';
import { DeployError } from '../../src/errors.ts';
import type { RunRecord } from '../../src/report/record.ts';
import { summaryOf } from '../../src/report/summary.ts';

const upload = (key: string, reason: Upload['reason'] = 'new', size = 1024): Upload => ({
  file: { path: key, size, inode: 1, modified: 1 },
  key,
  reason,
  headers: { contentType: 'text/plain' },
});
const object = (key: string): RemoteObject => ({ key, size: 1, etag: '', lastModified: 0 });
const stored = (key: string): Stored => ({ ...upload(key), etag: 'x', content: 'y' });
const unchanged = (many: number) => Array.from({ length: many }, (): Unchanged => object('k'));
const planOf = (more: Partial<Plan> = {}): Plan => ({
  phases: [],
  deletions: [],
  kept: [],
  unchanged: [],
  stale: [],
  revived: [],
  adopted: [],
  verified: false,
  ...more,
});
const outcomeOf = (more: Partial<Outcome> = {}): Outcome => ({
  uploaded: [],
  existing: [],
  deleted: [],
  failures: [],
  bytesUploaded: 0,
  interrupted: false,
  stopped: undefined,
  ...more,
});
const failure = (key: string, message = 'PutObject 403 AccessDenied'): Failure => ({
  key,
  operation: 'PutObject',
  code: 'AccessDenied',
  message,
});
const record = (more: Partial<RunRecord> = {}): RunRecord => ({
  mode: 'deploy',
  dryRun: false,
  destination: { bucket: 'my-site', prefix: 'docs/' },
  region: 'eu-central-1',
  url: 'https://www.example.org/docs/',
  missing: [],
  timings: { total: 4200 },
  calls: new Map(),
  retries: () => 0,
  ...more,
});
const summary = (more: Partial<RunRecord> = {}) => summaryOf(record(more));

const refused = new DeployError('TOO_MANY_DELETIONS', 'Too many.');
const failed = new DeployError('UPLOAD_FAILED', 'One of the uploads failed.', { hint: 'Run the job again.' });

describe('the heading says how it ended', () => {
  test.each([
    ['deploy', undefined, '✅ Deployed'],
    ['deploy', failed, '❌ Deploy failed'],
    ['deploy', refused, '🛑 Deploy refused'],
    ['plan', undefined, '📋 What a deploy would change'],
    ['plan', failed, '❌ Plan failed'],
    ['plan', refused, '🛑 A deploy would be refused'],
    ['probe', undefined, '✅ Permissions are in place'],
    ['probe', failed, '❌ Probe failed'],
    ['remove', undefined, '✅ Removed'],
    ['remove', failed, '❌ Removal failed'],
    ['remove', refused, '🛑 Removal refused'],
  ])('mode %s with the error %s: %s', (mode, error, title) => {
    const text = summary(error === undefined ? { mode } : { mode, error });
    expect(text.split('\n')[0]).toBe(`### ${title}`);
  });

  test('and where, with a link to what is served', () => {
    const text = summary();
    expect(text).toContain('<code>s3://my-site/docs/</code> · eu-central-1');
    expect(text).toContain('<a href="https://www.example.org/docs/">https://www.example.org/docs/</a>');
  });

  test('without a link to what failed, or was only asked', () => {
    expect(summary({ error: failed })).not.toContain('<a ');
    expect(summary({ mode: 'probe' })).not.toContain('<a ');
  });

  test('when the run ended before anything was known', () => {
    const inputError = new DeployError('INPUT_INVALID', 'bucket: is required.', { hint: 'Add it:\n  bucket: …' });
    const early: RunRecord = {
      mode: 'deploy',
      dryRun: false,
      missing: [],
      timings: {},
      calls: new Map(),
      retries: () => 0,
    };
    const text = summaryOf({ ...early, error: inputError });
    expect(text).toContain('<b>INPUT_INVALID</b>: bucket: is required.');
    expect(text).toContain('<pre>Add it:\n  bucket: …</pre>');
    expect(text).not.toContain('undefined');
  });
});

describe('the changes', () => {
  const plan = planOf({
    phases: [{ name: 'assets', uploads: [upload('docs/a.css'), upload('docs/b.css', 'content', 2048)] }],
    deletions: [object('docs/old.js')],
    kept: [{ key: 'docs/kept.js', why: 'delete off' }],
    unchanged: unchanged(210),
  });

  test('of a plan are what a deploy would do', () => {
    const text = summary({ mode: 'plan', dryRun: true, plan });
    expect(text).toContain('<td>➕</td><td><code>docs/a.css</code></td><td>new, 1.0 KiB</td>');
    expect(text).toContain('<td>✏️</td><td><code>docs/b.css</code></td><td>content, 2.0 KiB</td>');
    expect(text).toContain('<td>🗑️</td><td><code>docs/old.js</code></td><td>to delete</td>');
    expect(text).toContain('<th>To upload</th>');
    expect(text).toContain(
      '<td>1</td><td>1</td><td>1</td><td>210</td><td>1</td><td>0</td><td>3.0 KiB</td><td>4.2 s</td>',
    );
  });

  test('of a deploy are what was done, not what was planned', () => {
    const outcome = outcomeOf({ uploaded: [stored('docs/a.css')], failures: [failure('docs/b.css')] });
    const text = summary({ plan, outcome, error: failed });
    expect(text).toContain('<td>➕</td><td><code>docs/a.css</code></td>');
    expect(text).toContain('<td>❌</td><td><code>docs/b.css</code></td><td>PutObject 403 AccessDenied</td>');
    expect(text).not.toContain('old.js');
    expect(text).toContain('<td>1</td><td>0</td><td>0</td><td>210</td><td>1</td><td>1</td><td>1.0 KiB</td>');
  });

  test('of a deploy that was stopped before it began are none', () => {
    expect(summary({ plan, error: failed })).not.toContain('<details');
  });

  test('that are none have no table', () => {
    expect(summary({ plan: planOf({ unchanged: unchanged(3) }), outcome: outcomeOf() })).not.toContain('<details');
  });

  test('are shown when they are few, and folded when they are many', () => {
    const of = (count: number) =>
      summary({ plan: planOf(), outcome: outcomeOf({ deleted: Array.from({ length: count }, (_, i) => `k${i}`) }) });
    expect(of(1)).toContain('<details open><summary>1 change</summary>');
    expect(of(20)).toContain('<details open>');
    expect(of(21)).toContain('<details><summary>21 changes</summary>');
  });

  test('are cut with a word, failures first', () => {
    const deleted = Array.from({ length: 1300 }, (_, i) => `k${i}`);
    const text = summary({ plan: planOf(), outcome: outcomeOf({ deleted, failures: [failure('broken')] }) });
    expect(text.match(/<tr><td>(🗑️|❌)/gu)).toHaveLength(200);
    expect(text).toContain('broken');
    expect(text).toContain('and 1,101 more changes, in the log and the result file');
    expect(text).toContain('<summary>1,301 changes</summary>');
  });
});

test('GitHub takes a summary of 1 MiB: hostile keys, messages and hints stay far below it', () => {
  const long = '\u{10ffff}<&"'.repeat(2000);
  const hostile = `${long}##[x]`;
  const text = summary({
    plan: planOf(),
    outcome: outcomeOf({
      failures: Array.from({ length: 50 }, () => failure(hostile, hostile)),
      deleted: Array.from({ length: 5000 }, () => hostile),
    }),
    error: new DeployError('UPLOAD_FAILED', hostile, { hint: hostile }),
  });
  expect(Buffer.byteLength(text)).toBeLessThan(1024 ** 2);
});

describe('nothing in a summary can become markup', () => {
  const TAGS = /<\/?(b|pre|code|table|tr|td|th|details|summary|a|ul|li)( open| href="[^"<>]*")?>/g;
  test.each([
    ['a tag', '<img src=x onerror=alert(1)>'],
    ['the end of the table', '</code></td></tr></table><script>'],
    ['an attribute', '" onmouseover="alert(1)'],
    ['markdown', '**x** [y](javascript:z) `code` | cell'],
    ['a mention', '@octocat #1'],
    ['a blank line', 'x\n\n# heading\r\n<b>'],
    ['a command', '##[stop-commands]x ::add-mask::y'],
    ['bidi', '\u202e\u2066'],
  ])('%s', (_what, hostile) => {
    const check: Check = {
      action: hostile,
      resource: hostile,
      required: true,
      result: 'denied',
      evidence: hostile,
      why: hostile,
    };
    const text = summary({
      destination: { bucket: hostile, prefix: `${hostile}/` },
      region: hostile,
      plan: planOf(),
      outcome: outcomeOf({ uploaded: [stored(hostile)], deleted: [hostile], failures: [failure(hostile, hostile)] }),
      checks: [check],
      findings: [warning('lists-other-buckets', hostile, hostile)],
      missing: ['s3:PutObject'],
      policy: permissionPolicy(['s3:PutObject'], { bucket: hostile, prefix: `${hostile}/` }, 'aws'),
      error: new DeployError('UPLOAD_FAILED', hostile, { hint: hostile }),
    });
    const rest = text
      .replace(TAGS, '')
      .replace(/^### .*/, '')
      .replace(/&#\d+;/g, '');
    expect(rest).not.toMatch(/[<>&"'`|*~[\]\\@#\r\u202e\u2066]/);
  });

  test('an address is escaped where it is linked', () => {
    const text = summary({ url: 'https://x.example/"><script>' });
    expect(text).not.toMatch(/<script|"">/);
  });
});

describe('the probe', () => {
  const check = (action: string, result: Check['result'], why?: string): Check => ({
    action,
    resource: 'arn:aws:s3:::my-site/docs/*',
    required: action !== 's3:AbortMultipartUpload',
    result,
    evidence: `${action.slice(3)} 403`,
    ...(why === undefined ? {} : { why }),
  });
  const checks = [
    check('s3:GetObject', 'allowed'),
    check('s3:PutObject', 'denied', 'no session policy allows it'),
    check('s3:DeleteObject', 'unknown'),
  ];
  const policy = permissionPolicy(['s3:PutObject'], { bucket: 'my-site', prefix: 'docs/' }, 'aws');

  test('shows each permission with its evidence, and the policy to paste', () => {
    const text = summary({ mode: 'probe', checks, missing: ['s3:PutObject'], policy });
    expect(text).toContain('<td>✅</td><td><code>s3:GetObject</code></td>');
    expect(text).toContain('<td>❌</td><td><code>s3:PutObject</code></td>');
    expect(text).toContain('PutObject 403 (no session policy allows it)');
    expect(text).toContain('<td>❔</td><td><code>s3:DeleteObject</code></td>');
    const pasted = /<pre>(.*)<\/pre>/s.exec(text)?.[1] ?? '';
    const decoded = pasted.replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)));
    expect(JSON.parse(decoded)).toEqual(policy);
  });

  test('tells what a deploy goes on without from what it lacks', () => {
    const text = summary({ mode: 'probe', checks: [check('s3:AbortMultipartUpload', 'denied')] });
    expect(text).toContain('<td>➖</td><td><code>s3:AbortMultipartUpload</code></td>');
  });

  test('lists what was found beside the permissions, warnings marked', () => {
    const findings = [warning('lists-account', 'Too wide.', 'Give less.'), info('manifest-exposure', 'No manifest.')];
    const text = summary({ mode: 'probe', checks, findings });
    expect(text).toContain('<li>⚠️ Too wide. Give less.</li>\n<li>No manifest.</li>');
  });

  test('is shown without a policy where there is none', () => {
    expect(summary({ mode: 'probe', checks })).not.toContain('least policy');
  });

  test('before a deploy is worth a table only when something is missing', () => {
    expect(summary({ checks })).not.toContain('Evidence');
    expect(summary({ checks, missing: ['s3:PutObject'] })).toContain('Evidence');
  });
});

test('names what was invalidated, as far as there is room, and counts none of it as a change', () => {
  const paths = Array.from({ length: 203 }, (_, i) => `/${i}<`);
  const text = summary({ plan: planOf(), invalidations: [{ id: 'I1', paths }, { paths: ['/*'] }] });
  expect(text).toContain('Invalidated (I1): <code>/0&#60;</code>, <code>/1&#60;</code>');
  expect(text).toContain('<code>/199&#60;</code>, and 3 more paths\n\nTo invalidate: <code>/&#42;</code>');
  expect(text).not.toContain('<details');
});
