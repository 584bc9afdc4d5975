import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from './support/cloud/cloud.ts';
import { allow, OWNER, Stage, trustFor } from './support/deploys.ts';
import { KEY } from './support/probe-cases.ts';
import type { ActionRun } from './support/runner.ts';
import { Site } from './support/site.ts';
import type { PolicyStatement } from './support/test-cloud.ts';

const AWS = { endpoint: '', 'sts-endpoint': '' };
const READ_BUCKET = allow(['s3:GetBucketVersioning', 's3:DeleteObjectVersion'], '*');
const LEAST: PolicyStatement[] = [
  { ...allow(['s3:ListBucket'], 'arn:aws:s3:::BUCKET'), Condition: { StringLike: { 's3:prefix': 'docs/*' } } },
  allow(['s3:GetObject', 's3:PutObject', 's3:DeleteObject'], 'arn:aws:s3:::BUCKET/docs/*'),
];

interface Finding {
  level: string;
  code: string;
  message: string;
}

const findings = ({ result }: ActionRun): Finding[] => result.probe.findings;
const codes = (run: ActionRun) => findings(run).map(({ code }) => code);
const finding = (run: ActionRun, code: string) => findings(run).find((one) => one.code === code)?.message;
const verdicts = ({ result }: ActionRun): Record<string, string> =>
  Object.fromEntries(
    result.probe.checks.map(({ action, result: verdict }: { action: string; result: string }) => [action, verdict]),
  );

describe('the probe', () => {
  let cloud: LoopbackCloud;
  beforeAll(async () => {
    cloud = await startCloud({ hosts: 'aws' });
  });
  afterAll(() => cloud.close());
  afterEach(() => {
    cloud.faults.clear();
    cloud.clearRequests();
  });
  const onAws = (more: object = {}) => ({ env: cloud.awsEnvironment(), ...more });
  const asJob = () => ({ env: { ...cloud.awsEnvironment(), ...cloud.github.jobEnvironment() } });
  /** Nothing of a probe: no object, no version, no marker, no open upload. */
  const expectNoTrace = async (stage: Stage, before: readonly string[] = []) => {
    expect(cloud.bucket(stage.bucket).keys()).toEqual(before);
    expect(await cloud.openUploads(stage.bucket)).toEqual([]);
  };
  const writes = () => cloud.requests.filter(({ operation }) => operation === 'PutObject');

  describe('in the form full', () => {
    test('puts an object as a deploy would, reads it back, compares and removes it', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      cloud.bucket(stage.bucket).options.acls = true;
      const inputs = {
        prefix: 'docs',
        acl: 'public-read',
        'storage-class': 'STANDARD_IA',
        sse: 'AES256',
        tags: 'team=web\nstage=live',
        'cache-control': 'public, max-age=60',
      };
      const run = await stage.run({ ...AWS, ...inputs, mode: 'probe', probe: 'full' }, onAws());
      expect(run.exitCode).toBe(0);
      const [put] = writes();
      expect(put?.key).toMatch(/^docs\/\.s3-deploy-probe\//);
      expect(put?.headers).toMatchObject({
        'x-amz-acl': 'public-read',
        'x-amz-storage-class': 'STANDARD_IA',
        'x-amz-server-side-encryption': 'AES256',
        'x-amz-tagging': 'team=web&stage=live',
        'cache-control': 'public, max-age=60',
        'content-type': 'text/html; charset=utf-8',
      });
      expect(run.result.probe.checks).toContainEqual(
        expect.objectContaining({ action: 's3:PutObjectAcl', result: 'allowed', evidence: 'PutObject 200' }),
      );
      expect(codes(run)).not.toContain('stored-otherwise');
      await expectNoTrace(stage);
    });

    test('removes its version as well, and leaves no marker', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      cloud.bucket(stage.bucket).options.versioning = true;
      const run = await stage.run({ ...AWS, mode: 'probe' }, onAws());
      expect(finding(run, 'probe-form')).toContain('written, read back and removed');
      expect(writes()).toHaveLength(1);
      await expectNoTrace(stage);
    });

    test('says what a store does not keep', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      cloud.faults.add({ operation: 'GetObject', key: /object\.html$/, times: 9, answer: { kind: 'delay', ms: 0 } });
      const store = cloud.bucket(stage.bucket);
      const putVersion = store.put.bind(store);
      store.put = (version) => putVersion({ ...version, headers: { 'content-type': 'binary/octet-stream' } });
      const run = await stage.run({ mode: 'probe', 'cache-control': 'no-cache' });
      expect(run.exitCode).toBe(0);
      const lost = findings(run).filter(({ code }) => code === 'stored-otherwise');
      expect(lost.map(({ message }) => message)).toEqual([
        expect.stringContaining('Content-Type: text/html; charset=utf-8 → binary/octet-stream'),
        expect.stringContaining('Cache-Control: no-cache → nothing'),
      ]);
    });

    test('names what it could not remove', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      const denied = { kind: 'error', status: 403, code: 'AccessDenied' } as const;
      const key = /object\.html$/;
      cloud.faults.add({ operation: 'DeleteObjects', times: 9, answer: denied });
      cloud.faults.add({ operation: 'DeleteObject', key, times: 9, answer: denied });
      const run = await stage.run({ ...AWS, mode: 'probe', delete: 'true' }, onAws());
      const [left] = await stage.keys();
      expect(left).toMatch(key);
      expect(finding(run, 'leftover')).toContain(left);
      expect(run.log.visible).toContain(left);
      expect(verdicts(run)['s3:DeleteObject']).toBe('denied');
      expect(run.exitCode).toBe(1);
    });

    test('insists on the right to delete what it writes, and writes nothing without', async () => {
      const stage = await Stage.withKeys(cloud, [allow(['s3:PutObject'], 'arn:aws:s3:::BUCKET/*')]);
      const append = { overwrite: 'false', mode: 'probe', probe: 'full' };
      const run = await stage.run({ ...AWS, ...append }, onAws());
      expect([run.exitCode, run.outputs['missing-permissions']]).toEqual([1, 's3:DeleteObject']);
      expect(writes()).toEqual([]);
      const keys = await cloud.createUser(
        `mended-${stage.bucket}`,
        JSON.parse(run.fileAt(run.outputs['suggested-policy-file'] ?? '') ?? ''),
      );
      const mended = await stage.run(
        { ...AWS, ...append, 'aws-access-key-id': keys.accessKeyId, 'aws-secret-access-key': keys.secretAccessKey },
        onAws(),
      );
      expect([mended.exitCode, writes().length]).toEqual([0, 1]);
      await expectNoTrace(stage);
    });

    const moments: [string, Parameters<LoopbackCloud['faults']['add']>[0], string][] = [
      ['while the object is put', { operation: 'PutObject', answer: { kind: 'delay', ms: 1500 } }, 'PutObject'],
      [
        'while it is put, and nobody answers',
        { operation: 'PutObject', answer: { kind: 'silence', applied: true } },
        'PutObject',
      ],
      ['while it is read', { operation: 'GetObject', key: /object/, answer: { kind: 'silence' } }, 'GetObject'],
      ['while it is removed', { operation: 'DeleteObjects', answer: { kind: 'delay', ms: 1500 } }, 'DeleteObjects'],
      [
        'while an upload is begun',
        { operation: 'CreateMultipartUpload', answer: { kind: 'delay', ms: 1500 } },
        'CreateMultipartUpload',
      ],
      [
        'while the upload is aborted',
        { operation: 'AbortMultipartUpload', answer: { kind: 'delay', ms: 1500 } },
        'AbortMultipartUpload',
      ],
    ];
    test.each(moments)('leaves nothing when the job is cancelled %s', async (_when, fault, operation) => {
      const stage = await Stage.withKeys(cloud, OWNER);
      cloud.faults.add(fault);
      const began = new Promise<void>((resolve) => {
        const timer = setInterval(() => {
          const hit = cloud.requests.some((one) => one.operation === operation && one.fault !== undefined);
          if (!hit) return;
          clearInterval(timer);
          resolve();
        }, 5);
      });
      const started = performance.now();
      const run = await stage.run(
        { ...AWS, mode: 'probe', probe: 'full' },
        onAws({ signalAfter: { at: began, signal: 'SIGINT' } }),
      );
      expect(run.exitCode).toBe(1);
      expect(run.log.visible).toContain('cancelled');
      expect(performance.now() - started).toBeLessThan(8000);
      await expectNoTrace(stage);
    });

    test('finds the upload whose id was lost on the way', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      cloud.faults.add({ operation: 'CreateMultipartUpload', answer: { kind: 'reset', at: 'response' } });
      const run = await stage.run({ ...AWS, mode: 'probe', probe: 'no-residue' }, onAws());
      expect(run.exitCode).toBe(0);
      expect(cloud.count('ListMultipartUploads')).toBe(1);
      await expectNoTrace(stage);
    });

    test('finds the version whose id was lost on the way', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      cloud.bucket(stage.bucket).options.versioning = true;
      cloud.faults.add({ operation: 'PutObject', answer: { kind: 'reset', at: 'response' } });
      const run = await stage.run({ ...AWS, mode: 'probe' }, onAws());
      expect(run.exitCode).toBe(0);
      await expectNoTrace(stage);
    });
  });

  describe('chooses by itself to write nothing', () => {
    const quiet: [string, (stage: Stage) => void, PolicyStatement[], string][] = [
      [
        'under Object Lock',
        ({ bucket }) => {
          cloud.bucket(bucket).options.objectLock = { mode: 'COMPLIANCE', days: 3650 };
        },
        OWNER,
        'Object Lock',
      ],
      [
        'where something listens',
        ({ bucket }) => {
          cloud.bucket(bucket).options.notifies = true;
        },
        OWNER,
        'listens',
      ],
      [
        'where versions would stay',
        ({ bucket }) => {
          cloud.bucket(bucket).options.versioning = true;
        },
        [...OWNER, { Effect: 'Deny', Action: 's3:DeleteObjectVersion', Resource: '*' }],
        'keeps versions',
      ],
      ['where nothing tells of versions', () => {}, LEAST, 's3:GetBucketVersioning'],
      [
        'without the right to delete',
        () => {},
        [
          allow(['s3:PutObject', 's3:GetObject'], 'arn:aws:s3:::BUCKET/*'),
          allow(['s3:ListBucket'], 'arn:aws:s3:::BUCKET'),
        ],
        'could not be deleted',
      ],
    ];
    test.each(quiet)('%s', async (_where, prepare, statements, why) => {
      const stage = await Stage.withKeys(cloud, statements);
      prepare(stage);
      const run = await stage.run({ ...AWS, prefix: 'docs', mode: 'probe' }, onAws());
      expect(run.exitCode).toBe(0);
      expect(finding(run, 'probe-form')).toContain(why);
      expect(writes()).toEqual([]);
      await expectNoTrace(stage);
    });

    test('of a pull request, without a file of the checkout or a right to write', async () => {
      const stage = await Stage.withKeys(cloud, [LEAST[0]!, allow(['s3:GetObject'], 'arn:aws:s3:::BUCKET/docs/*')], {
        site: new Site(),
      });
      const event = { name: 'pull_request', payload: { pull_request: { head: { repo: { fork: false } } } } };
      const inputs = { ...AWS, prefix: 'docs', mode: 'probe', 'source-dir': '' };
      const readOnly = await stage.run({ ...inputs, probe: 'no-residue', 'dry-run': 'true' }, onAws({ event }));
      expect(readOnly.exitCode).toBe(0);
      expect(cloud.requests.every(({ operation }) => /^(Get|Head|List)/.test(operation))).toBe(true);
      const wide = await Stage.withKeys(cloud, OWNER);
      const auto = await wide.run({ ...inputs, delete: 'true' }, onAws({ event }));
      expect(finding(auto, 'probe-form')).toContain('pull request');
      expect(writes()).toEqual([]);
    });
  });

  describe('the five users, with what their documentation grants and no more', () => {
    test('one: keys of a least-privilege user, a path prefix, public access off', async () => {
      const stage = await Stage.withKeys(cloud, [...LEAST, READ_BUCKET]);
      const run = await stage.run(
        { ...AWS, 'aws-region': 'eu-central-1', prefix: 'docs', mode: 'probe', delete: 'true' },
        onAws(),
      );
      expect([run.exitCode, run.outputs['probe-result']]).toEqual([0, 'passed']);
      expect(finding(run, 'object-exposure')).toContain('cannot be read anonymously');
      expect(findings(run).filter(({ level }) => level === 'warning')).toEqual([]);
    });

    test('two: a role that may put and delete, then not even delete, and never list', async () => {
      const stage = await Stage.withRole(cloud, [allow(['s3:PutObject', 's3:DeleteObject'], 'arn:aws:s3:::BUCKET/*')]);
      const append = { ...AWS, overwrite: 'false', mode: 'probe' };
      const first = await stage.run({ ...append, probe: 'full' }, asJob());
      expect([first.exitCode, writes().length]).toEqual([0, 1]);
      expect(verdicts(first)).toMatchObject({
        's3:ListBucket': 'denied',
        's3:GetObject': 'denied',
        's3:PutObject': 'allowed',
      });
      expect(codes(first).filter((code) => code === 'append-only')).toHaveLength(2);
      await expectNoTrace(stage);
      cloud.setRolePolicy(`role-${stage.bucket}`, {
        Statement: [allow(['s3:PutObject'], `arn:aws:s3:::${stage.bucket}/*`)],
      });
      const later = await stage.run(append, asJob());
      expect([later.exitCode, writes().length]).toEqual([0, 1]);
      expect(later.outputs['missing-permissions']).toBe('');
      await expectNoTrace(stage);
    });

    test('three: a user who may touch nothing but a website bucket', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      cloud.bucket(stage.bucket).options.policy = {
        Statement: [
          { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: `arn:aws:s3:::${stage.bucket}/*` },
        ],
      };
      const run = await stage.run({ ...AWS, mode: 'probe', delete: 'true' }, onAws());
      expect(run.exitCode).toBe(0);
      expect(finding(run, 'object-exposure')).toContain('can be read by anybody');
      expect(codes(run)).not.toContain('lists-account');
    });

    test('four: put, get, list and delete, on a bucket field that carries a path', async () => {
      const stage = await Stage.withRole(cloud, [
        allow(['s3:ListBucket', 's3:ReplicateObject'], 'arn:aws:s3:::BUCKET'),
        allow(
          ['s3:PutObject', 's3:GetObject', 's3:DeleteObject', 's3:ReplicateObject'],
          'arn:aws:s3:::BUCKET/output/customers/*',
        ),
      ]);
      const run = await stage.run(
        { ...AWS, bucket: `${stage.bucket}/output/customers`, mode: 'probe', delete: 'true' },
        asJob(),
      );
      expect(run.exitCode).toBe(0);
      expect(finding(run, 'lists-outside-prefix')).toContain('output/customers/');
    });

    test('five: a store of an institution, its keys in the environment', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      const keys = await cloud.createUser(`env-${stage.bucket}`, {
        Statement: JSON.parse(JSON.stringify(OWNER).replaceAll('BUCKET', stage.bucket)),
      });
      const env = { AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: keys.secretAccessKey };
      const run = await stage.run(
        { mode: 'probe', delete: 'true', 'aws-access-key-id': '', 'aws-secret-access-key': '' },
        { env },
      );
      expect(run.exitCode).toBe(0);
      expect(run.result.probe.capabilities).toEqual({
        conditionalWrites: true,
        batchDelete: true,
        contentMd5: true,
        crcChecksums: true,
        multipart: true,
        urlEncodedListing: true,
        websiteRedirects: true,
      });
      await expectNoTrace(stage);
    });
  });

  describe('finds', () => {
    test('credentials that see other buckets, and the whole account', async () => {
      const stage = await Stage.withRole(cloud, [allow(['s3:*'], '*')]);
      await cloud.createBucket(`neighbour-of-${stage.bucket}`);
      const run = await stage.run({ ...AWS, prefix: 'docs', mode: 'probe' }, asJob());
      expect(run.exitCode).toBe(0);
      expect(codes(run)).toEqual(
        expect.arrayContaining(['lists-other-buckets', 'lists-account', 'lists-outside-prefix']),
      );
      const assumed = cloud.requests.find(({ operation }) => operation === 'AssumeRoleWithWebIdentity');
      expect(assumed?.query.Policy).not.toContain('"s3:*"');
    });

    test('whether the manifest can be read by anybody', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      await stage.put('docs/index.html');
      const inputs = { ...AWS, prefix: 'docs', mode: 'probe', probe: 'no-residue' };
      expect(finding(await stage.run(inputs, onAws()), 'manifest-exposure')).toContain('no manifest yet');
      await stage.put('docs/.s3-deploy/manifest');
      expect(finding(await stage.run(inputs, onAws()), 'manifest-exposure')).toContain('cannot be read');
      const anybody = (resource: string): PolicyStatement => ({
        ...allow(['s3:GetObject'], `arn:aws:s3:::${stage.bucket}/${resource}`),
        Principal: '*',
      });
      cloud.bucket(stage.bucket).options.policy = { Statement: [anybody('docs/*')] };
      const open = await stage.run(inputs, onAws());
      expect([finding(open, 'object-exposure'), finding(open, 'manifest-exposure')]).toEqual([
        expect.stringContaining('can be read by anybody'),
        expect.stringContaining('can be read by anybody'),
      ]);
    });

    test('what a store cannot do, and what a deploy does without', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      const refused = { kind: 'error', status: 501, code: 'NotImplemented' } as const;
      cloud.faults.add({ operation: 'DeleteObjects', times: 9, answer: refused });
      cloud.faults.add({ operation: 'CreateMultipartUpload', times: 9, answer: refused });
      const run = await stage.run({ mode: 'probe' });
      expect(run.exitCode).toBe(0);
      expect(run.result.probe.capabilities).toMatchObject({
        batchDelete: false,
        multipart: false,
        conditionalWrites: true,
      });
      expect(run.log.visible).toContain('No batch delete: objects are deleted one by one.');
      await expectNoTrace(stage);
    });
  });

  describe('tells apart', () => {
    let server: Server;
    let web: string;
    beforeAll(async () => {
      server = createServer((_, response) => {
        response.statusCode = 404;
        response.setHeader('content-type', 'text/html');
        response.end('<html><body>Not here</body></html>');
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      web = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    });
    afterAll(() => new Promise((resolve) => server.close(resolve)));

    const wrong: [string, (stage: Stage) => Record<string, string>, string, string][] = [
      ['a bucket that is missing', () => ({ bucket: 'no-such-bucket' }), 'BUCKET_NOT_FOUND', 'Check the name'],
      ['a web page', () => ({ endpoint: web }), 'STORE_MISBEHAVED', 'not its web page'],
      [
        'TLS where there is none',
        () => ({ endpoint: web.replace('http:', 'https:') }),
        'STORE_UNREACHABLE',
        'does not speak TLS',
      ],
      [
        'a port where nothing listens',
        () => ({ endpoint: 'http://127.0.0.1:1' }),
        'STORE_UNREACHABLE',
        'Nothing listens there',
      ],
      [
        'a host that does not exist',
        () => ({ endpoint: 'http://no-such-host.invalid' }),
        'STORE_UNREACHABLE',
        'no host of this name',
      ],
      [
        'an unknown key',
        () => ({ 'aws-access-key-id': 'AKIAUNKNOWN000000000' }),
        'CREDENTIALS_INVALID',
        'does not know this access key',
      ],
      [
        'a wrong secret',
        () => ({ 'aws-secret-access-key': 'wrong-secret-wrong-secret' }),
        'CREDENTIALS_INVALID',
        'secret access key is not the one',
      ],
    ];
    test.each(wrong)('%s', async (_what, inputs, code, hint) => {
      const stage = await Stage.withKeys(cloud, OWNER);
      const run = await stage.run({ mode: 'probe', ...inputs(stage) });
      expect(run.result.error).toMatchObject({ code, hint: expect.stringContaining(hint) });
      expect(run.durationMs).toBeLessThan(20_000);
    });

    test('a clock that is wrong', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      const skewed = { kind: 'error', status: 403, code: 'RequestTimeTooSkewed' } as const;
      cloud.faults.add({ operation: 'ListObjectsV2', times: 99, answer: skewed });
      const run = await stage.run({ mode: 'probe' });
      expect(run.result.error).toMatchObject({
        code: 'CREDENTIALS_INVALID',
        hint: expect.stringContaining('Set the clock'),
      });
    });

    test('a bucket of another account', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      const owner = { 'expected-bucket-owner': '999999999999' };
      for (const mode of ['probe', 'deploy']) {
        const run = await stage.run({ ...AWS, ...owner, mode }, onAws());
        expect([run.result.status, run.result.error.code]).toEqual(['refused', 'BUCKET_WRONG_OWNER']);
        expect(run.result.error.hint).toContain('expected-bucket-owner');
      }
      await expectNoTrace(stage);
      const right = await stage.run({ ...AWS, 'expected-bucket-owner': cloud.account }, onAws());
      expect(right.exitCode).toBe(0);
      const puts = writes();
      expect(puts.length).toBeGreaterThan(0);
      expect(puts.every(({ headers }) => headers['x-amz-expected-bucket-owner'] === cloud.account)).toBe(true);
    });

    test('a bucket of another account from one that merely may not be listed', async () => {
      const append = { ...AWS, overwrite: 'false', mode: 'probe' };
      const stage = await Stage.withKeys(cloud, [allow(['s3:PutObject'], 'arn:aws:s3:::BUCKET/*')]);
      const right = await stage.run({ ...append, 'expected-bucket-owner': cloud.account }, onAws());
      expect(right.exitCode).toBe(0);
      const other = await stage.run({ ...append, 'expected-bucket-owner': '999999999999' }, onAws());
      expect(other.result.error.code).toBe('BUCKET_WRONG_OWNER');
    });

    test('a bucket whose requester pays', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      cloud.bucket(stage.bucket).options.requesterPays = true;
      const run = await stage.run({ ...AWS, mode: 'probe' }, onAws());
      expect(run.result.error).toMatchObject({
        code: 'PERMISSION_DENIED',
        hint: expect.stringContaining('Requester Pays'),
      });
    });

    test('a bucket that refuses ACLs', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      const run = await stage.run({ ...AWS, mode: 'probe', acl: 'public-read' }, onAws());
      expect(run.result.error).toMatchObject({
        code: 'INPUT_INVALID',
        message: expect.stringContaining('acl: the bucket has ACLs disabled'),
      });
      await expectNoTrace(stage);
    });

    test('a key that may not be used from a bucket that may not be written', async () => {
      const stage = await Stage.withKeys(cloud, OWNER);
      cloud.bucket(stage.bucket).options.kmsKey = KEY;
      const run = await stage.run({ ...AWS, mode: 'probe' }, onAws());
      expect(run.result.error.message).toContain(`kms:GenerateDataKey on ${KEY}`);
      expect(run.result.error.hint).toContain(`sse-kms-key-id: ${KEY}`);
      expect(verdicts(run)['s3:PutObject']).toBe('allowed');
      await expectNoTrace(stage);
    });
  });

  test('suggests a policy that passes probe and deploy, and is the smallest that does', async () => {
    const stage = await Stage.withRole(cloud, [{ Effect: 'Allow', Action: '*', Resource: '*' }]);
    const inputs = {
      ...AWS,
      prefix: 'docs',
      delete: 'true',
      acl: 'bucket-owner-full-control',
      tags: 'team=web',
      sse: 'aws:kms',
      'sse-kms-key-id': KEY,
    };
    const wide = await stage.run({ ...inputs, mode: 'probe' }, asJob());
    const policy = JSON.parse(wide.fileAt(wide.outputs['suggested-policy-file'] ?? '') ?? '{}');
    const trust = trustFor(cloud, 'repo:acme/site:ref:refs/heads/main');
    const role = await cloud.createRole(`least-${stage.bucket}`, { trust, policy });
    await stage.put('docs/stale.html');
    for (const mode of ['probe', 'deploy'])
      expect((await stage.run({ ...inputs, mode, 'role-to-assume': role }, asJob())).exitCode).toBe(0);
    const granted: string[] = policy.Statement.flatMap((one: PolicyStatement) => one.Action);
    expect(granted).toHaveLength(9);
    for (const action of granted.filter((one) => one !== 's3:AbortMultipartUpload')) {
      cloud.setRolePolicy(`least-${stage.bucket}`, {
        ...policy,
        Statement: policy.Statement.map((one: PolicyStatement) => ({
          ...one,
          Action: (one.Action as string[]).filter((name) => name !== action),
        })).filter(({ Action }: { Action: string[] }) => Action.length > 0),
      });
      const less = await stage.run({ ...inputs, mode: 'probe', 'role-to-assume': role }, asJob());
      expect([less.exitCode, less.outputs['missing-permissions']]).toEqual([1, action]);
    }
  });

  test('is skipped when it is off', async () => {
    const stage = await Stage.withKeys(cloud, OWNER);
    const run = await stage.run({ probe: 'off' });
    expect([run.exitCode, run.outputs['probe-result'], run.result.probe.checks]).toEqual([0, 'skipped', []]);
    expect(cloud.requests.filter(({ key }) => key?.includes('.s3-deploy-probe'))).toEqual([]);
    const alone = await stage.run({ probe: 'off', mode: 'probe' });
    expect(alone.result.error).toMatchObject({ code: 'INPUT_INVALID', message: expect.stringContaining('probe') });
  });

  test('of a deploy is a handful of requests', async () => {
    const stage = await Stage.withKeys(cloud, OWNER);
    await stage.run({ ...AWS, mode: 'plan', delete: 'true' }, onAws());
    const plan = cloud.requests.length;
    cloud.clearRequests();
    const deploy = await stage.run({ ...AWS, delete: 'true', 'source-dir': 'public' }, onAws());
    expect(deploy.exitCode).toBe(0);
    const probing = cloud.requests.filter(({ operation, key }) => operation !== 'PutObject' || key?.includes('probe'));
    // Who am I, region, list (which is the plan's listing too), read, start, abort, delete, and a look at the manifest before
    // pages, and before entry pages.
    expect([plan, probing.length]).toEqual([4, 9]);
    cloud.clearRequests();
    await stage.run({ ...AWS, delete: 'true', 'source-dir': 'public' }, onAws());
    // What the probe reads is the manifest, which it hands to the plan.
    expect(cloud.requests.filter(({ operation }) => /^(List|Get)Object/.test(operation))).toEqual([
      expect.objectContaining({ operation: 'ListObjectsV2' }),
      expect.objectContaining({ operation: 'GetObject', key: '.s3-deploy/manifest' }),
    ]);
  });

  test('judges a bucket that answers within two seconds, and is short when all is well', async () => {
    const stage = await Stage.withRole(cloud, [...LEAST, READ_BUCKET]);
    const run = await stage.run({ ...AWS, prefix: 'docs', mode: 'probe', delete: 'true' }, asJob());
    expect(run.result.timings.probe).toBeLessThan(2000);
    expect(run.log.visible.split('\n').length).toBeLessThan(20);
    expect(run.log.annotations).toEqual([]);
  });
});
