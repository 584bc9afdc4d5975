import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { load } from 'js-yaml';
import { eachOf } from '../../src/core/each-of.ts';
import { DeployError, ERROR_CODES } from '../../src/errors.ts';
import { readInputs } from '../../src/inputs.ts';
import { figure, LONG, sized } from '../support/chaos.ts';
import { type LoopbackCloud, startCloud } from '../support/cloud/cloud.ts';
import { OWNER, Stage } from '../support/deploys.ts';
import { expectOnlyOurCommands } from '../support/leaks.ts';
import { RunnerLog } from '../support/runner-log.ts';

const action = load(readFileSync(join(import.meta.dirname, '..', '..', 'action.yml'), 'utf8')) as {
  inputs: Record<string, object>;
};
const NAMES = Object.keys(action.inputs);

/** What people, templates and attackers put where something else belongs. */
const ODD = [
  ...[
    '',
    ' ',
    '\n',
    'true',
    'false',
    'yes',
    'null',
    'undefined',
    'NaN',
    '-1',
    '0',
    '1e9',
    '9'.repeat(400),
    '0x10',
    '１',
  ],
  ...[
    '%',
    '%ZZ',
    '%00',
    '..',
    '../..',
    '/etc/passwd',
    './x',
    '~',
    'a//b',
    '\\',
    'C:\\x',
    's3://',
    's3:///x',
    's3://a/../b',
  ],
  ...[
    '::stop-commands::x',
    '##[add-mask]x',
    '\u001b[2J',
    '\u202egnp',
    'a\r\nb',
    '\ud800',
    '\u{10ffff}',
    '<script>',
    '](x)',
  ],
  ...[
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    '{"__proto__":{"x":1}}',
    '{"Statement":[]}',
    '[]',
    '{',
    '"',
  ],
  ...['*', '**', '!x', '{a,b', '[a', '(a', '@(a|b)', '+(+(a))', '*'.repeat(300), '{a,b}'.repeat(60), '[[:alpha:]]'],
  ...['http://', 'https://u:p@h', 'ftp://h', 'http://[::1', 'javascript:x', 'http://127.0.0.1:9?x', 'http://h#f', 'h'],
  ...[
    'arn:aws:iam::1:role/x',
    'arn:aws:iam::123456789012:role/x',
    'arn:',
    '123456789012,x',
    '5MiB',
    '1 GB',
    '5GiB',
    '7d',
    '1y',
  ],
  ...['50%', '101%', '-5%', '%50', 'deploy', 'plan', 'probe', 'remove', 'owned', 'auto', 'none', 'full', 'AES256'],
  'a: &a [*a]',
  'a: &a ["x"]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\nd: [*c,*c,*c]',
  '__proto__:\n  Cache-Control: x',
  "'**':\n  __proto__: x",
  "'**':\n  constructor: x\n  x-amz-meta-__proto__: y",
  '\'**\':\n  Cache-Control: "a\\r\\nX: y"',
  '? [a]\n: b',
  '<<: {a: b}',
  '!!js/function x: y',
  `${'- '.repeat(2000)}x`,
  'x'.repeat(70_000),
  `'${'a'.repeat(2000)}': {}`,
];

const odd = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...ODD) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 200 }) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...ODD), fc.constantFrom(...ODD)).map((pair) => pair.join('')) },
  { weight: 1, arbitrary: fc.json() },
);
/** No environment can hold a NUL, nor half a character. */
const value = odd.map((text) => text.replaceAll('\0', '').toWellFormed());
const given = fc.dictionary(fc.constantFrom(...NAMES), value, { minKeys: 1, maxKeys: 4 });

const CODES: readonly string[] = ERROR_CODES.filter((code) => code !== 'INTERNAL');

describe('bad input', () => {
  const environment = process.env;
  const write = process.stdout.write;
  let said: string[];
  beforeEach(() => {
    said = [];
  });
  afterEach(() => {
    process.env = environment;
    process.stdout.write = write;
  });

  /** Reads inputs as a step would, and answers the code that they are refused with. */
  function refusal(inputs: Record<string, string>): string | undefined {
    const entries = Object.entries({ bucket: 'my-site', 'source-dir': 'public', ...inputs });
    process.env = Object.fromEntries(entries.map(([name, text]) => [`INPUT_${name.toUpperCase()}`, text]));
    process.stdout.write = ((text: string) => said.push(text) > 0) as typeof process.stdout.write;
    try {
      readInputs(process.env);
      return undefined;
    } catch (error) {
      if (!(error instanceof DeployError)) throw error;
      expect(`${error.message}${error.hint}`).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f\u202e]|##\[|\n\s+at /);
      return error.code;
    } finally {
      process.env = environment;
      process.stdout.write = write;
    }
  }

  test(`of ${sized(2000, 20_000)} kinds is read, or refused with a code and one harmless line, and soon`, () => {
    let cases = 0;
    let refused = 0;
    const started = performance.now();
    fc.assert(
      fc.property(given, (inputs) => {
        const begun = performance.now();
        const code = refusal(inputs);
        cases++;
        if (code !== undefined) refused++;
        expect([undefined, 'INPUT_INVALID', 'PREFIX_REQUIRED']).toContain(code);
        expect(performance.now() - begun).toBeLessThan(2000);
      }),
      { seed: 7, numRuns: sized(2000, 20_000) },
    );
    for (const name of NAMES) {
      for (const text of ODD) {
        const code = refusal({ [name]: text.replaceAll('\0', '').toWellFormed() });
        expect([undefined, 'INPUT_INVALID', 'PREFIX_REQUIRED']).toContain(code);
      }
    }
    cases += NAMES.length * ODD.length;
    // Nothing was polluted on the way, and nothing was printed but masks.
    expect([({} as Record<string, unknown>).x, Object.keys(Object.prototype)]).toEqual([undefined, []]);
    const log = RunnerLog.of(said.join(''));
    expectOnlyOurCommands({ log });
    expect(log.commands.filter(({ name }) => name !== 'add-mask')).toEqual([]);
    figure(
      `bad input: ${cases} cases in process, ${refused} of the random ones refused, ${Math.round(performance.now() - started)} ms`,
    );
  }, 300_000);
});

describe('bad input to the built action', () => {
  let cloud: LoopbackCloud;
  beforeAll(async () => {
    cloud = await startCloud();
  });
  afterAll(() => cloud.close());

  test('ends in success or a code of the closed set, without a stack, and with a result file', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    const cases = fc.sample(given, { seed: 11, numRuns: sized(24, 300) });
    // An address that answers nothing costs its retries, which the long form waits for.
    const calm = (inputs: Record<string, string>) =>
      LONG ? inputs : Object.fromEntries(Object.entries(inputs).filter(([name]) => !/endpoint|profile/.test(name)));
    const codes: Record<string, number> = {};
    await eachOf(cases.map(calm), sized(3, 6), async (inputs) => {
      const run = await stage.run(inputs, { timeoutMs: 120_000 });
      const code = run.exitCode === 0 ? 'success' : run.result.error.code;
      codes[code] = (codes[code] ?? 0) + 1;
      expect([inputs, ['success', ...CODES].includes(code)]).toEqual([inputs, true]);
      expect([inputs, run.signal, run.log.visible.match(/^\s+at .*\(|node:internal/m)]).toEqual([inputs, null, null]);
      expect(run.log.visible).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f\u202e]/);
    });
    figure(`bad input through dist: ${cases.length} runs: ${JSON.stringify(codes)}`);
  }, 600_000);
});
