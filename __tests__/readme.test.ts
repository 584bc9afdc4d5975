import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { load } from 'js-yaml';
import { neededActions, permissionPolicy } from '../src/core/policy.ts';
import { trustPolicy } from '../src/core/trust.ts';
import { ERROR_CODES } from '../src/errors.ts';
import { startCloud } from './support/cloud/cloud.ts';
import { OWNER, Stage } from './support/deploys.ts';
import { type Action, readAction } from './support/runner/action-file.ts';

const ROOT = join(import.meta.dirname, '..');
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');

interface Step {
  uses?: string;
  with?: Record<string, unknown>;
}

/** The text below a heading, down to the next of the same rank. */
function section(heading: string): string {
  const text = README.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  if (text === undefined) throw new Error(`README.md has no section ${heading}`);
  return text;
}

/** The cells of every row of a section's tables; a row begins with a name in backticks. */
function rows(text: string): [name: string, ...cells: string[]][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').slice(1, -1))
    .map(([name = '', ...cells]) => [name.trim().slice(1, -1), ...cells.map((cell) => cell.trim())]);
}

function names(text: string): string[] {
  return rows(text).map(([name]) => name);
}

function codeBlocks(language: string, text = README): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(([, code = '']) => code);
}

/** The steps of the examples that start this action: those of whole workflows, and those that stand alone. */
function ourSteps(): Step[] {
  const steps = codeBlocks('yaml').flatMap((code): Step[] => {
    const example = load(code) as Step[] | { jobs: Record<string, { steps: Step[] }> };
    return Array.isArray(example) ? example : Object.values(example.jobs).flatMap((job) => job.steps);
  });
  return steps.filter(({ uses }) => uses?.startsWith('OWNER/s3-deploy@'));
}

/** The form of a JSON value: names and kinds, whatever the values; a list has the form of its first item. */
function formOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map(formOf);
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, formOf(member)]));
}

describe('README.md', () => {
  let action: Action;
  beforeAll(async () => {
    action = await readAction(ROOT);
  });

  test('names the inputs of action.yml, in its order', () => {
    expect(names(section('Inputs'))).toEqual(Object.keys(action.inputs));
  });

  test('gives each input the default of action.yml', () => {
    const told = rows(section('Inputs')).map(([name, shown = '']) => [name, /^`([^`]+)`$/.exec(shown)?.[1] ?? '']);
    expect(Object.fromEntries(told)).toEqual(action.inputs);
  });

  test('names the outputs of action.yml, in its order', () => {
    expect(names(section('Outputs'))).toEqual(action.outputs);
  });

  test('explains every error code, and no other', () => {
    expect(names(section('Troubleshooting'))).toEqual([...ERROR_CODES]);
  });

  test('gives this action only inputs that it has, and all that it needs', () => {
    const steps = ourSteps();
    expect(steps.length).toBeGreaterThanOrEqual(5);
    for (const { with: given = {} } of steps) {
      expect(Object.keys(action.inputs)).toEqual(expect.arrayContaining(Object.keys(given)));
      expect(Object.keys(given)).toEqual(
        expect.arrayContaining(given.mode === 'probe' ? ['bucket'] : ['bucket', 'source-dir']),
      );
    }
  });

  test('lets every job that assumes a role without keys ask for a token', () => {
    for (const code of codeBlocks('yaml').filter((one) => one.includes('role-to-assume'))) {
      expect(load(code)).toMatchObject({ permissions: { 'id-token': 'write' } });
    }
  });

  test('shows in the quick start the policies that the code makes', () => {
    const [trust, permissions] = codeBlocks('json', section('Quick start with OIDC')).map((code) => JSON.parse(code));
    const [step] = ourSteps();
    const role = String(step?.with?.['role-to-assume']);
    const claims = {
      iss: 'https://token.actions.githubusercontent.com',
      aud: action.inputs.audience,
      sub: 'repo:OWNER/REPO:ref:refs/heads/main',
    };
    expect(trust).toEqual(trustPolicy(claims, role));
    const destination = { bucket: String(step?.with?.bucket), prefix: '' } as const;
    expect(permissions).toEqual(
      permissionPolicy(neededActions({ mode: 'deploy', dryRun: false, delete: 'off' }), destination, 'aws'),
    );
  });

  test('shows the result file in the form that a deploy writes', async () => {
    const [example = ''] = codeBlocks('json', section('Result file'));
    const cloud = await startCloud({ hosts: 'aws', region: 'eu-central-1' });
    try {
      const invalidating = { Effect: 'Allow' as const, Action: 'cloudfront:*', Resource: '*' };
      const stage = await Stage.withRole(cloud, [...OWNER, invalidating]);
      const { id } = cloud.createDistribution(stage.bucket);
      await stage.put('stale.html');
      const env = { ...cloud.awsEnvironment(), ...cloud.github.jobEnvironment() };
      const run = await stage.run(
        { delete: 'true', endpoint: '', 'sts-endpoint': '', 'cloudfront-distribution-id': id },
        { env },
      );
      expect(formOf(JSON.parse(example))).toEqual(formOf(run.result));
    } finally {
      await cloud.close();
    }
  });

  test('names scripts that package.json has', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    const named = [...README.matchAll(/npm (?:run )?(test\b|(?<=run )[\w:]+)/g)].map(([, name = '']) => name);
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(named));
  });

  test('links to what is there', () => {
    const anchors = [...README.matchAll(/^##+ (.*)$/gm)].map(
      ([, heading = '']) => `#${heading.toLowerCase().replaceAll(' ', '-')}`,
    );
    const links = [...README.matchAll(/\]\(([^)]+)\)/g)].map(([, target = '']) => target);
    expect(
      links.filter((target) => !(target.startsWith('#') ? anchors.includes(target) : existsSync(join(ROOT, target)))),
    ).toEqual([]);
  });
});
