import { describe, expect, test } from '@jest/globals';
import { AWS } from '../../src/core/capabilities.ts';
import { warning } from '../../src/core/findings.ts';
import type { Outcome, Plan, Unchanged, Upload } from '../../src/core/model.ts';
import { DeployError } from '../../src/errors.ts';
import { countsOf, probeResultOf, type RunRecord, statusOf } from '../../src/report/record.ts';
import { resultOf } from '../../src/report/result.ts';

const upload = (key: string, reason: Upload['reason'], size: number): Upload => ({
  file: { path: key, size, inode: 1, modified: 1 },
  key: `docs/${key}`,
  reason,
  headers: { contentType: 'text/plain' },
});
const UPLOADS = [upload('a.css', 'new', 100), upload('b.css', 'content', 20), upload('c.css', 'unverified', 3)];
const STORED = UPLOADS.slice(0, 2).map((one) => ({ ...one, etag: 'x', content: 'y' }));
const UNCHANGED = Array.from(
  { length: 210 },
  (_, i): Unchanged => ({ key: `docs/${i}`, size: 1, etag: 'x', lastModified: 0 }),
);
const PLAN: Plan = {
  phases: [
    { name: 'assets', uploads: UPLOADS.slice(0, 2) },
    { name: 'pages', uploads: UPLOADS.slice(2) },
  ],
  deletions: [{ key: 'docs/old.js', size: 7, etag: 'x', lastModified: 0 }],
  kept: [{ key: 'docs/kept.js', why: 'delete off' }],
  unchanged: UNCHANGED,
  stale: [],
  revived: [],
  adopted: [],
  verified: false,
};
const FAILURE = { key: 'docs/c.css', operation: 'PutObject', code: 'AccessDenied', message: 'PutObject 403' };
const OUTCOME: Outcome = {
  uploaded: STORED,
  existing: [],
  deleted: [],
  failures: [FAILURE],
  bytesUploaded: 120,
  interrupted: false,
  stopped: undefined,
};
const record = (more: Partial<RunRecord> = {}): RunRecord => ({
  mode: 'deploy',
  dryRun: false,
  destination: { bucket: 'my-site', prefix: 'docs/' },
  region: 'eu-central-1',
  url: 'https://www.example.org/docs/',
  missing: [],
  source: { files: 213, bytes: 9_120_442 },
  timings: { plan: 95, total: 1190 },
  calls: new Map(),
  retries: () => 0,
  ...more,
});

describe('counts', () => {
  test.each([
    ['of a plan are what would be done', record({ mode: 'plan', dryRun: true, plan: PLAN }), [1, 2, 210, 1, 1, 0, 123]],
    [
      'of a removal that was only asked for are what would be done',
      record({ mode: 'remove', dryRun: true, plan: { ...PLAN, phases: [], unchanged: [] } }),
      [0, 0, 0, 1, 1, 0, 0],
    ],
    ['of a dry run are never what was done', record({ dryRun: true, outcome: OUTCOME }), [0, 0, 0, 0, 0, 1, 0]],
    ['of a deploy are what was done', record({ plan: PLAN, outcome: OUTCOME }), [1, 1, 210, 0, 1, 1, 120]],
    ['of a deploy that did not begin are nothing done', record({ plan: PLAN }), [0, 0, 210, 0, 1, 0, 0]],
    ['of a run without a plan are nothing', record(), [0, 0, 0, 0, 0, 0, 0]],
  ])('%s', (_what, run, [uploaded, updated, unchanged, deleted, kept, failed, bytes]) => {
    expect(countsOf(run)).toEqual({ uploaded, updated, unchanged, deleted, kept, failed, bytes });
  });

  test('of what is kept are what others put meanwhile, too', () => {
    const outcome = { ...OUTCOME, existing: ['docs/d.css', 'docs/e.css'] };
    expect(countsOf(record({ plan: PLAN, outcome })).kept).toBe(3);
    expect(resultOf(record({ plan: PLAN, outcome }))).toMatchObject({
      kept: [
        { key: 'docs/kept.js', why: 'delete off' },
        { key: 'docs/d.css', why: 'exists' },
        { key: 'docs/e.css', why: 'exists' },
      ],
    });
  });

  test('of deletions are those that are gone', () => {
    const outcome = { ...OUTCOME, failures: [], deleted: ['docs/old.js'] };
    expect(countsOf(record({ plan: PLAN, outcome })).deleted).toBe(1);
  });
});

test.each([
  [undefined, 'succeeded'],
  [new DeployError('UPLOAD_FAILED', 'x'), 'failed'],
  [new DeployError('PERMISSION_DENIED', 'x'), 'failed'],
  [new DeployError('TOO_MANY_DELETIONS', 'x'), 'refused'],
  [new DeployError('EMPTY_SOURCE', 'x'), 'refused'],
])('a run with the error %s has the status %s', (error, status) => {
  expect(statusOf(record(error === undefined ? {} : { error }))).toBe(status);
});

test.each([
  ['before it was made', record(), 'skipped'],
  ['when nothing is missing', record({ checks: [] }), 'passed'],
  ['when something is missing', record({ checks: [], missing: ['s3:PutObject'] }), 'failed'],
])('the probe %s', (_what, run, expected) => {
  expect(probeResultOf(run)).toBe(expected);
});

describe('the result file', () => {
  test('of a deploy has the documented shape', () => {
    const checks = [
      { action: 's3:PutObject', resource: 'arn', required: true, result: 'allowed', evidence: 'PutObject 200' },
    ] as const;
    const error = new DeployError('UPLOAD_FAILED', 'It failed.', { hint: 'Again.', cause: new Error('secret') });
    const findings = [warning('leftover', 'An object.')];
    const capabilities = { ...AWS, multipart: undefined };
    expect(resultOf(record({ plan: PLAN, outcome: OUTCOME, checks, findings, capabilities, error }))).toEqual({
      version: 1,
      mode: 'deploy',
      status: 'failed',
      bucket: 'my-site',
      prefix: 'docs/',
      region: 'eu-central-1',
      url: 'https://www.example.org/docs/',
      counts: { uploaded: 1, updated: 1, unchanged: 210, deleted: 0, kept: 1, failed: 1 },
      bytes: { uploaded: 120, source: 9_120_442 },
      timings: { plan: 95, total: 1190 },
      requests: { put: 0, list: 0, delete: 0, get: 0, retries: 0 },
      uploads: [
        { key: 'docs/a.css', reason: 'new', size: 100 },
        { key: 'docs/b.css', reason: 'content', size: 20 },
      ],
      deletions: [],
      kept: [{ key: 'docs/kept.js', why: 'delete off' }],
      failures: [FAILURE],
      invalidations: [],
      probe: {
        checks,
        findings: [{ level: 'warning', code: 'leftover', message: 'An object.' }],
        capabilities: { ...AWS, multipart: null },
      },
      error: { code: 'UPLOAD_FAILED', message: 'It failed.', hint: 'Again.' },
    });
  });

  test('tells of invalidations, which are no puts', () => {
    const calls = new Map([
      ['CreateInvalidation', 2],
      ['GetInvalidation', 3],
      ['PutObject', 1],
    ]);
    const invalidations = [{ id: 'I1', paths: ['/*'] }, { paths: ['/a'] }];
    expect(resultOf(record({ invalidations, calls }))).toMatchObject({
      invalidations: [
        { id: 'I1', paths: ['/*'] },
        { id: null, paths: ['/a'] },
      ],
      requests: { put: 1, get: 0 },
    });
  });

  test('of a plan tells what would be done', () => {
    expect(resultOf(record({ mode: 'plan', dryRun: true, plan: PLAN }))).toMatchObject({
      status: 'succeeded',
      counts: { uploaded: 1, updated: 2, deleted: 1 },
      uploads: [{ key: 'docs/a.css' }, { key: 'docs/b.css' }, { key: 'docs/c.css' }],
      deletions: [{ key: 'docs/old.js' }],
      error: null,
    });
  });

  test('of a run that ended at its inputs is as complete: nothing is absent, nothing undefined', () => {
    const early: RunRecord = {
      mode: 'deploy',
      dryRun: false,
      missing: [],
      timings: {},
      calls: new Map(),
      retries: () => 0,
    };
    const result = resultOf({ ...early, error: new DeployError('INPUT_INVALID', 'bucket: is required.') });
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
    expect(Object.keys(result)).toEqual(Object.keys(resultOf(record())));
    expect(result).toMatchObject({ bucket: null, prefix: null, region: null, url: null, error: { hint: null } });
  });

  test('keeps the empty prefix apart from none', () => {
    expect(resultOf(record({ destination: { bucket: 'b', prefix: '' } }))).toMatchObject({ prefix: '' });
  });

  test('keeps keys as they are, hostile ones too', () => {
    const key = '##[stop-commands]x\n<b>\u202e';
    const outcome = { ...OUTCOME, deleted: [key] };
    expect(JSON.parse(JSON.stringify(resultOf(record({ outcome }))))).toMatchObject({ deletions: [{ key }] });
  });

  test('counts every request to the store once, and none to the token service', () => {
    const calls = new Map([
      ['PutObject', 1],
      ['CreateMultipartUpload', 2],
      ['UploadPart', 4],
      ['CompleteMultipartUpload', 8],
      ['AbortMultipartUpload', 16],
      ['ListObjectsV2', 32],
      ['DeleteObjects', 64],
      ['DeleteObject', 128],
      ['GetObject', 256],
      ['HeadObject', 512],
      ['HeadBucket', 1024],
      ['GetCallerIdentity', 2048],
      ['AssumeRoleWithWebIdentity', 4096],
    ]);
    expect(resultOf(record({ calls, retries: () => 5 }))).toMatchObject({
      requests: { put: 31, list: 32, delete: 192, get: 1792, retries: 5 },
    });
  });
});
