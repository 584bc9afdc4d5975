import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { figure, sized } from '../support/chaos.ts';
import { type LoopbackCloud, startCloud } from '../support/cloud/cloud.ts';
import { OWNER, Stage } from '../support/deploys.ts';
import { Site } from '../support/site.ts';

const TREES = sized(500, 10_000);

/** Names that begin like each other, that sort next to a slash, and that something on the way has been known to change. */
const NAMES = [
  ...[
    'a',
    'A',
    'a.',
    '.a',
    '..a',
    '...',
    '-',
    '~',
    '0',
    'é',
    'e\u0301',
    'ß',
    '日本',
    '😀',
    '\u{10ffff}',
    '\uff61',
    '\ue000',
  ],
  ...[
    '%',
    '%2F',
    '%46',
    '%00',
    '+',
    ' ',
    ' a',
    'a ',
    '&amp;',
    '<b>',
    '"',
    "'",
    '`',
    '\\',
    '*',
    '?',
    '[a]',
    '#',
    '$1',
    ';',
  ],
  ...['\n', 'a\rb', '\t', '\x01', '\x1f', '\x7f', '\x85', '\u2028', '\u202e', '\ufeff', '\ufffd', '\ufffe', '\uffff'],
  ...[
    'index.html',
    'app.3f2a1b9c.js',
    'sw.js',
    'feed.xml',
    '__proto__',
    'constructor',
    '##[group]',
    '::error::x',
    'soap',
  ],
];
const name = fc
  .oneof(
    { weight: 3, arbitrary: fc.constantFrom(...NAMES) },
    fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }),
  )
  .filter((one) => !/[/\0]/.test(one) && one.isWellFormed() && one !== '.' && one !== '..');
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));
const content = fc.constantFrom('', 'a', 'b', '<html>', 'x'.repeat(1000));
/** Paths with contents; none is a folder of another, which no file system can hold. */
const tree = fc.array(fc.tuple(path, content), { minLength: 1, maxLength: 6 }).map((files) => {
  const isFree = ([path]: readonly [string, string], index: number) =>
    files.every(([other], i) => i === index || (other === path ? i > index : !other.startsWith(`${path}/`)));
  return files.filter(isFree);
});

/** All of them at once, each in a folder of its own: one deploy says as much of ten thousand trees as ten thousand would. */
describe('whatever a site is made of', () => {
  let cloud: LoopbackCloud;
  beforeAll(async () => {
    cloud = await startCloud();
  });
  afterAll(() => cloud.close());

  test(`${TREES} generated trees are in the bucket key by key, a second deploy puts nothing, and a third deletes every other one`, async () => {
    const trees = fc.sample(tree, { numRuns: TREES, seed: 20_261_125 });
    const files = trees.flatMap((one, number) => one.map(([path, text]) => [`t${number}/${path}`, text] as const));
    figure(`trees: ${trees.length} with ${files.length} files`);
    const stage = await Stage.withRole(cloud, OWNER, { site: new Site(Object.fromEntries(files)) });
    const inputs = { prefix: 'p', include: '**', delete: 'true', 'max-delete': '100%' };
    const options = { timeoutMs: 600_000 };
    const expected = (kept: typeof files) => new Map(kept.map(([path, text]) => [`p/${path}`, text]));

    const first = await stage.run(inputs, options);
    expect([first.result.error, first.result.counts.uploaded]).toEqual([null, files.length]);
    expect(differences(await stage.bodies(), expected(files))).toEqual([]);

    cloud.clearRequests();
    const second = await stage.run({ ...inputs, probe: 'off' }, options);
    expect(second.result.counts).toMatchObject({ uploaded: 0, updated: 0, deleted: 0, unchanged: files.length });
    expect(cloud.requests.filter(({ operation }) => !/^(Get|Head|List|Assume)/.test(operation))).toEqual([]);

    const isOdd = ([path]: readonly [string, string]) => Number(/^t(\d+)/.exec(path)?.[1]) % 2 === 1;
    for (const [number] of trees.entries()) if (number % 2 === 0) stage.site.remove(`t${number}`);
    const third = await stage.run(inputs, options);
    expect(third.result.counts).toMatchObject({
      uploaded: 0,
      updated: 0,
      deleted: files.length - files.filter(isOdd).length,
    });
    expect(differences(await stage.bodies(), expected(files.filter(isOdd)))).toEqual([]);
    stage.site.dispose();
  }, 1_800_000);
});

/** Keys that are missing, too many, or of other content. */
function differences(bodies: Record<string, string>, expected: ReadonlyMap<string, string>): string[] {
  const there = new Map(Object.entries(bodies));
  const keys = new Set([...there.keys(), ...expected.keys()]);
  return [...keys].filter((key) => there.get(key) !== expected.get(key));
}
