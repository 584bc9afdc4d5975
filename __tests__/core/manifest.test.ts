import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Entry } from '../../src/core/entries.ts';
import { manifestKey } from '../../src/core/key.ts';
import {
  contentFingerprint,
  decodeManifest,
  encodeManifest,
  FINGERPRINT_CHUNK,
  headersFingerprint,
  keyHash,
  type Manifest,
  saysMore,
} from '../../src/core/manifest.ts';
import { entry } from '../support/entries.ts';

const BY = { startedAt: 1_700_000_000_000, run: '123-1' };
const FIRST = 's3-deploy manifest 2 1700000000000 123-1';
const ENTRY: Entry = {
  etag: 'd41d8cd98f00b204e9800998ecf8427e',
  content: 'AAAAAAAAAAAAAAAA',
  headers: 'BBBBBBBBBBBB',
  owned: true,
  staleSince: undefined,
};
const LINE = `CCCCCCCCCCCCCCCC ${ENTRY.etag} AAAAAAAAAAAAAAAA BBBBBBBBBBBB o -`;

const manifestOf = (...entries: [string, Entry][]): Manifest => ({ by: BY, entries: new Map(entries) });
const written = (...lines: string[]) => gzipSync(lines.map((line) => `${line}\n`).join(''));
/** A manifest that was read, with entries that can be compared. */
const read = (bytes: Uint8Array): Manifest | undefined => {
  const found = decodeManifest(bytes);
  return found && { ...found, entries: new Map(found.entries) };
};
const linesOf = (manifest: Manifest) => gunzipSync(encodeManifest(manifest)).toString().split('\n');

describe('a manifest is read as it was written', () => {
  const manifest: fc.Arbitrary<Manifest> = fc.record({
    by: fc.record({ startedAt: fc.nat(Number.MAX_SAFE_INTEGER), run: fc.stringMatching(/^[\w.-]{1,100}$/) }),
    entries: fc.array(fc.tuple(fc.string().map(keyHash), entry)).map((pairs) => new Map(pairs)),
  });

  test('whatever is in it', () => {
    fc.assert(
      fc.property(manifest, (one) => {
        expect(read(encodeManifest(one))).toEqual(one);
      }),
      { numRuns: 1000 },
    );
  });

  test('the same objects are the same bytes, in whatever order they came', () => {
    const pairs = ['a', 'b', 'c'].map((key): [string, Entry] => [keyHash(key), ENTRY]);
    expect(encodeManifest(manifestOf(...pairs))).toEqual(encodeManifest(manifestOf(...pairs.toReversed())));
  });

  test('one without objects too', () => {
    expect(read(encodeManifest(manifestOf()))).toEqual(manifestOf());
  });

  test.each([
    ['an empty one', ''],
    ['one with a blank', 'W/ "a"'],
    ['one with a line feed and an entry of its own', `x\n${LINE}`],
    ['an endless one', 'x'.repeat(201)],
    ['one that is not ASCII', 'é'],
  ])('an object whose ETag is %s is left out, and nothing else is lost', (_what, etag) => {
    const other: [string, Entry] = [keyHash('a'), ENTRY];
    const left = read(encodeManifest(manifestOf(other, [keyHash('b'), { ...ENTRY, etag }])));
    expect(left).toEqual(manifestOf(other));
  });
});

describe('what is no manifest of ours is as good as none', () => {
  const whole = encodeManifest(manifestOf(...['a', 'b'].map((key): [string, Entry] => [keyHash(key), ENTRY])));

  test('written by hand, it is one', () => {
    expect(decodeManifest(written(FIRST, LINE))?.entries.get('CCCCCCCCCCCCCCCC')).toEqual(ENTRY);
  });

  test.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array()],
    ['an HTML page', Buffer.from('<!doctype html><html><body>Not found</body></html>')],
    ['an HTML page, compressed', gzipSync('<!doctype html>\n<html></html>\n')],
    ['the text without compression', Buffer.from(`${FIRST}\n${LINE}\n`)],
    ['a gzip header alone', whole.subarray(0, 10)],
    ['an empty text', gzipSync('')],
    ['a blank line', gzipSync('\n')],
    ['JSON', gzipSync('{"version":1}')],
    [
      'an earlier version, whose fingerprints were made in another way',
      written(FIRST.replace('manifest 2', 'manifest 1'), LINE),
    ],
    ['a later version', written(FIRST.replace('manifest 2', 'manifest 3'), LINE)],
    ['a version that only begins so', written(FIRST.replace('manifest 2', 'manifest 20'), LINE)],
    ['another format', written(FIRST.replace('s3-deploy', 'rclone'), LINE)],
    ['no writer', written('s3-deploy manifest 2', LINE)],
    ['a writer that is no run', written(`${FIRST} ::x`, LINE)],
    ['a time that is no number', written(FIRST.replace('1700000000000', 'yesterday'), LINE)],
    ['a byte order mark', written(`\ufeff${FIRST}`, LINE)],
    ['no line feed at its end', gzipSync(`${FIRST}\n${LINE}`)],
    ['no line feed at all', gzipSync(FIRST)],
    ['a line that breaks off', gzipSync(`${FIRST}\n${LINE}\n${LINE.slice(0, 40)}`)],
    ['a blank line between', written(FIRST, '', LINE)],
    ['a blank line at its end', written(FIRST, LINE, '')],
    ['carriage returns', gzipSync(`${FIRST}\r\n${LINE}\r\n`)],
    ['a line too long', written(FIRST, `${LINE} and more`)],
    ['an ETag too long', written(FIRST, LINE.replace(ENTRY.etag, 'x'.repeat(201)))],
    ['a line of 20 MB', written(FIRST, 'x'.repeat(20_000_000))],
    ['a key in clear', written(FIRST, LINE.replace('CCCCCCCCCCCCCCCC', 'index.html'))],
    ['a field less', written(FIRST, LINE.replace(' o', ''))],
    ['an owner of another kind', written(FIRST, LINE.replace(' o ', ' x '))],
    ['a time in words', written(FIRST, LINE.replace(/-$/, 'later'))],
    ['a time below zero', written(FIRST, LINE.replace(/-$/, '-1'))],
    ['one good line and a bad one', written(FIRST, LINE, 'x')],
  ])('%s', (_what, bytes) => {
    expect(decodeManifest(bytes)).toBeUndefined();
  });

  test('one that breaks off at any byte', () => {
    for (let length = 0; length < whole.length; length++)
      expect(decodeManifest(whole.subarray(0, length))).toBeUndefined();
  });

  test('one with any byte changed is none, or says the same', () => {
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 0x41;
      expect([undefined, read(whole)]).toContainEqual(read(changed));
    }
  });

  test('any bytes at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, compressed) => {
        expect(decodeManifest(compressed ? gzipSync(bytes) : bytes)).toBeUndefined();
      }),
    );
  });
});

describe('a decompression bomb is none either', () => {
  /** A gigabyte and more of one byte, in members that are made once. */
  const bomb = (byte: string, mebibytes: number, head = '') => {
    const member = gzipSync(Buffer.alloc(1024 ** 2, byte));
    return Buffer.concat([gzipSync(head), ...Array.from({ length: mebibytes }, () => member)]);
  };

  test('of more than a manifest can have', () => {
    expect(decodeManifest(bomb('x', 4096, `${FIRST}\n`))).toBeUndefined();
    expect(process.resourceUsage().maxRSS).toBeLessThan(2 * 1024 ** 2);
  }, 30_000);

  test('of line feeds, which are not taken apart before the first is found to be none', () => {
    const before = process.memoryUsage().heapUsed;
    expect(decodeManifest(bomb('\n', 300, `${FIRST}\n`))).toBeUndefined();
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(100 * 1024 ** 2);
  }, 30_000);
});

test('a manifest names no key in clear, nor anything that a key is made of', () => {
  const keys = ['site/index.html', 'site/salaries-2026.pdf', 'site/secret/plan.html'];
  const manifest = manifestOf(...keys.map((key): [string, Entry] => [keyHash(key), ENTRY]));
  const text = gunzipSync(encodeManifest(manifest)).toString();
  for (const word of keys.flatMap((key) => key.split(/[/.-]/))) expect(text).not.toContain(word);
  expect(linesOf(manifest)).toHaveLength(keys.length + 2);
});

test('a thousand objects take less than 70 KB', () => {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const entries = Array.from({ length: 1000 }, (_, i): [string, Entry] => [
    keyHash(`site/${i}`),
    { ...ENTRY, etag: digest(`e${i}`).toString('hex').slice(0, 32), content: contentFingerprint([digest(`c${i}`)]) },
  ]);
  expect(encodeManifest(manifestOf(...entries)).length).toBeLessThan(70_000);
});

test.each([
  ['', '.s3-deploy/manifest'],
  ['site/', 'site/.s3-deploy/manifest'],
] as const)('below the prefix %j it lies at %s', (prefix, key) => {
  expect(manifestKey(prefix)).toBe(key);
});

describe('a fingerprint', () => {
  test('of a key is told from those of all others, by every byte', () => {
    const keys = ['a', 'A', 'a/', '/a', 'caf\u00e9', 'cafe\u0301', ''];
    expect(new Set(keys.map(keyHash)).size).toBe(keys.length);
    for (const key of keys) expect(keyHash(key)).toMatch(/^[\w-]{16}$/);
  });

  const HTML = { contentType: 'text/html' };
  test('of headers tells every one of these from all others', () => {
    const all = [
      headersFingerprint(HTML, {}),
      headersFingerprint({ contentType: 'text/plain' }, {}),
      headersFingerprint({ ...HTML, cacheControl: 'no-store' }, {}),
      headersFingerprint({ ...HTML, contentLanguage: 'no-store' }, {}),
      headersFingerprint({ ...HTML, metadata: { a: 'b' } }, {}),
      headersFingerprint({ ...HTML, metadata: { a: 'c' } }, {}),
      headersFingerprint({ ...HTML, metadata: { cacheControl: 'no-store' } }, {}),
      headersFingerprint({ ...HTML, metadata: { acl: 'private' } }, {}),
      headersFingerprint(HTML, { acl: 'private' }),
      headersFingerprint(HTML, { storageClass: 'private' }),
      headersFingerprint(HTML, { tags: [['a', 'b']] }),
      headersFingerprint(HTML, { tags: [['ab', '']] }),
      headersFingerprint(HTML, {
        tags: [
          ['a', 'b'],
          ['c', 'd'],
        ],
      }),
    ];
    expect(new Set(all).size).toBe(all.length);
    for (const fingerprint of all) expect(fingerprint).toMatch(/^[\w-]{12}$/);
  });

  test('of headers does not depend on their order, nor on what is absent', () => {
    const one = { contentType: 'text/html', cacheControl: 'no-store', metadata: { a: '1', b: '2' } };
    const other = { metadata: { b: '2', a: '1' }, cacheControl: 'no-store', contentType: 'text/html' };
    const absent = { ...other, expires: undefined as unknown as string };
    const storage = { acl: 'private', storageClass: 'GLACIER' };
    expect(headersFingerprint(other, { storageClass: 'GLACIER', acl: 'private' })).toBe(
      headersFingerprint(one, storage),
    );
    expect(headersFingerprint(absent, storage)).toBe(headersFingerprint(one, storage));
  });

  test('of content depends on its pieces and their order, and a piece is a part of eight MiB', () => {
    const [a, b] = ['a', 'b'].map((text) => createHash('sha256').update(text).digest());
    if (a === undefined || b === undefined) throw new Error('two digests');
    const all = [[a], [b], [a, b], [b, a], [a, a]].map(contentFingerprint);
    expect(new Set(all).size).toBe(all.length);
    expect(contentFingerprint([a])).toBe(a.toString('base64url').slice(0, 16));
    expect(FINGERPRINT_CHUNK).toBe(8 * 1024 ** 2);
  });
});

describe('a manifest says more than another', () => {
  const one = keyHash('one');
  test.each<[string, Partial<Entry>]>([
    ['when an ETag is another', { etag: 'x' }],
    ['when content is another', { content: 'DDDDDDDDDDDDDDDD' }],
    ['when content is not known any more', { content: undefined }],
    ['when headers are others', { headers: 'DDDDDDDDDDDD' }],
    ['when it is not ours any more', { owned: false }],
    ['when it is stale', { staleSince: 1 }],
  ])('%s', (_what, change) => {
    const [before, next] = [manifestOf([one, ENTRY]), manifestOf([one, { ...ENTRY, ...change }])];
    expect(saysMore(next, before)).toBe(true);
    expect(saysMore(before, next)).toBe(true);
    expect(saysMore(next, next)).toBe(false);
  });

  test('when an invalidation is due, or is not any more', () => {
    const [due, done] = [{ ...manifestOf([one, ENTRY]), uninvalidated: true }, manifestOf([one, ENTRY])];
    expect([saysMore(due, done), saysMore(done, due), saysMore(due, due)]).toEqual([true, true, false]);
    expect([saysMore({ ...done, uninvalidated: false }, done), saysMore(due, undefined)]).toEqual([false, true]);
    expect(read(encodeManifest(due))).toEqual(due);
    expect(read(encodeManifest({ ...done, uninvalidated: false }))).toEqual(done);
  });

  test('when it knows an object more, or there was none', () => {
    const two = manifestOf([one, ENTRY], [keyHash('two'), ENTRY]);
    expect(saysMore(two, manifestOf([one, ENTRY]))).toBe(true);
    expect(saysMore(two, undefined)).toBe(true);
  });

  test('but not when objects are gone, nor when it was another run', () => {
    const two = manifestOf([one, ENTRY], [keyHash('two'), ENTRY]);
    expect(saysMore({ ...manifestOf([one, ENTRY]), by: { startedAt: 1, run: 'x' } }, two)).toBe(false);
    expect(saysMore(manifestOf(), undefined)).toBe(false);
  });
});
