import { describe, expect, test } from '@jest/globals';
import { parseHeaderRules, unusedRules } from '../../src/core/header-rules.ts';
import { type HeaderOptions, headersFor, sameHeaders } from '../../src/core/headers.ts';
import type { ObjectHeaders } from '../../src/core/model.ts';

const served = (path: string, yaml: string, cacheControl: HeaderOptions['cacheControl'] = { kind: 'none' }) =>
  headersFor(path, { cacheControl, headerRules: parseHeaderRules(yaml) });
const refused = (message: string | RegExp) =>
  expect.objectContaining({
    code: 'INPUT_INVALID',
    message: typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message),
  });
/** Metadata of the file `a` with this value in YAML. */
const value = (yaml: string) => served('a', `a:\n  x-amz-meta-v: ${yaml}`).metadata?.v;

describe('rules as people write them', () => {
  test.each([
    ['quoted', "'*.css':\n  Cache-Control: no-cache"],
    ['double-quoted', '"*.css":\n  Cache-Control: "no-cache"'],
    ['on one line', "'*.css': { Cache-Control: no-cache }"],
    ['as JSON', '{"*.css": {"Cache-Control": "no-cache"}}'],
    ['with a glob that needs no quotes', 'a.css:\n  Cache-Control: no-cache'],
    ['indented', "  '*.css':\n    Cache-Control: no-cache"],
    ['with comments and blank lines', "# styles\n\n'*.css': # all\n\n  # fresh\n  Cache-Control: no-cache # yes"],
    ['with Windows line ends', "'*.css':\r\n  Cache-Control: no-cache\r\n"],
    ['with blanks at the ends of lines', "'*.css':  \n  Cache-Control: no-cache  \n"],
    ['with a byte order mark', "\ufeff'*.css':\n  Cache-Control: no-cache"],
    ['as a document', "---\n'*.css':\n  Cache-Control: no-cache\n"],
    ['in other capitals', "'*.css':\n  CACHE-control: no-cache"],
    ['in a folded block', "'*.css':\n  Cache-Control: >-\n    no-cache"],
    ['in a literal block', "'*.css':\n  Cache-Control: |\n    no-cache\n"],
  ])('%s', (_what, yaml) => {
    expect(served('a.css', yaml)).toEqual({ contentType: 'text/css; charset=utf-8', cacheControl: 'no-cache' });
    expect(served('a.js', yaml)).not.toHaveProperty('cacheControl');
  });

  test('a value may go over lines, which are blanks then', () => {
    expect(served('a', 'a:\n  Cache-Control: public,\n    max-age=60').cacheControl).toBe('public, max-age=60');
  });

  test.each([
    ['', 'nothing'],
    [' \n\t\n', 'blanks'],
    ['# none yet\n  # none', 'comments'],
    ['{}', 'an empty map'],
  ])('%j is no rule', (yaml) => {
    expect(parseHeaderRules(yaml)).toEqual([]);
  });

  test('every header that S3 keeps can be set', () => {
    const yaml = [
      'a.html:',
      '  Cache-Control: no-cache',
      '  Content-Type: text/plain',
      '  Content-Disposition: attachment; filename="A b.html"',
      '  Content-Language: de, en',
      '  Content-Encoding: gzip',
      '  Expires: Wed, 21 Oct 2026 07:28:00 GMT',
      '  X-Amz-Meta-Built-By: CI',
    ].join('\n');
    expect(served('a.html', yaml)).toEqual({
      cacheControl: 'no-cache',
      contentType: 'text/plain',
      contentDisposition: 'attachment; filename="A b.html"',
      contentLanguage: 'de, en',
      contentEncoding: 'gzip',
      expires: 'Wed, 21 Oct 2026 07:28:00 GMT',
      metadata: { 'built-by': 'CI' },
    });
  });
});

describe('a value is the text as it is written', () => {
  test.each([
    ['1.10', '1.10'],
    ['1e3', '1e3'],
    ['12345678901234567890', '12345678901234567890'],
    ['0x1F', '0x1F'],
    ['010', '010'],
    ['-0', '-0'],
    ['.inf', '.inf'],
    ['true', 'true'],
    ['True', 'True'],
    ['no', 'no'],
    ['2026-01-01', '2026-01-01'],
    ['12:30:00', '12:30:00'],
    ["' x '", 'x'],
    ["'# x'", '# x'],
    ["'it''s'", "it's"],
    ['!!str 1', '1'],
    ['"\\u0041"', 'A'],
  ])('%s is %s', (yaml, text) => {
    expect(value(yaml)).toBe(text);
  });

  test.each(['', '~', 'null', "''", '""', "'  '", '# x'])('%j is none', (yaml) => {
    expect(value(yaml)).toBeUndefined();
  });

  test.each([
    ['a list', '[a, b]'],
    ['a map', '{ a: b }'],
    ['two lines', '"a\\nb"'],
    ['a header smuggled in', '"a\\r\\nSet-Cookie: b"'],
    ['a control character', '"a\\x07b"'],
    ['what is not ASCII', 'grün'],
    ['what is endless', 'x'.repeat(2001)],
  ])('%s is no value', (_what, yaml) => {
    expect(() => value(yaml)).toThrow(refused("has the rule 'a', x-amz-meta-v, with a value that no header can carry"));
  });
});

describe('later rules win, per header', () => {
  const yaml = [
    "'**':",
    '  Cache-Control: no-cache',
    '  Content-Language: en',
    '  x-amz-meta-a: "1"',
    '  x-amz-meta-b: "1"',
    "'*.css':",
    '  Cache-Control: max-age=60',
    '  x-amz-meta-b: "2"',
    "'b.css':",
    '  Cache-Control:',
    '  x-amz-meta-a: ~',
  ].join('\n');

  test('the last that speaks of one', () => {
    const base = { contentType: 'text/css; charset=utf-8', contentLanguage: 'en' };
    expect(served('a.txt', yaml)).toMatchObject({ cacheControl: 'no-cache', metadata: { a: '1', b: '1' } });
    expect(served('a.css', yaml)).toEqual({ ...base, cacheControl: 'max-age=60', metadata: { a: '1', b: '2' } });
    expect(served('b.css', yaml)).toStrictEqual({ ...base, metadata: { b: '2' } });
  });

  test('over cache-control, whose header an empty value takes away', () => {
    const auto = { kind: 'auto' } as const;
    expect(served('a.html', 'a.html: { Cache-Control: no-store }', auto).cacheControl).toBe('no-store');
    expect(served('a.html', 'a.html: { Cache-Control: }', auto)).not.toHaveProperty('cacheControl');
    const again = "'**': { Cache-Control: }\n'*.html': { Cache-Control: no-cache }";
    expect(served('a.html', again, auto).cacheControl).toBe('no-cache');
  });

  test('without a type an object is bytes', () => {
    expect(served('a.html', 'a.html: { Content-Type: }')).toEqual({ contentType: 'application/octet-stream' });
  });

  test('numbers as globs keep their place', () => {
    expect(served('1', "'*': { Cache-Control: a }\n1: { Cache-Control: b }").cacheControl).toBe('b');
    expect(served('1', "1: { Cache-Control: b }\n'*': { Cache-Control: a }").cacheControl).toBe('a');
  });

  test('rules leave each other as they are', () => {
    const headerRules = parseHeaderRules(yaml);
    const css = () => headersFor('b.css', { cacheControl: { kind: 'none' }, headerRules });
    const first = css();
    headersFor('a.txt', { cacheControl: { kind: 'none' }, headerRules });
    expect(css()).toEqual(first);
  });
});

describe('globs', () => {
  test.each([
    ['**/*.html', 'a/b.html', true],
    ['**/*.html', 'b.html', true],
    ['*.html', 'a/b.html', false],
    ['**', '.well-known/x', true],
    ['assets/**', 'assets/a/b', true],
    ['assets/**', 'old-assets/a', false],
    ['*.{js,css}', 'a.css', true],
    ['constructor', 'constructor', true],
    ['__proto__', '__proto__', true],
    ['__proto__', 'a', false],
    ['true', 'true', true],
  ])('%s and %s: %s', (glob, path, matches) => {
    expect(served(path, `'${glob}': { Cache-Control: no-store }`).cacheControl).toBe(matches ? 'no-store' : undefined);
  });

  test.each([
    ["''", 'a rule whose glob is no text'],
    ['? [a]\n', 'a rule whose glob is no text'],
    ['? {a: b}\n', 'a rule whose glob is no text'],
    ['~', 'a rule whose glob is no text'],
    ["'!a'", "begins with '!'"],
    ['/a', 'must not begin with a slash'],
    ["'a/'", "for a folder write 'a/**'"],
    ["'../a'", "holds '..'"],
  ])('%s is none', (glob, why) => {
    expect(() => parseHeaderRules(`${glob}: { Cache-Control: x }`)).toThrow(refused(why));
  });
});

describe('Expires', () => {
  const expires = (date: string) => served('a', `a:\n  Expires: ${date}`).expires;

  test.each([
    ['Wed, 21 Oct 2026 07:28:00 GMT', 'Wed, 21 Oct 2026 07:28:00 GMT'],
    ['2026-10-21', 'Wed, 21 Oct 2026 00:00:00 GMT'],
    ['2026-10-21T07:28:00Z', 'Wed, 21 Oct 2026 07:28:00 GMT'],
    ["'2026-10-21T07:28:00.123Z'", 'Wed, 21 Oct 2026 07:28:00 GMT'],
    ['2026-10-21T09:28+02:00', 'Wed, 21 Oct 2026 07:28:00 GMT'],
    ['', undefined],
  ])('%s is %s', (yaml, date) => {
    expect(expires(yaml)).toBe(date);
  });

  test.each([
    ['taken for the year 2000 by some', '0'],
    ['taken for the year 3600 by some', '3600'],
    ['in the past, as some say it', '-1'],
    ['a time on a clock that nobody named', '2026-10-21 07:28'],
    ['the same, written otherwise', '2026-10-21T07:28:00'],
    ['a date as one country writes it', '10/11/2026'],
    ['a month that there is none', '2026-13-01'],
    ['a day of words', 'tomorrow'],
    ['a year that no header can carry', "'+010000-01-01'"],
  ])('it is no date: %s', (_what, yaml) => {
    expect(() => expires(yaml)).toThrow(refused("has the rule 'a' with an Expires that is no date"));
  });
});

describe('metadata', () => {
  test('has names in lower case, and may be called like anything', () => {
    const yaml = 'a: { X-Amz-Meta-Author: Me, x-amz-meta-constructor: x, x-amz-meta-hasownproperty: y }';
    expect(served('a', yaml).metadata).toEqual({ author: 'Me', constructor: 'x', hasownproperty: 'y' });
  });

  test('is absent, not empty, when all of it is taken away', () => {
    expect(served('a', "'*': { x-amz-meta-a: b }\na: { x-amz-meta-a: }")).not.toHaveProperty('metadata');
  });

  test.each(['x-amz-meta-', 'x-amz-meta-a b', 'x-amz-meta-ü', 'x-amz-meta-__proto__', `x-amz-meta-${'a'.repeat(101)}`])(
    'cannot be called %s',
    (name) => {
      expect(() => parseHeaderRules(`a: { ${name}: x }`)).toThrow(refused('which S3 does not keep'));
    },
  );

  test('has 2 KB at most', () => {
    const rule = (size: number) => `a: { x-amz-meta-a: ${'x'.repeat(1000)}, x-amz-meta-b: ${'x'.repeat(size)} }`;
    expect(served('a', rule(1046)).metadata?.b).toHaveLength(1046);
    expect(() => parseHeaderRules(rule(1047))).toThrow(refused('more than 2 KB of metadata'));
  });
});

describe('a header that S3 does not keep is refused by name', () => {
  test.each([
    'Set-Cookie',
    'Location',
    'x-amz-acl',
    'x-amz-storage-class',
    'metadata',
    'contentType',
    'constructor',
    '__proto__',
    '<<',
  ])('%s', (name) => {
    const act = () => parseHeaderRules(`'a*': { ${name}: x }`);
    expect(act).toThrow(refused(`has the rule 'a*' with '${name}', which S3 does not keep`));
    expect(act).toThrow(expect.objectContaining({ hint: expect.stringContaining('cache-control') }));
  });

  test('nothing of it gets into any object', () => {
    expect(() => parseHeaderRules('__proto__: { __proto__: { polluted: x } }')).toThrow();
    expect(() => parseHeaderRules('a: { __proto__: { polluted: x } }')).toThrow();
    expect({}).not.toHaveProperty('polluted');
  });

  test('its name is printed harmlessly', () => {
    expect(() => parseHeaderRules('a: { "##[stop-commands]\\e": x }')).toThrow("'##\\[stop-commands]\\x1b'");
  });
});

describe('what is no map of maps is refused, with a word on what it should be', () => {
  const bomb = ['a: &a {x-amz-meta-a: x}', ...Array.from({ length: 30 }, (_, i) => `b${i}: *a`)].join('\n');
  test.each([
    ['a list', '- a', 'is not a map of globs'],
    ['a word', 'no-cache', 'is not a map of globs'],
    ['a number', '3600', 'is not a map of globs'],
    ['null', '~', 'is not a map of globs'],
    ['a glob without headers', 'a:', "has the rule 'a' without a map of headers"],
    ['a glob with a value', 'a: no-cache', "has the rule 'a' without a map of headers"],
    ['a glob with a list', 'a: [no-cache]', "has the rule 'a' without a map of headers"],
    ['a header whose name is a list', 'a: { ? [b] : c }', "has the rule 'a' with a header whose name is no text"],
    ['a glob twice', "'a': { Cache-Control: x }\n'a': { Cache-Control: y }", 'duplicated mapping key'],
    ['a header twice', 'a: { Cache-Control: x, Cache-Control: y }', 'duplicated mapping key'],
    ['a glob that needs quotes', '*.html:\n  Cache-Control: x', 'is not YAML'],
    ['tabs', "'a':\n\tCache-Control: x", 'tab characters must not be used'],
    ['an alias', bomb, 'aliases'],
    ['an alias of itself', 'a: &a { b: *a }', 'is not YAML'],
    ['a merge key', 'a: { <<: { Cache-Control: x } }', 'a value that no header can carry'],
    ['a function', "a: !!js/function 'function () {}'", 'unknown scalar tag'],
    ['an expression', 'a: { Cache-Control: !!js/regexp /x/ }', 'unknown scalar tag'],
    ['bytes', 'a: { Cache-Control: !!binary aGk= }', 'unknown scalar tag'],
    ['a tag of its own', 'a: { Cache-Control: !env SECRET }', 'unknown scalar tag'],
    ['two documents', 'a: { Cache-Control: x }\n---\nb: { Cache-Control: y }', 'a single document'],
    ['a map in a value', 'a: { x-amz-meta-a: { b: { c: { d: e } } } }', 'nesting exceeded'],
    ['deep maps', '{a: '.repeat(10_000), 'nesting exceeded'],
    ['deep lists', '['.repeat(60_000), 'nesting exceeded'],
    ['a document that breaks off', "'a': {", 'is not YAML'],
    ['too much', `# ${'x'.repeat(65_536)}\na: { Cache-Control: x }`, 'is longer than 65,536 characters'],
    ['a hostile text', '"##[stop-commands]x\\e', 'is not YAML'],
  ])('%s', (_what, yaml, message) => {
    const act = () => parseHeaderRules(yaml);
    expect(act).toThrow(refused(message));
    expect(act).toThrow(refused(/^[\x20-\x7e]*$/));
    expect(act).toThrow(
      expect.objectContaining({ hint: expect.stringMatching(/headers: \||in quotes|one line of ASCII/) }),
    );
  });

  test('as much as there may be is read at once', () => {
    const rules = Array.from({ length: 1500 }, (_, i) => `'a${i}/**': { Cache-Control: x }`).join('\n');
    const started = performance.now();
    expect(parseHeaderRules(rules)).toHaveLength(1500);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

describe('a rule that no file matches is worth a warning', () => {
  const warnings = (globs: string[], paths: string[]) =>
    unusedRules(parseHeaderRules(globs.map((glob) => `'${glob}': { Cache-Control: x }`).join('\n')), paths);

  test.each([
    ['assets/*.js', ['assets/js/app.js', 'index.html'], 'assets/js/app.js'],
    ['static/**', ['index.html', 'Static/a.css'], 'Static/a.css'],
    ['index.htm', ['index.html', 'about.html'], 'index.html'],
    ['**/*.jpeg', ['img/a.png', 'img/a.jpg.jpeg.webp', 'img/b.JPEG'], 'img/b.JPEG'],
    ['dist/assets/**', ['assets/app.js', 'dis.txt'], 'dis.txt'],
  ])('%s: the closest of %j is %s', (glob, paths, closest) => {
    expect(warnings([glob], paths)).toEqual([`headers: no file matches '${glob}'; the closest is '${closest}'.`]);
  });

  test.each([
    ['nothing is like it', 'xyz/**', ['index.html']],
    ['a letter is all that is like it', 'ixyz/**', ['index.html']],
    ['there is no file', 'assets/**', []],
  ])('without a name where %s', (_what, glob, paths) => {
    expect(warnings([glob], paths)).toEqual([`headers: no file matches '${glob}'.`]);
  });

  test('and only such a one, in the order of the rules', () => {
    const paths = ['index.html', 'a.css'];
    expect(warnings(['*.css', 'a', '*.html', 'b'], paths)).toEqual([
      expect.stringContaining("'a'"),
      expect.stringContaining("'b'"),
    ]);
    expect(warnings(['*.css', '**'], paths)).toEqual([]);
  });

  test('hostile names are printed harmlessly', () => {
    const [warning] = warnings(['docs/x*y'], ['docs/##[stop-commands]\x1b']);
    expect(warning).toContain("the closest is 'docs/##\\[stop-commands]\\x1b'");
  });

  test('and is found at once in a large site', () => {
    const paths = Array.from({ length: 50_000 }, (_, i) => `assets/${i}/app.js`);
    const started = performance.now();
    expect(warnings(['asset/**'], paths)).toHaveLength(1);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

describe('an object that somebody else put', () => {
  const HTML: ObjectHeaders = { contentType: 'text/html; charset=utf-8', cacheControl: 'public, max-age=60' };
  test.each<[string, ObjectHeaders, ObjectHeaders]>([
    ['the same', HTML, HTML],
    ['blanks and capitals', HTML, { contentType: 'text/html;charset=UTF-8', cacheControl: 'Public,max-age = 60' }],
    ['metadata that nobody asked for', HTML, { ...HTML, metadata: { mtime: '1' } }],
    [
      'metadata that was asked for, and more',
      { ...HTML, metadata: { a: 'b' } },
      { ...HTML, metadata: { a: 'b', c: 'd' } },
    ],
  ])('is served as it should be: %s', (_what, wanted, there) => {
    expect(sameHeaders(wanted, there)).toBe(true);
  });

  const attached = (name: string): ObjectHeaders => ({ ...HTML, contentDisposition: `attachment; filename="${name}"` });
  test.each<[string, ObjectHeaders, ObjectHeaders]>([
    ['another value', HTML, { ...HTML, cacheControl: 'public, max-age=61' }],
    ['a header less', HTML, { contentType: HTML.contentType }],
    ['a header more', HTML, { ...HTML, contentEncoding: 'gzip' }],
    ['no metadata', { ...HTML, metadata: { a: 'b' } }, HTML],
    ['other metadata', { ...HTML, metadata: { a: 'b' } }, { ...HTML, metadata: { a: 'B' } }],
    ['a file name in other capitals', attached('Report.pdf'), attached('report.pdf')],
    ['a file name with other blanks', attached('a; b'), attached('a;b')],
  ])('is not: %s', (_what, wanted, there) => {
    expect(sameHeaders(wanted, there)).toBe(false);
  });
});
