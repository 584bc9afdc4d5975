import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from './support/cloud/cloud.ts';
import { OWNER, Stage } from './support/deploys.ts';
import { Site } from './support/site.ts';

/** Names that file systems hold and something between them and the bucket has been known to change. */
const NAMES = [
  ...Array.from({ length: 31 }, (_, i) => `control-${String.fromCharCode(i + 1)}-c`),
  'delete-\x7f-c',
  ...Array.from({ length: 32 }, (_, i) => `c1-${String.fromCharCode(0x80 + i)}`),
  ...' !"#$%&\'()*+,-.:;<=>?@[\\]^_`{|}~'.split('').map((character) => `ascii ${character} x`),
  ...['%', '%%', '%2', '%2F', '%2f', '%46', '%00', '%C3%A9', '%25', '+', '++', 'a+b', 'a b', ' a', 'a ', '  ', '\t'],
  ...[
    'é',
    'e\u0301',
    'Å',
    '\u212b',
    'ﬁ',
    'ß',
    'ẞ',
    'İ',
    'ı',
    'ǆ',
    '日本語',
    '中文/中文',
    'עברית',
    'العربية',
    '한글',
    '\u1112\u1161\u11ab',
  ],
  ...[
    '😀',
    '👩‍👩‍👧',
    '\u{10ffff}',
    '\u200b',
    '\u200d',
    '\u2028',
    '\u2029',
    '\u202e',
    '\ufeff',
    '\ufffd',
    '\ue000',
    '\uffff',
  ],
  ...[
    '.',
    '..',
    '...',
    '.hidden',
    'a.',
    'a..b',
    '~',
    '~a',
    '-',
    '--delete',
    '-rf',
    '*',
    '?',
    '[a]',
    '{a,b}',
    '!(a)',
    '#',
    'a#b',
    'a?b=c&d',
  ],
  ...[
    'CON',
    'nul.txt',
    'a:b',
    'a\\b',
    '\\',
    'C:\\a',
    '//',
    'index.html',
    'INDEX.HTML',
    'Index.html',
    'soap',
    'favicon.ico',
  ],
  ...[
    '<script>',
    '&amp;',
    '&#x41;',
    "' or 1=1",
    '"quoted"',
    '`tick`',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the name is one
    '${x}',
    '$(x)',
    '{{x}}',
    '%n%s',
    '::error::x',
    '##[group]x',
    'a\nb',
    'a\r\nb',
  ],
  'x'.repeat(255),
  'é'.repeat(127),
  `${'long/'.repeat(180)}${'n'.repeat(120)}`, // 1,020 bytes and the prefix
].filter((name) => !['.', '..', '//'].includes(name));

describe('names', () => {
  let cloud: LoopbackCloud;
  beforeAll(async () => {
    cloud = await startCloud();
  });
  afterAll(() => cloud.close());

  test(`${NAMES.length} of them, each under exactly its own key; a second run sends nothing; all are deleted again`, async () => {
    expect(new Set(NAMES).size).toBeGreaterThanOrEqual(150);
    const names = [...new Set(NAMES)];
    const stage = await Stage.withRole(cloud, OWNER, {
      site: new Site(Object.fromEntries(names.map((name) => [name, name]))),
    });
    const inputs = { prefix: 'p', include: '**', delete: 'true', 'max-delete': '100%' };
    const first = await stage.run(inputs);
    expect(first.exitCode).toBe(0);
    expect(await stage.bodies()).toEqual(Object.fromEntries(names.map((name) => [`p/${name}`, name])));
    const second = await stage.run(inputs);
    expect(second.result.counts).toMatchObject({ uploaded: 0, updated: 0, unchanged: names.length });
    for (const name of names) if (name !== 'index.html') stage.site.remove(name.split('/')[0] ?? '');
    const third = await stage.run(inputs);
    expect(third.exitCode).toBe(0);
    expect(await stage.keys()).toEqual(['p/index.html']);
  }, 60_000);

  test('objects with such names that others put are listed, and deleted, as they are', async () => {
    const stage = await Stage.withRole(cloud, OWNER);
    const names = [...new Set(NAMES)].filter((name) => !name.endsWith('/'));
    for (const name of names) await stage.put(`p/${name}`, 'x');
    const run = await stage.run({ prefix: 'p', delete: 'true', 'max-delete': '100%' });
    expect(run.exitCode).toBe(0);
    expect(run.result.deletions.map(({ key }: { key: string }) => key).sort()).toEqual(
      names
        .filter((name) => name !== 'index.html')
        .map((name) => `p/${name}`)
        .sort(),
    );
    expect((await stage.keys()).length).toBe(5);
  }, 60_000);

  test.each([
    ['a key of 1,025 bytes', `${'d/'.repeat(450)}${'n'.repeat(125)}`, /1025 bytes/],
    ['a name that is not UTF-8', Buffer.from([0x61, 0xff]), /not UTF-8/],
  ])('%s is refused in planning, shown safely, before any request', async (_, name, message) => {
    const stage = await Stage.withRole(cloud, OWNER, { site: new Site({ 'index.html': 'x' }) });
    stage.site.write(name, 'x');
    cloud.clearRequests();
    const run = await stage.run();
    expect(run.result.error).toMatchObject({ code: 'SOURCE_INVALID', message: expect.stringMatching(message) });
    expect(cloud.count()).toBe(0);
  });
});
