import { describe, expect, test } from '@jest/globals';
import { bytes, count, duration, html, plain } from '../../src/core/text.ts';
import { parseCommand } from '../support/runner/commands.ts';

const COMMANDS = new Set(['add-mask', 'stop-commands', 'set-output', 'error', 'group', 'debug', 'warning']);
const point = (...codes: number[]) => String.fromCodePoint(...codes);

describe('the runner takes no line of ours for a command', () => {
  test.each([
    ['the old form', '##[stop-commands]x'],
    ['the old form inside a name', 'a/b##[add-mask]secret.html'],
    ['the old form with more hashes', '####[add-mask]x'],
    ['the old form twice', '##[x]##[stop-commands]y'],
    ['the new form', '::add-mask::secret'],
    ['the new form with properties', '::error file=a,line=1::lie'],
    ['the new form after blanks', ' \t ::stop-commands::x'],
    ['the new form after an ideographic space', `${point(0x3000)}::stop-commands::x`],
    ['the new form after a no-break space', `${point(0xa0)}::stop-commands::x`],
    ['the new form after NEL, which .NET takes for a blank', `${point(0x85)}::stop-commands::x`],
    ['the new form after a line feed', 'a.html\n::stop-commands::x'],
    ['the new form after a carriage return', 'a.html\r::stop-commands::x'],
    ['the new form after a line separator', `a${point(0x2028)}::stop-commands::x`],
    ['three colons', ':::stop-commands::x'],
    ['both forms', '::group::##[add-mask]x'],
  ])('%s', (_what, hostile) => {
    const line = plain(hostile);
    expect(line).not.toMatch(/[\r\n\u2028\u2029\u0085]/);
    expect(parseCommand(line, COMMANDS)).toBeUndefined();
    expect(parseCommand(`  ${line}`, COMMANDS)).toBeUndefined();
  });

  test('nor when the cut falls into the middle of it', () => {
    const hostile = '##[stop-commands]x'.repeat(4);
    for (let max = 1; max <= hostile.length + 1; max++) {
      expect(parseCommand(plain(hostile, max), COMMANDS)).toBeUndefined();
    }
  });

  test('nor a line that was made safe twice', () => {
    const once = plain('##[add-mask]x ::y');
    expect(plain(once)).toBe(once);
  });
});

describe('what cannot be seen is shown', () => {
  test.each([
    ['NUL', '\0', '\\x00'],
    ['ESC', '\x1b[2K', '\\x1b[2K'],
    ['backspace', '\b', '\\x08'],
    ['line feed', '\n', '\\x0a'],
    ['tab', '\t', '\\x09'],
    ['DEL', '\x7f', '\\x7f'],
    ['C1 CSI', '\x9b', '\\x9b'],
    ['soft hyphen', point(0xad), '\\xad'],
    ['right-to-left override', point(0x202e), '\\u202e'],
    ['bidi isolate', point(0x2066), '\\u2066'],
    ['Arabic letter mark', point(0x61c), '\\u061c'],
    ['zero-width space', point(0x200b), '\\u200b'],
    ['word joiner', point(0x2060), '\\u2060'],
    ['byte order mark', point(0xfeff), '\\ufeff'],
    ['combining grapheme joiner', point(0x34f), '\\u034f'],
    ['Hangul filler', point(0x3164), '\\u3164'],
    ['tag letter', point(0xe0041), '\\u{e0041}'],
    ['high surrogate alone', '\ud83d', '\\ud83d'],
    ['low surrogate alone', '\ude00', '\\ude00'],
    ['surrogates the wrong way round', '\ude00\ud83d', '\\ude00\\ud83d'],
  ])('%s', (_what, character, shown) => {
    expect(plain(`a${character}b`)).toBe(`a${shown}b`);
  });
});

test.each([
  ['an ordinary path', 'assets/app.3f2a1b9c.js'],
  ['blanks and punctuation', "it's [1] (a+b) #2 & 50%: ok?"],
  ['letters of other scripts', 'données/日本語/файл.html'],
  ['emoji', 'a/😀.png'],
  ['colons inside a line', 'PutObject 403: Access::Denied'],
  ['a heading', '## [x'],
  ['nothing', ''],
])('%s passes unchanged', (_what, text) => {
  expect(plain(text)).toBe(text);
});

test('a long text is cut to the length that is asked for, and says so', () => {
  expect(plain('abcdef', 4)).toBe('abc…');
  expect(plain('abcd', 4)).toBe('abcd');
  expect(plain('x'.repeat(1e6))).toHaveLength(2000);
});

test('a text that grows by its escapes is still bounded', () => {
  expect(plain('\0'.repeat(5000)).length).toBeLessThanOrEqual(2000);
});

test('the cut leaves no half of a character', () => {
  expect(plain('ab😀cd', 4).isWellFormed()).toBe(true);
});

describe('in HTML and markdown a name is only a name', () => {
  test.each([
    ['a tag', '<img src=x onerror=alert(1)>', /[<>]/],
    ['the end of a cell', '</td></tr></table>', /[<>]/],
    ['an attribute', `" onclick='x'`, /["']/],
    ['an entity', '&lt;script&gt;', /&(?!#\d+;)/],
    ['a link', '[click](javascript:x)', /[[\]]/],
    ['code', '`rm`', /`/],
    ['another cell', 'a|b', /\|/],
    ['emphasis', '*a* _b_ ~c~', /[*_~]/],
    ['a mention', '@octocat', /@/],
    ['an issue', '#1', /(?<!&)#/],
    ['an escape', '\\', /\\/],
    ['a blank line, which ends a table', 'a\n\n# b', /\n/],
  ])('%s', (_what, hostile, live) => {
    expect(html(hostile)).not.toMatch(live);
  });

  test('and reads as it did', () => {
    const decoded = html(`<b>"a"&'b'</b> #1 @x [y](z) | *`).replace(/&#(\d+);/g, (_, code) => point(Number(code)));
    expect(decoded).toBe(`<b>"a"&'b'</b> #1 @x [y](z) | *`);
  });

  test('cut before it is escaped, so that no entity is cut', () => {
    expect(html('<'.repeat(10), 4)).toBe('&#60;&#60;&#60;…');
  });
});

test.each([
  [0, '0 B'],
  [1, '1 B'],
  [812, '812 B'],
  [99.997, '100 B'],
  [1023, '1023 B'],
  [1023.7, '1.0 KiB'],
  [1024, '1.0 KiB'],
  [4198, '4.1 KiB'],
  [1024 ** 2 - 1, '1.0 MiB'],
  [1024 ** 2, '1.0 MiB'],
  [1.3 * 1024 ** 3, '1.3 GiB'],
  [5 * 1024 ** 4, '5.0 TiB'],
  [5000 * 1024 ** 4, '5000.0 TiB'],
])('%d bytes are %s', (number, text) => {
  expect(bytes(number)).toBe(text);
});

test.each([
  [0, '0 ms'],
  [340.4, '340 ms'],
  [999.7, '1.0 s'],
  [4200, '4.2 s'],
  [59_949, '59.9 s'],
  [59_999, '1 min 0 s'],
  [60_000, '1 min 0 s'],
  [200_000, '3 min 20 s'],
  [119_600, '2 min 0 s'],
])('%d milliseconds are %s', (ms, text) => {
  expect(duration(ms)).toBe(text);
});

test.each([
  [0, '0 files'],
  [1, '1 file'],
  [2, '2 files'],
  [999, '999 files'],
  [1204, '1,204 files'],
  [123_456, '123,456 files'],
  [1_000_000, '1,000,000 files'],
])('%d is counted as %s', (number, text) => {
  expect(count(number, 'file')).toBe(text);
});
