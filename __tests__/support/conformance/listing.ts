import { ListObjectsV2Command, type ListObjectsV2CommandInput, type S3Client } from '@aws-sdk/client-s3';
import { expect } from '@jest/globals';
import { type Case, outcome } from './scene.ts';

/** Keys that a client, a server or an XML parser might take for something else. */
const ODD_KEYS = [
  'a b',
  ' leading',
  'trailing ',
  'a+b',
  'a%46b',
  '%2e%2e/x',
  'ü (composed)',
  'u\u0308 (decomposed)',
  'emoji-\u{1f600}',
  '日本/語.html',
  `quotes"'`,
  '<tag>&amp;',
  'back\\slash',
  'hash#question?',
  'a=b&c;d:e,f@g$h!i*j(k)',
  'double//slash',
  './dot',
  'up/../down',
  'tilde~',
  'pipe|caret^grave`{brace}[bracket]',
  '007',
  'true',
];

interface Listing {
  keys: string[];
  prefixes: string[];
  pages: number;
}

async function list(s3: S3Client, input: ListObjectsV2CommandInput): Promise<Listing> {
  const listing: Listing = { keys: [], prefixes: [], pages: 0 };
  let ContinuationToken: string | undefined;
  do {
    const page = await s3.send(new ListObjectsV2Command({ ...input, ...(ContinuationToken && { ContinuationToken }) }));
    listing.keys.push(...(page.Contents ?? []).map(({ Key }) => Key!));
    listing.prefixes.push(...(page.CommonPrefixes ?? []).map(({ Prefix }) => Prefix!));
    listing.pages++;
    expect(page.KeyCount).toBe((page.Contents ?? []).length + (page.CommonPrefixes ?? []).length);
    ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
  } while (ContinuationToken);
  return listing;
}

const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
const decode = (key: string) => decodeURIComponent(key.replaceAll('+', ' '));

/** ListObjectsV2: what is in it, in which order, in pages, for odd keys. */
export const listingCases: Case[] = [
  {
    name: 'an empty bucket lists nothing, a missing one is NoSuchBucket',
    async run({ s3, bucket: Bucket }) {
      expect(await list(s3, { Bucket })).toEqual({ keys: [], prefixes: [], pages: 1 });
      expect(await outcome(s3.send(new ListObjectsV2Command({ Bucket: `${Bucket}-missing` })))).toBe(
        '404 NoSuchBucket',
      );
    },
  },
  {
    name: 'an entry has key, size, quoted ETag and time',
    async run({ s3, bucket: Bucket, cloud }) {
      await cloud.putObject(Bucket, 'a', 'hello');
      const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket }));
      expect(Contents).toMatchObject([{ Key: 'a', Size: 5, ETag: '"5d41402abc4b2a76b9719d911017c592"' }]);
      expect(Math.abs(Contents![0]!.LastModified!.getTime() - Date.now())).toBeLessThan(10_000);
    },
  },
  {
    name: 'odd keys are listed as they were put, plain and URL-encoded, and can be read back',
    async run({ s3, bucket: Bucket, cloud }) {
      for (const key of ODD_KEYS) await cloud.putObject(Bucket, key, `body of ${key}`);
      const sorted = ODD_KEYS.toSorted(byBytes);
      // What one XML parser trims at the ends of a key, the URL-encoded form keeps.
      const plain = (await list(s3, { Bucket })).keys;
      expect(plain.map((key) => key.trim())).toEqual(sorted.map((key) => key.trim()));
      const encoded = (await list(s3, { Bucket, EncodingType: 'url' })).keys;
      expect(encoded.map(decode)).toEqual(sorted);
      const stored = await cloud.objects(Bucket);
      for (const key of ODD_KEYS) expect(stored.get(key)?.body.toString()).toBe(`body of ${key}`);
    },
  },
  {
    name: 'a control character survives in the URL-encoded form',
    async run({ s3, bucket: Bucket, cloud }) {
      await cloud.putObject(Bucket, 'a\u0001\nb', 'x');
      expect((await list(s3, { Bucket, EncodingType: 'url' })).keys.map(decode)).toEqual(['a\u0001\nb']);
    },
  },
  {
    name: 'keys come in the order of their UTF-8 bytes',
    async run({ s3, bucket: Bucket, cloud }) {
      // In UTF-16 the emoji would come first; a locale would put B between a and c.
      const keys = ['B', 'a', 'a-', 'a/', 'a0', 'c', 'é', '\uffee', '\u{1f600}'];
      for (const key of keys.toReversed()) await cloud.putObject(Bucket, key, 'x');
      expect((await list(s3, { Bucket })).keys).toEqual(keys);
    },
  },
  {
    name: 'pages of any size hold every key once',
    async run({ s3, bucket: Bucket, cloud }) {
      const keys = Array.from({ length: 20 }, (_, index) => `k ${String(index).padStart(2, '0')}+ü`);
      await Promise.all(keys.map((key) => cloud.putObject(Bucket, key, 'x')));
      for (const [MaxKeys, pages] of [
        [1, 20],
        [7, 3],
        [10, 2],
        [20, 1],
        [21, 1],
      ] as const) {
        expect(await list(s3, { Bucket, MaxKeys })).toEqual({ keys, prefixes: [], pages });
      }
    },
  },
  {
    name: 'a page holds a thousand keys at most',
    async run({ s3, bucket: Bucket, cloud }) {
      const keys = Array.from({ length: 1003 }, (_, index) => String(index).padStart(4, '0'));
      for (let from = 0; from < keys.length; from += 50) {
        await Promise.all(keys.slice(from, from + 50).map((key) => cloud.putObject(Bucket, key, '')));
      }
      expect(await list(s3, { Bucket, MaxKeys: 5000 })).toEqual({ keys, prefixes: [], pages: 2 });
    },
  },
  {
    name: 'a prefix is compared byte by byte and knows no folders',
    async run({ s3, bucket: Bucket, cloud }) {
      for (const key of ['docs', 'docs/a', 'docs/b', 'docs2/a', 'Docs/a', 'dübs/a']) {
        await cloud.putObject(Bucket, key, 'x');
      }
      expect((await list(s3, { Bucket, Prefix: 'docs/' })).keys).toEqual(['docs/a', 'docs/b']);
      expect((await list(s3, { Bucket, Prefix: 'docs' })).keys).toEqual(['docs', 'docs/a', 'docs/b', 'docs2/a']);
      expect((await list(s3, { Bucket, Prefix: 'dü' })).keys).toEqual(['dübs/a']);
      expect((await list(s3, { Bucket, Prefix: 'docs/', MaxKeys: 1 })).keys).toEqual(['docs/a', 'docs/b']);
      expect((await list(s3, { Bucket, Prefix: 'none/' })).keys).toEqual([]);
    },
  },
  {
    name: 'a delimiter folds keys into prefixes, across pages too',
    async run({ s3, bucket: Bucket, cloud }) {
      for (const key of ['a/1', 'a/2', 'b', 'c/1', 'c/d/2', 'e']) await cloud.putObject(Bucket, key, 'x');
      const folded = { keys: ['b', 'e'], prefixes: ['a/', 'c/'] };
      expect(await list(s3, { Bucket, Delimiter: '/' })).toEqual({ ...folded, pages: 1 });
      expect(await list(s3, { Bucket, Delimiter: '/', MaxKeys: 1 })).toEqual({ ...folded, pages: 4 });
      const below = await list(s3, { Bucket, Delimiter: '/', Prefix: 'c/' });
      expect(below).toEqual({ keys: ['c/1'], prefixes: ['c/d/'], pages: 1 });
    },
  },
  {
    name: 'StartAfter begins behind a key, whether it is there or not',
    async run({ s3, bucket: Bucket, cloud }) {
      for (const key of ['a', 'b', 'd']) await cloud.putObject(Bucket, key, 'x');
      expect((await list(s3, { Bucket, StartAfter: 'b' })).keys).toEqual(['d']);
      expect((await list(s3, { Bucket, StartAfter: 'aa' })).keys).toEqual(['b', 'd']);
    },
  },
];
