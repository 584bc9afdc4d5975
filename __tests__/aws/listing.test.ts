import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import type { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Caller } from '../../src/aws/caller.ts';
import { Listing } from '../../src/aws/listing.ts';
import type { Pace } from '../../src/aws/retry.ts';
import { StoreKnowledge } from '../../src/aws/store-knowledge.ts';
import { profileOf } from '../../src/core/capabilities.ts';
import { compareKeys } from '../../src/core/key.ts';

const PAGE = 1000;

/** A clock on which waiting takes no time. */
function pace(): Pace {
  let now = 0;
  return {
    now: () => now,
    sleep: async (ms) => {
      now += ms;
    },
    random: () => 0.5,
  };
}

/** What is known of a store of nobody's, but for the form of its listings. */
function knowing(urlEncodedListing: boolean | undefined): StoreKnowledge {
  const knowledge = new StoreKnowledge(profileOf('https://s3.example.org'), () => undefined);
  knowledge.learn({ urlEncodedListing });
  return knowledge;
}

interface Ask {
  readonly after: string | undefined;
  readonly token: string | undefined;
}

/** How a store lists: in which order, and which keys a listing from one of them holds. */
interface Store {
  readonly compare: (a: string, b: string) => number;
  readonly isAfter: (key: string, after: string) => boolean;
}

/** A bucket that is listed, in an order and with a will of its own. */
class Bucket {
  readonly asked: Ask[] = [];
  keys: string[];
  readonly #store: Store;
  readonly #listings = new Map<string, readonly string[]>();
  /** Called before each answer. */
  onAsked: (ask: Ask, nth: number) => unknown = () => undefined;
  /** Changes an answer. */
  alter: (answer: Record<string, unknown>, ask: Ask) => Record<string, unknown> = (answer) => answer;
  urlEncodes = true;

  constructor(keys: readonly string[], store: Store = inOrder(compareKeys)) {
    this.keys = [...keys].sort(store.compare);
    this.#store = store;
  }

  change(keys: readonly string[]): void {
    this.keys = [...keys].sort(this.#store.compare);
    this.#listings.clear();
  }

  #listed(after: string): readonly string[] {
    const { isAfter } = this.#store;
    const keys = this.#listings.get(after) ?? this.keys.filter((key) => after === '' || isAfter(key, after));
    this.#listings.set(after, keys);
    return keys;
  }

  readonly client = {
    send: async ({ input }: ListObjectsV2Command) => {
      const ask = { after: input.StartAfter, token: input.ContinuationToken };
      this.asked.push(ask);
      await this.onAsked(ask, this.asked.length);
      // Answers come in an order of their own.
      await new Promise((resolve) => setTimeout(resolve, (this.asked.length * 7) % 3));
      const [from, last] = JSON.parse(ask.token ?? JSON.stringify([ask.after ?? ''])) as [string, string?];
      const all = this.#listed(from);
      const begin = last === undefined ? 0 : all.findIndex((key) => this.#store.compare(key, last) > 0);
      const page = begin < 0 ? [] : all.slice(begin, begin + PAGE);
      const goesOn = begin >= 0 && begin + page.length < all.length;
      const encode = (key: string) => (this.urlEncodes ? encodeURIComponent(key).replaceAll('%20', '+') : key);
      const answer = {
        Name: 'site',
        KeyCount: page.length,
        IsTruncated: goesOn,
        ...(goesOn && { NextContinuationToken: JSON.stringify([from, page.at(-1)]) }),
        ...(this.urlEncodes && { EncodingType: 'url' }),
        Contents: page.map((key) => ({ Key: encode(key), Size: 1, ETag: '"e"', LastModified: new Date(0) })),
      };
      return this.alter(answer, ask);
    },
  } as unknown as S3Client;

  /** The keys that a listing finds, as they come. */
  async list(expected: readonly string[], urlEncodedListing: boolean | undefined = undefined): Promise<string[]> {
    const listing = new Listing(this.client, new Caller(pace()), 'site', knowing(urlEncodedListing));
    const found: string[] = [];
    for await (const page of listing.pages('', expected)) found.push(...page.map(({ key }) => key));
    return found;
  }

  /** Asked with `start-after`, for a range. */
  get ranges(): number {
    return this.asked.filter(({ after }) => after !== undefined).length;
  }
}

/** Keeps an order, and begins after the place of a key in it. */
function inOrder(compare: Store['compare']): Store {
  return { compare, isAfter: (key, after) => compare(key, after) > 0 };
}

/** Keeps an order, and leaves out what S3 would put before a key. */
function filtering(compare: Store['compare']): Store {
  return { compare, isAfter: (key, after) => compareKeys(key, after) > 0 };
}

const utf16 = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
/** Folders before what only begins as they do: `a/b` before `a.b`. */
const byFolders = (a: string, b: string) => utf16(a.replaceAll('/', '\0'), b.replaceAll('/', '\0'));
const byCase = (a: string, b: string) => utf16(a.toLowerCase(), b.toLowerCase()) || utf16(a, b);
const atRandom = (a: string, b: string) => utf16(mixed(a), mixed(b));
const mixtures = new Map<string, string>();
function mixed(key: string): string {
  const known = mixtures.get(key) ?? createHash('md5').update(key).digest('hex');
  mixtures.set(key, known);
  return known;
}
const ignoring: Store = { compare: compareKeys, isAfter: () => true };
const inclusive: Store = { compare: compareKeys, isAfter: (key, after) => compareKeys(key, after) >= 0 };

const many = (count: number, name = 'k') =>
  Array.from({ length: count }, (_, i) => `${name}${String(i).padStart(6, '0')}`);
const sorted = (keys: Iterable<string>) => [...keys].sort(compareKeys);
/** A few of the keys that were not found: a thousand of them say no more. */
const lost = (keys: readonly string[], found: readonly string[]) => {
  const there = new Set(found);
  return keys.filter((key) => !there.has(key)).slice(0, 3);
};
const once = (keys: readonly string[]) => sorted(new Set(keys));

const denied = Object.assign(new Error('no'), { name: 'AccessDenied', $metadata: { httpStatusCode: 403 } });

describe('a listing in ranges', () => {
  test.each([0, 1, 999, 1000, 1001, 2000, 5000, 32_000, 40_001])(
    'of %d objects that are all expected takes no more requests than pages',
    async (count) => {
      const keys = many(count);
      const bucket = new Bucket(keys);
      const found = await bucket.list(keys);
      expect([found.length, lost(keys, found)]).toEqual([count, []]);
      expect(bucket.asked.length).toBe(Math.max(1, Math.ceil(count / PAGE)));
      if (count > 3000) expect(bucket.ranges).toBeGreaterThan(1);
    },
  );

  test('takes few more requests for a few objects that are not expected', async () => {
    const keys = many(20_000);
    const bucket = new Bucket([...keys, '.s3-deploy/manifest', 'k005000x', 'zzz']);
    expect(sorted(await bucket.list(keys))).toEqual(sorted(bucket.keys));
    expect(bucket.asked.length).toBeLessThanOrEqual(20 + 3);
  });

  test('asks for no range where the first page is all there is', async () => {
    const bucket = new Bucket(many(1000));
    await bucket.list(many(50_000));
    expect(bucket.asked.length).toBe(1);
  });

  test('begins with the page that was asked for ahead of it, once, and only below the same prefix', async () => {
    const keys = many(2500);
    const bucket = new Bucket(keys);
    const listing = new Listing(bucket.client, new Caller(pace()), 'site', knowing(undefined));
    const all = async (prefix: string) => {
      const found: string[] = [];
      for await (const page of listing.pages(prefix, keys)) found.push(...page.map(({ key }) => key));
      return [found.length, lost(keys, found), bucket.asked.length];
    };
    expect((await listing.firstPage('')).objects.length).toBe(PAGE);
    expect(await all('')).toEqual([2500, [], 3]);
    expect(await all('')).toEqual([2500, [], 6]);
    await listing.firstPage('');
    expect(await all('k')).toEqual([2500, [], 10]);
  });

  describe('that is expected when its first page is asked for', () => {
    const keys = many(20_000);
    const listingOf = (bucket: Bucket) => new Listing(bucket.client, new Caller(pace()), 'site', knowing(undefined));

    test('is under way before anybody wants the rest of it, and asked for once', async () => {
      const bucket = new Bucket(keys);
      const listing = listingOf(bucket);
      await listing.firstPage('', keys);
      await turn();
      expect([bucket.asked.length, bucket.ranges]).toEqual([20, 19]);
      const found: string[] = [];
      for await (const page of listing.pages('', [])) found.push(...page.map(({ key }) => key));
      expect([found.length, lost(keys, found), bucket.asked.length]).toEqual([20_000, [], 20]);
    });

    /** A listing of which only the first page can be had. */
    async function broken(): Promise<Listing> {
      const bucket = new Bucket(keys);
      const listing = listingOf(bucket);
      bucket.onAsked = (_ask, nth) => (nth === 1 ? undefined : Promise.reject(denied));
      expect((await listing.firstPage('', keys)).objects.length).toBe(PAGE);
      // What fails and has nobody to hear it ends the process.
      for (let i = 0; i < 50; i++) await turn();
      return listing;
    }

    test('fails for who reads it', async () => {
      const listing = await broken();
      const read = async () => {
        for await (const page of listing.pages('', [])) expect(page.length).toBe(PAGE);
      };
      await expect(read()).rejects.toMatchObject({ failure: { code: 'AccessDenied' } });
    });

    test('may fail when nobody reads it', async () => {
      await broken();
    });
  });

  test('is in flight at once', async () => {
    const keys = many(20_000);
    const bucket = new Bucket(keys);
    let [underWay, most] = [0, 0];
    bucket.onAsked = async () => {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setTimeout(resolve, 5));
      underWay--;
    };
    await bucket.list(keys);
    expect(most).toBe(19);
  });

  test('finds exactly what is there, each once, whatever is expected', async () => {
    const name = fc.constantFrom(
      'a',
      'a.b',
      'a/b',
      'A',
      '\u00e9',
      '\u{1f600}',
      '\uff61',
      '%41',
      '+',
      ' ',
      '&',
      'k',
      '~',
    );
    const heap = fc.tuple(name, fc.nat(2500)).map(([prefix, count]) => many(count, prefix));
    const keys = fc.array(heap, { maxLength: 4 }).map((heaps) => once(heaps.flat()));
    await fc.assert(
      fc.asyncProperty(keys, keys, fc.boolean(), fc.nat(9), async (there, more, encodes, sixth) => {
        const expected = sorted(new Set([...there.filter((_, i) => i % 10 !== sixth), ...more]));
        const bucket = new Bucket(there);
        bucket.urlEncodes = encodes;
        const found = await bucket.list(expected, encodes ? undefined : false);
        expect([found.length, lost(there, found)]).toEqual([there.length, []]);
        expect(bucket.asked.length).toBeLessThanOrEqual(Math.ceil(there.length / PAGE) + 33);
      }),
      { numRuns: 25 },
    );
  }, 60_000);
});

describe('a store with a will of its own', () => {
  /** Each a bucket's worth of names that the orders put differently. */
  const stores = {
    'that ignores where to begin': ignoring,
    'that begins with the key that it is to begin after': inclusive,
    'that counts in UTF-16': inOrder(utf16),
    'that counts in UTF-16, and begins where S3 would': filtering(utf16),
    'that lists folders before what begins as they do': inOrder(byFolders),
    'that knows no capitals': inOrder(byCase),
    'that has no order': inOrder(atRandom),
    'that has no order, and begins where S3 would': filtering(atRandom),
  };

  test.each(Object.entries(stores))('%s is listed from page to page, and all is found', async (_what, store) => {
    const names = [
      ...many(1500, 'a/b'),
      ...many(500, 'A/c'),
      ...many(700, 'a.b'),
      ...many(800, '\uff61'),
      ...many(800, '\u{1f600}'),
    ];
    for (const expected of [
      names,
      names.filter((_, i) => i % 3 > 0),
      [...names, ...many(2000, '\uff61x'), ...many(900, 'a.')],
    ]) {
      expect(lost(names, await new Bucket(names, store).list(sorted(expected)))).toEqual([]);
    }
  });

  test.each(Object.entries(stores))(
    '%s loses no key, wherever the ranges are cut',
    async (_what, store) => {
      const name = fc.constantFrom('a', 'a.', 'a/', 'A', 'B/', 'b', '\u00e9', '\u{1f600}', '\uff61', '\ue000x', 'z');
      const heap = fc.tuple(name, fc.nat(2500)).map(([prefix, count]) => many(count, prefix));
      const heaps = fc.array(heap, { maxLength: 5 }).map((all) => once(all.flat()));
      await fc.assert(
        fc.asyncProperty(heaps, heaps, async (there, more) => {
          for (const expected of [more, once([...there, ...more])])
            expect(lost(there, await new Bucket(there, store).list(expected))).toEqual([]);
        }),
        { numRuns: 15 },
      );
    },
    60_000,
  );

  test('that lists folders first, and ends a page between two ranges, is found out where they do not join', async () => {
    const there = [...many(1000, '0'), ...many(2500, 'a/'), ...many(300, 'a.z')];
    const expected = [...many(1000, '0'), ...many(1000, 'a.b'), 'a.c'];
    expect(lost(there, await new Bucket(there, inOrder(byFolders)).list(expected))).toEqual([]);
  });

  test('that has no order is asked for no range', async () => {
    const keys = many(5000);
    const bucket = new Bucket(keys, inOrder(atRandom));
    await bucket.list(keys);
    expect([bucket.ranges, bucket.asked.length]).toEqual([0, 5]);
  });

  test('that ignores where to begin costs one round of ranges, no more', async () => {
    const keys = many(20_000);
    const bucket = new Bucket(keys, ignoring);
    expect(once(await bucket.list(keys))).toEqual(keys);
    expect(bucket.asked.length).toBeLessThanOrEqual(1 + 19 + 19);
  });
});

describe('keys that come and go while they are listed', () => {
  test('leave the others where they are', async () => {
    const stay = many(12_000);
    const seams = Array.from({ length: 11 }, (_, i) => `k${String((i + 2) * PAGE - 1).padStart(6, '0')}`);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(12), fc.nat(10), fc.boolean()), { maxLength: 8 }), async (changes) => {
        const bucket = new Bucket([...stay, ...seams.map((key) => `${key}.old`)]);
        bucket.onAsked = (_ask, nth) => {
          for (const [when, seam, comes] of changes) {
            if (when + 1 !== nth) continue;
            if (comes) bucket.change([...bucket.keys, `${seams[seam]}.new`]);
            else bucket.change(bucket.keys.filter((key) => key !== `${seams[seam]}.old`));
          }
        };
        const found = new Set(await bucket.list(stay));
        expect(stay.filter((key) => !found.has(key))).toEqual([]);
        expect([...found].filter((key) => !/^k\d{6}(\.(old|new))?$/.test(key))).toEqual([]);
      }),
      { numRuns: 25 },
    );
  }, 60_000);
});

describe('a listing that cannot be had', () => {
  test('of one range ends all: nothing more is asked', async () => {
    const keys = many(64_000);
    const bucket = new Bucket(keys);
    bucket.onAsked = async (_ask, nth) => {
      if (nth === 9) throw denied;
      await new Promise((resolve) => setTimeout(resolve, 20));
    };
    await expect(bucket.list(keys)).rejects.toMatchObject({ failure: { code: 'AccessDenied' } });
    const asked = bucket.asked.length;
    await new Promise((resolve) => setTimeout(resolve, 100));
    // Each range had one page under way, and begins no other.
    expect([asked, bucket.asked.length]).toEqual([33, 33]);
  });

  test.each<[string, (answer: Record<string, unknown>) => Record<string, unknown>]>([
    ['without a name', ({ Name: _, ...answer }) => answer],
    ['that goes on without a token', ({ NextContinuationToken: _, ...answer }) => ({ ...answer, IsTruncated: true })],
    ['with fewer keys than it counts', (answer) => ({ ...answer, Contents: [] })],
    ['with a key that is no encoding', (answer) => ({ ...answer, Contents: [{ Key: '%', Size: 1, ETag: '' }] })],
    ['without a size', (answer) => ({ ...answer, Contents: [{ Key: 'a', ETag: '' }] })],
  ])('with a page %s is refused, in ranges as in the first page', async (_what, alter) => {
    for (const where of ['first', 'range', 'page']) {
      const bucket = new Bucket(many(5000));
      bucket.alter = (answer, { after, token }) => {
        const place = after !== undefined ? 'range' : token !== undefined ? 'page' : 'first';
        return place === where ? alter(answer) : answer;
      };
      const expected = where === 'page' ? [] : many(5000);
      await expect(bucket.list(expected)).rejects.toMatchObject({ failure: { code: 'StoreMisbehaved' } });
    }
  });

  test('that goes round in a circle is refused', async () => {
    const bucket = new Bucket(many(5000));
    bucket.alter = (answer) => ({ ...answer, IsTruncated: true, NextContinuationToken: '["","k000999"]' });
    await expect(bucket.list([])).rejects.toMatchObject({ failure: { code: 'StoreMisbehaved' } });
    expect(bucket.asked.length).toBeLessThan(20);
  });

  test('of a key outside the prefix is refused', async () => {
    const listing = new Listing(new Bucket(['a']).client, new Caller(pace()), 'site', knowing(true));
    await expect(listing.pages('b/', []).next()).rejects.toMatchObject({ failure: { code: 'StoreMisbehaved' } });
  });
});
