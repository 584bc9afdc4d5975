import { ListObjectsV2Command, type ListObjectsV2CommandOutput, type S3Client } from '@aws-sdk/client-s3';
import { kindOf, misbehaved } from '../core/explain.ts';
import { compareKeys } from '../core/key.ts';
import type { RemoteObject } from '../core/model.ts';
import { cutRanges, type Range } from '../core/ranges.ts';
import type { Caller } from './caller.ts';
import { ServiceError } from './failure.ts';
import { type Listed, readFast } from './list-page.ts';
import type { StoreKnowledge } from './store-knowledge.ts';

const OPERATION = 'ListObjectsV2';
/** Thrown for a store whose pages are not in the order of keys, or that begins elsewhere than it is asked to. */
const DISORDERED = new Error('the listing is not in order');

type Objects = readonly RemoteObject[];

export interface Page {
  readonly objects: Objects;
  /** Where the next one begins; undefined for the last. */
  readonly token: string | undefined;
  /** The store url-encoded the keys, as it was asked to. */
  readonly encoded: boolean;
  readonly $metadata: ListObjectsV2CommandOutput['$metadata'];
}

type From = { readonly after: string } | { readonly token: string } | undefined;

/** Lists what is below a prefix. */
export class Listing {
  readonly #s3: S3Client;
  readonly #caller: Caller;
  readonly #bucket: string;
  readonly #knowledge: StoreKnowledge;
  #ahead: { readonly prefix: string; readonly pages: AsyncGenerator<Objects> } | undefined;

  constructor(s3: S3Client, caller: Caller, bucket: string, knowledge: StoreKnowledge) {
    this.#s3 = s3;
    this.#caller = caller;
    this.#bucket = bucket;
    this.#knowledge = knowledge;
  }

  /**
   * The first page of what is below the prefix, ahead of a listing, which then begins with it: whoever only wants to see
   * whether listing is allowed saves that one a request.
   * @param expected has the pages behind it asked for at once; see `pages`, which goes by these keys then, not by its own.
   * @throws ServiceError
   */
  async firstPage(prefix: string, expected?: readonly string[]): Promise<Page> {
    const page = await this.#page(prefix, undefined);
    const rest = this.#rest(prefix, expected ?? [], page);
    this.#ahead = { prefix, pages: behind(page.objects, expected === undefined ? rest : begun(rest)) };
    return page;
  }

  /**
   * Every object below the prefix, page by page. What is expected there, in the order of keys, tells how to cut a long
   * listing into ranges that are listed at once, with no more requests than one after the other. A store that does not
   * keep the order is listed from page to page; objects may come twice then.
   * @throws ServiceError, also for a listing that is not whole.
   */
  async *pages(prefix: string, expected: readonly string[]): AsyncGenerator<Objects> {
    const ahead = this.#ahead?.prefix === prefix ? this.#ahead.pages : undefined;
    this.#ahead = undefined;
    if (ahead !== undefined) return yield* ahead;
    const first = await this.#page(prefix, undefined);
    yield* behind(first.objects, this.#rest(prefix, expected, first));
  }

  /** What comes behind the first page. */
  async *#rest(prefix: string, expected: readonly string[], first: Page): AsyncGenerator<Objects> {
    const last = first.objects.at(-1)?.key;
    if (first.token === undefined) return;
    const ranges = last === undefined || !isInOrder(first) ? [] : cutRanges(expected, last);
    if (ranges.length > 1) {
      try {
        const ends = ranges.map((): Ends => ({}));
        yield* together(ranges.map((range, i) => this.#range(prefix, range, ends[i] as Ends)));
        if (!joinUp(ends)) throw DISORDERED;
        return;
      } catch (error) {
        // Nor does every store know where to start.
        const refused = error instanceof ServiceError && kindOf(error.failure) === 'refused';
        if (error !== DISORDERED && !refused) throw error;
      }
    }
    for (let page = first; page.token !== undefined; ) {
      page = await this.#page(prefix, { token: page.token });
      yield page.objects;
    }
  }

  async *#range(prefix: string, { after, until }: Range, ends: Ends): AsyncGenerator<Objects> {
    let last = after;
    for (let from: From = { after }; from !== undefined; ) {
      const { objects, token }: Page = await this.#page(prefix, from);
      for (const { key } of objects) {
        if (compareKeys(key, last) <= 0) throw DISORDERED;
        last = key;
      }
      const over = until === undefined ? -1 : objects.findIndex(({ key }) => compareKeys(key, until) > 0);
      ends.first ??= objects[0]?.key;
      if (over >= 0) ends.next = objects[over]?.key;
      else if (token === undefined) ends.next = END;
      yield over < 0 ? objects : objects.slice(0, over);
      const isOver = token === undefined || (until !== undefined && compareKeys(last, until) >= 0);
      from = isOver ? undefined : { token };
    }
  }

  #page(prefix: string, from: From): Promise<Page> {
    const { urlEncodedListing } = this.#knowledge.capabilities;
    return this.#caller.call(OPERATION, async (options) => {
      const command = new ListObjectsV2Command({
        Bucket: this.#bucket,
        Prefix: prefix,
        ...(urlEncodedListing === false ? {} : { EncodingType: 'url' as const }),
        ...(from !== undefined && ('token' in from ? { ContinuationToken: from.token } : { StartAfter: from.after })),
      });
      const { objectsOf } = readFast(command);
      const answer = await this.#s3.send(command, options);
      if (answer.Name === undefined) throw new ServiceError(misbehaved(OPERATION, 'a listing without a bucket name'));
      if (answer.IsTruncated && !answer.NextContinuationToken) {
        throw new ServiceError(misbehaved(OPERATION, 'a listing that goes on, without a token to go on with'));
      }
      if (answer.IsTruncated && from !== undefined && 'token' in from && answer.NextContinuationToken === from.token) {
        throw new ServiceError(misbehaved(OPERATION, 'a listing that goes round in a circle'));
      }
      const listed = objectsOf(answer);
      if (!listed.every(isWhole) || (answer.KeyCount ?? 0) > listed.length) {
        throw new ServiceError(misbehaved(OPERATION, 'a listing that is cut short'));
      }
      const encoded = answer.EncodingType === 'url';
      const objects = listed.map((one): RemoteObject => {
        const key = encoded ? decodeKey(one.key) : one.key;
        if (key === undefined || !key.startsWith(prefix)) {
          throw new ServiceError(misbehaved(OPERATION, `a key that is not below ${prefix}`));
        }
        return key === one.key ? one : { ...one, key };
      });
      const token = answer.IsTruncated ? answer.NextContinuationToken : undefined;
      return { objects, token, encoded, $metadata: answer.$metadata };
    });
  }
}

/** An object that a listing loses would be uploaded again, or be kept for ever. */
function isWhole(one: Listed): one is RemoteObject {
  return Boolean(one.key) && one.etag !== undefined && one.size !== undefined;
}

/** The end of a listing, in place of a key. */
const END = Symbol('end');

/** Where a range was seen to begin and to end. */
interface Ends {
  /** The first key that the store listed, within the range or not. */
  first?: string | undefined;
  /** The key that the store listed after the range; absent where the range's last key was the last of a page. */
  next?: string | typeof END | undefined;
}

/**
 * Whether ranges are pieces of one listing: each begins with the key at which the one before it ended. A store with an
 * order of its own (UTF-16, say, or folders before files) would leave out keys between two of them.
 */
function joinUp(ranges: readonly Ends[]): boolean {
  return ranges.every(({ next }, i) => {
    const following = ranges[i + 1];
    return following === undefined || next === undefined || (following.first ?? END) === next;
  });
}

function isInOrder({ objects }: Page): boolean {
  return objects.every(({ key }, i) => compareKeys(objects[i - 1]?.key ?? '', key) < 0);
}

async function* behind(first: Objects, rest: AsyncGenerator<Objects>): AsyncGenerator<Objects> {
  yield first;
  yield* rest;
}

/** A source that is asked for its first value before anybody wants it. */
function begun<T>(source: AsyncGenerator<T>): AsyncGenerator<T> {
  const first = source.next();
  // Whoever goes on hears of it.
  first.catch(() => undefined);
  return (async function* () {
    for (let next = await first; !next.done; next = await source.next()) yield next.value;
  })();
}

/** What several sources yield, as it comes; the first that throws ends it. */
async function* together<T>(sources: readonly AsyncIterator<T>[]): AsyncGenerator<T> {
  const next = (source: AsyncIterator<T>) => {
    const result = source.next().then((one) => ({ source, one }));
    // Of several that fail one is thrown, and the others have nobody to hear them.
    result.catch(() => undefined);
    return result;
  };
  const under = new Map(sources.map((source) => [source, next(source)]));
  while (under.size > 0) {
    const { source, one } = await Promise.race(under.values());
    if (one.done) under.delete(source);
    else {
      under.set(source, next(source));
      yield one.value;
    }
  }
}

/** Listings are asked for url-encoded, since XML cannot carry every key; `+` is a space there. */
function decodeKey(key: string): string | undefined {
  if (!/[%+]/.test(key)) return key;
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}
