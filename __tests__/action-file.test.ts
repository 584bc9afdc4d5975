import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type Inputs, readInputs } from '../src/inputs.ts';
import { startCloud } from './support/cloud/cloud.ts';
import { OWNER, Stage } from './support/deploys.ts';
import { type Action, readAction } from './support/runner/action-file.ts';

const ROOT = join(import.meta.dirname, '..');
const NEEDED = { bucket: 'my-site', 'source-dir': 'public' };
const ROLE = 'arn:aws:iam::123456789012:role/deploy';
const KEYS = { 'aws-access-key-id': 'AKIAEXAMPLE', 'aws-secret-access-key': 'example-secret' };
/** For each input a value that is not its default, with what must come along. */
const OTHER: Record<string, string | Record<string, string>> = {
  mode: 'plan',
  'dry-run': 'true',
  'role-to-assume': ROLE,
  'aws-access-key-id': KEYS,
  'aws-secret-access-key': KEYS,
  'aws-session-token': { ...KEYS, 'aws-session-token': 'example-token' },
  'aws-profile': 'deploy',
  'role-chaining': { 'role-chaining': 'true', 'role-to-assume': ROLE },
  'role-external-id': { 'role-external-id': 'shared', 'aws-profile': 'deploy', 'role-to-assume': ROLE },
  'role-session-name': 'me',
  'role-duration-seconds': '900',
  audience: 'elsewhere',
  'inline-session-policy': 'none',
  'allowed-account-ids': '123456789012',
  'mask-aws-account-id': 'true',
  'show-policies': { 'show-policies': 'true', mode: 'probe' },
  'sts-endpoint': 'https://sts.example.org',
  bucket: 'another-site',
  prefix: 'docs',
  'aws-region': 'eu-west-1',
  endpoint: 'https://s3.example.org',
  'force-path-style': 'true',
  'source-dir': 'dist',
  include: '*.html',
  exclude: '*.map',
  shard: '2/8',
  delete: 'true',
  'delete-exclude': 'keep/**',
  'delete-grace': '7d',
  'max-delete': '7',
  'allow-empty-source': 'true',
  'allow-untrusted': 'true',
  'cache-control': 'none',
  overwrite: 'false',
  acl: 'bucket-owner-full-control',
  'storage-class': 'INTELLIGENT_TIERING',
  sse: 'AES256',
  'sse-kms-key-id': 'alias/site',
  tags: 'team=web',
  headers: "'*.html': { Cache-Control: no-store }",
  concurrency: '3',
  'part-size': '16MiB',
  'cloudfront-distribution-id': 'E2QWRUHAPOMQZL',
  'invalidation-paths': { 'invalidation-paths': '/*', 'cloudfront-distribution-id': 'E2QWRUHAPOMQZL' },
  'cloudfront-wait': { 'cloudfront-wait': 'true', 'cloudfront-distribution-id': 'E2QWRUHAPOMQZL' },
  'site-url': 'https://www.example.org',
  probe: 'full',
  'expected-bucket-owner': '123456789012',
};

/** Reads the inputs as a step with these variables would, and answers the names that were asked for. */
function read(given: Record<string, string>): { inputs: Inputs; asked: Set<string> } {
  const asked = new Set<string>();
  const values = Object.fromEntries(Object.entries(given).map(([name, value]) => [variableOf(name), value]));
  process.env = new Proxy(values, {
    get(target, name) {
      if (typeof name === 'string' && name.startsWith('INPUT_')) asked.add(name.slice('INPUT_'.length).toLowerCase());
      return Reflect.get(target, name);
    },
  });
  return { inputs: readInputs(process.env), asked };
}

function variableOf(input: string): string {
  return `INPUT_${input.toUpperCase()}`;
}

/** What these inputs come to: the parsed ones, or why they are refused. */
function meaning(given: Record<string, string>): string {
  try {
    return JSON.stringify(comparable(read(given).inputs));
  } catch (error) {
    return String(error);
  }
}

/** Inputs that can be compared: what a filter does with some paths stands for the filter. */
function comparable({ filter, deleteExclude, headerRules, ...rest }: Inputs) {
  const paths = ['index.html', 'app.js', 'app.js.map', '.git/HEAD', 'keep/old.js'];
  return {
    ...rest,
    filter: paths.map(filter),
    deleteExclude: paths.map(deleteExclude),
    headerRules: headerRules.map(({ matches, ...rule }) => ({ ...rule, matches: paths.map(matches) })),
  };
}

describe('action.yml', () => {
  let action: Action;
  let required: string[];
  const environment = process.env;
  // The commands with which secrets are masked would stand between the lines of the test's own output.
  const write = process.stdout.write;
  beforeAll(async () => {
    action = await readAction(ROOT);
    const text = readFileSync(join(ROOT, 'action.yml'), 'utf8');
    required = [...text.matchAll(/^ {2}([\w-]+):\n(?: {4}.*\n)*? {4}required: true$/gm)].map(([, name = '']) => name);
  });
  beforeEach(() => {
    process.stdout.write = (() => true) as typeof process.stdout.write;
  });
  afterEach(() => {
    process.env = environment;
    process.stdout.write = write;
  });

  test('declares exactly the inputs that the code reads', () => {
    const { asked } = read(NEEDED);
    expect([...asked].sort()).toEqual(Object.keys(action.inputs).sort());
  });

  test('declares the defaults that the code has by itself', () => {
    const declared = Object.fromEntries(Object.entries(action.inputs).filter(([, value]) => value !== ''));
    const { inputs } = read({ ...declared, ...NEEDED });
    expect(comparable(inputs)).toEqual(comparable(read(NEEDED).inputs));
  });

  test('declares no input that changes nothing', () => {
    expect(Object.keys(OTHER).sort()).toEqual(Object.keys(action.inputs).sort());
    const idle = Object.entries(OTHER).filter(([name, value]) => {
      const given: Record<string, string> = typeof value === 'string' ? { [name]: value } : value;
      const { [name]: _, ...others } = given;
      return meaning({ ...NEEDED, ...given }) === meaning({ ...NEEDED, ...others });
    });
    expect(idle).toEqual([]);
  });

  test('leaves nothing that was read without a reader', () => {
    const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && file !== 'inputs.ts')
      .map((file) => readFileSync(join(ROOT, 'src', file), 'utf8'))
      .join('\n');
    const unread = Object.keys(read(NEEDED).inputs).filter((name) => !new RegExp(`\\b${name}\\b`).test(sources));
    expect(unread).toEqual([]);
  });

  test('requires what the code cannot do without', () => {
    expect(required).toEqual(['bucket']);
    expect(() => read({ 'source-dir': 'public' })).toThrow('bucket: is required');
    expect(() => read({ bucket: 'my-site' })).toThrow('source-dir: is required');
    expect(() => read({ bucket: 'my-site', mode: 'probe' })).not.toThrow();
  });

  test('runs a script that is there, on a Node that GitHub has', () => {
    expect(action.using).toBe('node24');
    expect(existsSync(action.main)).toBe(true);
  });
});

describe('the built action', () => {
  test('sets every output that action.yml declares, and no other', async () => {
    const cloud = await startCloud();
    try {
      const invalidating = { Effect: 'Allow' as const, Action: 'cloudfront:*', Resource: '*' };
      const stage = await Stage.withRole(cloud, [...OWNER, invalidating]);
      const { id } = cloud.createDistribution(stage.bucket);
      const env = { AWS_ENDPOINT_URL_CLOUDFRONT: cloud.cloudFrontEndpoint };
      const run = await stage.run({ 'cloudfront-distribution-id': id }, { env });
      expect(Object.keys(run.outputs).sort()).toEqual((await readAction(ROOT)).outputs.sort());
    } finally {
      await cloud.close();
    }
  });
});
