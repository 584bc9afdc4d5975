import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { phaseOf } from '../../src/core/headers.ts';
import { isOwnPath, manifestKey } from '../../src/core/key.ts';
import type { LocalFile, RemoteObject } from '../../src/core/model.ts';
import type { KnownManifest } from '../../src/core/plan.ts';
import {
  assetsOf,
  isNoteKey,
  MOST_SHARDS,
  nameOf,
  noteKey,
  notesAmong,
  notesSince,
  parseShard,
  type Shard,
  shareOf,
} from '../../src/core/shard.ts';

const fileOf = (path: string): LocalFile => ({ path, size: 1, inode: 1, modified: 1 });
const shards = (of: number) => Array.from({ length: of }, (_, index) => ({ number: index + 1, of }));
const pathsOf = (files: readonly LocalFile[]) => files.map(({ path }) => path);

describe('a share is written', () => {
  test.each([
    ['1/1', 1, 1],
    ['1/8', 1, 8],
    ['8/8', 8, 8],
    ['256/256', 256, 256],
  ])('%s', (value, number, of) => {
    expect(parseShard(value)).toEqual({ number, of });
  });

  test.each([
    ...['0/8', '9/8', '2', '2/0', '0/0', '2/', '/8', '1/257', '257/257', '1/1000', '02/8', '2/08', '-1/8', '+2/8'],
    ...['2 / 8', '2.0/8', '2/8/8', '2-of-8', '2/8\n', '١/٨', 'a/b', '2e0/8', '', '1/99999999999999999999'],
  ])('and not %j', (value) => {
    expect(parseShard(value)).toBeUndefined();
  });
});

describe('the shares of the assets', () => {
  test('have each asset in exactly one of them, and no page in any', () => {
    const paths = fc.uniqueArray(fc.string({ unit: 'grapheme', minLength: 1 }), { maxLength: 50 });
    fc.assert(
      fc.property(paths, fc.integer({ min: 1, max: MOST_SHARDS }), (some, of) => {
        const files = [...some, 'index.html', 'a/b.html', 'sw.js', 'feed.xml', 'site.webmanifest'].map(fileOf);
        const shared = shards(of).flatMap((shard) => pathsOf(shareOf(assetsOf(files), shard)));
        expect(shared.sort()).toEqual(
          pathsOf(files)
            .filter((path) => phaseOf(path) === 'assets')
            .sort(),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('are the same whatever else the tree holds, and in whatever order', () => {
    const files = Array.from({ length: 500 }, (_, i) => fileOf(`a/${i}.js`));
    const [third, more] = [shards(8)[2]!, Array.from({ length: 500 }, (_, i) => fileOf(`b/${i}.js`))];
    const share = pathsOf(shareOf(files, third));
    const among = pathsOf(shareOf([...more, ...files].reverse(), third)).filter((path) => path.startsWith('a/'));
    expect(among.reverse()).toEqual(share);
  });

  test('stay what they are from release to release: half a matrix may run again with another one', () => {
    const files = ['app.js', 'style.css', 'a/logo.svg', 'é/ü.txt', '😀'].map(fileOf);
    expect(shards(8).map((shard) => pathsOf(shareOf(files, shard)))).toEqual([
      ...[[], ['style.css'], ['app.js'], [], ['😀'], ['a/logo.svg'], ['é/ü.txt'], []],
    ]);
  });

  const trees: [string, (i: number) => string][] = [
    ['numbers', (i) => `${i}.txt`],
    ['numbers with zeros', (i) => `tiles/${String(i).padStart(8, '0')}.png`],
    ['tiles', (i) => `tiles/12/${i % 317}/${Math.floor(i / 317)}.webp`],
    ['hashes', (i) => `_next/static/chunks/${(i * 2_654_435_761).toString(16)}.js`],
    ['even numbers in folders', (i) => `${i % 7}/${2 * i}/data.json`],
  ];
  test.each(trees)('are even for %s', (_what, pathOf) => {
    const files = Array.from({ length: 10_000 }, (_, i) => fileOf(pathOf(i)));
    for (const many of [2, 3, 8, 16, 250]) {
      const sizes = shards(many)
        .slice(0, 16)
        .map((shard) => shareOf(files, shard).length);
      const mean = files.length / many;
      const worst = Math.max(...sizes.map((size) => Math.abs(size - mean)));
      // Five standard deviations of a fair draw.
      expect([many, sizes, worst < 5 * Math.sqrt(mean)]).toEqual([many, sizes, true]);
    }
  });
});

describe('the note of a shard', () => {
  test("has a key of its own, among what is the action's", () => {
    const keys = (['', 'docs/'] as const).flatMap((prefix) =>
      [1, 2, 8].flatMap(shards).map((one) => noteKey(prefix, one)),
    );
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys[0]).toBe('.s3-deploy/shards/1-of-1');
    for (const key of keys) {
      const path = key.replace(/^docs\//, '');
      expect([key, isOwnPath(path), isNoteKey(path, ''), isNoteKey(`docs/${path}`, 'docs/')]).toEqual([
        ...[key, true, true, true],
      ]);
    }
    expect(nameOf({ number: 2, of: 8 })).toBe('shard 2 of 8');
  });

  test.each([
    manifestKey(''),
    '.s3-deploy/shards/',
    '.s3-deploy/shards/9-of-8',
    '.s3-deploy/shards/0-of-8',
    '.s3-deploy/shards/1-of-257',
    '.s3-deploy/shards/2/8',
    '.s3-deploy/shards/2-of-8/x',
    '.s3-deploy/shards/x2-of-8',
    'docs/.s3-deploy/shards/2-of-8',
    's3-deploy/shards/2-of-8',
  ])('is not at %s', (key) => {
    expect(isNoteKey(key, '')).toBe(false);
  });
});

describe('the notes that are read', () => {
  const MANIFEST: KnownManifest = { by: { startedAt: 5, run: '1-1' }, entries: new Map(), lastModified: 2000 };
  const object = (name: string, lastModified: number, size = 1): RemoteObject => ({
    ...{ key: `docs/.s3-deploy/${name}`, size, etag: 'x', lastModified },
  });
  const noteOf = (run: string, lastModified: number, startedAt = 1): KnownManifest => ({
    ...{ by: { startedAt, run }, entries: new Map(), lastModified },
  });
  const among = (listed: RemoteObject[], shard?: Shard, manifest?: KnownManifest) =>
    notesAmong(listed, 'docs/', shard, manifest).map(({ key }) => key.replace('docs/.s3-deploy/', ''));
  const since = (manifest: KnownManifest | undefined, ...notes: KnownManifest[]) =>
    notesSince(manifest, notes).map(({ by }) => by.run);

  test('are those of shards and no other, newest first', () => {
    const listed = [
      object('manifest', 9),
      object('shards/1-of-8', 1),
      object('shards/2-of-8', 3),
      object('shards/x', 4),
    ];
    expect(among([...listed, object('shards/1-of-4', 2)])).toEqual(['shards/2-of-8', 'shards/1-of-4', 'shards/1-of-8']);
  });

  test('are no older than the manifest, which has the older ones', () => {
    const listed = [object('shards/1-of-3', 1999), object('shards/2-of-3', 2000), object('shards/3-of-3', 2001)];
    expect(among(listed, undefined, MANIFEST)).toEqual(['shards/3-of-3', 'shards/2-of-3']);
  });

  test('are for a shard its own alone', () => {
    const listed = shards(8).map(({ number }) => object(`shards/${number}-of-8`, number));
    expect(among([...listed, object('shards/2-of-4', 1)], { number: 2, of: 8 })).toEqual(['shards/2-of-8']);
  });

  test('are no more than a matrix can write, and no larger together than a manifest', () => {
    const many = shards(200).flatMap(({ number }) => [
      object(`shards/${number}-of-200`, 1),
      object(`shards/${number}-of-201`, 2),
    ]);
    expect(among(many)).toHaveLength(MOST_SHARDS);
    expect(among(many)[0]).toMatch(/-of-201$/);
    const large = shards(8).map(({ number }) => object(`shards/${number}-of-8`, number, 100 * 1024 ** 2));
    expect(among(large)).toEqual(['shards/8-of-8', 'shards/7-of-8']);
  });

  test('of the second of the manifest are those of a run that began after the one that wrote it', () => {
    const [earlier, later] = [noteOf('earlier', 2000, 4), noteOf('later', 2000, 6)];
    expect(since(MANIFEST, noteOf('older', 1000, 9), earlier, later, noteOf('newer', 3000))).toEqual([
      'newer',
      'later',
    ]);
    expect(since(undefined, earlier, noteOf('newer', 3000), later)).toEqual(['newer', 'later', 'earlier']);
  });
});
