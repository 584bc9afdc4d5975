import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { amend, type Entry, lineOf, readLines, staleNames, writeLines } from '../../src/core/entries.ts';
import { keyHash } from '../../src/core/manifest.ts';
import { entry } from '../support/entries.ts';

/** Names of keys, and such as are alike up to their end. */
const name = fc.oneof(
  fc.string().map(keyHash),
  fc.constantFrom('A', '-', 'z', '_').map((end) => `${'A'.repeat(15)}${end}`),
);
const LINE = `CCCCCCCCCCCCCCCC d41d8cd98f00b204e9800998ecf8427e AAAAAAAAAAAAAAAA BBBBBBBBBBBB o -`;

const textOf = (lines: readonly (string | undefined)[]) => lines.map((line) => `${line}\n`).join('');
const read = (text: string) => readLines(Buffer.from(text, 'latin1'));
const FORM = /^([\w-]{16}) ([\x21-\x7e]{1,200}) ([\w-]{16}|-) ([\w-]{12}|-) ([of]) (\d{1,12}|-)$/;

/** What the lines say, one after the other, in the plainest way; undefined for what is none. */
function plainly(text: string): Map<string, Entry> | undefined {
  const entries = new Map<string, Entry>();
  const lines = text.split('\n');
  if (lines.pop() !== '') return undefined;
  for (const line of lines) {
    const [whole, key = '', etag = '', content, headers, owner, stale] = FORM.exec(line) ?? [];
    if (whole === undefined) return undefined;
    entries.set(key, {
      etag,
      content: content === '-' ? undefined : content,
      headers: headers === '-' ? undefined : headers,
      owned: owner === 'o',
      staleSince: stale === '-' ? undefined : Number(stale),
    });
  }
  return entries;
}

/** Both say the same of every name, of one that is there and of one that is not. */
function expectSame(text: string, others: readonly string[] = []): void {
  const [found, expected] = [read(text), plainly(text)];
  expect(found && new Map(found)).toEqual(expected);
  expect(found?.size).toBe(expected?.size);
  if (found !== undefined && expected !== undefined) expect(staleNames(found)).toEqual(staleNames(expected));
  for (const one of [...(expected?.keys() ?? []), ...others]) {
    expect(found?.get(one)).toEqual(expected?.get(one));
    expect(found?.has(one)).toBe(expected?.has(one));
  }
}

describe('lines say what a map of them would', () => {
  const lines = fc.array(fc.tuple(name, entry).map(([key, one]) => lineOf(key, one)));
  const others = fc.array(fc.oneof(name, fc.string()));

  test('in order', () => {
    fc.assert(
      fc.property(lines, others, (all, more) => expectSame(textOf(all.toSorted()), more)),
      { numRuns: 500 },
    );
  });

  test('in any order, with names that come again', () => {
    fc.assert(fc.property(lines, others, (all, more) => expectSame(textOf([...all, ...all.slice(3)]), more)));
    fc.assert(
      fc.property(lines, others, (all, more) => expectSame(textOf(all), more)),
      { numRuns: 500 },
    );
  });

  test('cut anywhere', () => {
    fc.assert(
      fc.property(lines, fc.double({ min: 0, max: 1, noNaN: true }), (all, at) => {
        const text = textOf(all);
        expectSame(text.slice(0, Math.floor(at * text.length)));
      }),
      { numRuns: 500 },
    );
  });

  test('with any byte changed', () => {
    fc.assert(
      fc.property(lines, fc.nat(), fc.nat(255), (all, at, byte) => {
        const bytes = Buffer.from(textOf(all), 'latin1');
        if (bytes.length > 0) bytes[at % bytes.length] = byte;
        expectSame(bytes.toString('latin1'));
      }),
      { numRuns: 1000 },
    );
  });

  test('also where there are more than are read at once', () => {
    const many = Array.from({ length: 5000 }, (_, i) => LINE.replace('CCCCCCCCCCCCCCCC', keyHash(`${i}`)));
    for (const all of [many, many.toSorted(), [...many, ...many]])
      expectSame(textOf(all), ['', keyHash('x'), ...many.map((line) => `${line.slice(0, 15)}?`)]);
    expectSame(`${textOf(many)}${LINE}`);
    expectSame(textOf([...many, 'x', ...many]));
  });
});

test('lines of which some are gone, and some others, say and are written as a map of them would', () => {
  const names = fc.array(name);
  const news = fc.array(fc.tuple(name, entry)).map((pairs) => new Map(pairs));
  fc.assert(
    fc.property(news, names, names, news, (before, gone, others, instead) => {
      const named = [...gone, ...[...before.keys()].filter((_, i) => i % 3 === 0)];
      const also = new Map([...instead, ...[...before.entries()].filter((_, i) => i % 4 === 1).map(stale)]);
      const lines = readLines(writeLines(before));
      const [found, expected] = [lines, new Map(before)].map((one) => one && amend(one, new Set(named), also));
      if (found === undefined || expected === undefined) throw new Error('no lines');
      expect(new Map(found)).toEqual(expected);
      expect(found.size).toBe(expected.size);
      expect(writeLines(found).toString()).toBe(writeLines(expected).toString());
      for (const one of [...named, ...others, ...before.keys(), ...also.keys()]) {
        expect(found.get(one)).toEqual(expected.get(one));
        expect(found.has(one)).toBe(expected.has(one));
      }
    }),
    { numRuns: 500 },
  );
});

const stale = ([one, said]: [string, Entry]): [string, Entry] => [one, { ...said, staleSince: 7 }];

test.each(['', 'C', LINE.slice(0, 15), LINE.slice(0, 17), `${LINE.slice(0, 15)}\u0143`, '\u0143'.repeat(16)])(
  'no line has the name %j',
  (other) => {
    const found = read(`${LINE}\n`);
    expect([found?.get(other), found?.has(other)]).toEqual([undefined, false]);
  },
);
