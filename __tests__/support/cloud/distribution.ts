import { randomBytes } from 'node:crypto';
import { ServiceError } from './errors.ts';

/** An invalidation as it was made. */
export interface MadeInvalidation {
  readonly id: string;
  readonly reference: string;
  readonly paths: readonly string[];
  readonly createTime: number;
  /** When CloudFront is done with it, by the clock of the cloud. */
  readonly completeTime: number;
}

/** What an edge got from the origin for a path. */
type Served = { readonly body: string } | 'missing';

/** What may be under way at once: paths, and among them paths with `*`. */
const MOST_PATHS = 3000;
const MOST_WILDCARDS = 15;
const ID_CHARACTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

const bad = (code: string, message: string, status = 400) => new ServiceError(status, code, message);

/** A CloudFront distribution: one edge, which keeps for ever what it has fetched once, missing pages too. */
export class Distribution {
  readonly id: string;
  readonly arn: string;
  readonly invalidations: MadeInvalidation[] = [];
  /** Milliseconds that an invalidation takes. */
  invalidationMs = 0;
  readonly #fetch: (key: string) => string | undefined;
  readonly #cached = new Map<string, Served>();

  /** @param fetch reads the origin. */
  constructor(id: string, account: string, fetch: (key: string) => string | undefined) {
    this.id = id;
    this.arn = `arn:aws:cloudfront::${account}:distribution/${id}`;
    this.#fetch = fetch;
  }

  /** What a browser gets for a path, percent-encoded; a folder shows its `index.html`. */
  get(path: string): string | undefined {
    const known = this.#cached.get(path);
    if (known !== undefined) return known === 'missing' ? undefined : known.body;
    const key = decodeURIComponent(path.slice(1));
    const body = this.#fetch(key === '' || key.endsWith('/') ? `${key}index.html` : key);
    this.#cached.set(path, body === undefined ? 'missing' : { body });
    return body;
  }

  /** Every path that is cached. */
  get paths(): string[] {
    return [...this.#cached.keys()];
  }

  /** Makes an invalidation, or finds the one that was made with the same reference and paths. */
  invalidate(reference: string, quantity: number, paths: readonly string[], now: number): MadeInvalidation {
    if (quantity !== paths.length || quantity < 1) {
      throw bad('InconsistentQuantities', 'The value of Quantity and the size of Items do not match.');
    }
    // Whether CloudFront takes more, nobody says; what it refuses is at least this.
    const wrong = paths.find(
      (path) => !/^\/[\x21-\x7e]*$/.test(path) || /["#<>[\\\]^`{|}~]|%(?![0-9A-F]{2})|\*./i.test(path),
    );
    if (wrong !== undefined || paths.some(({ length }) => length > 4000)) {
      throw bad('InvalidArgument', 'Your request contains one or more invalid invalidation paths.');
    }
    const same = this.invalidations.find((one) => one.reference === reference);
    if (same !== undefined) {
      if (same.paths.join('\n') === paths.join('\n')) return same;
      throw bad('InvalidationBatchAlreadyExists', 'Your caller reference is the one of another invalidation batch.');
    }
    const inProgress = [
      ...this.invalidations.filter(({ completeTime }) => completeTime > now).flatMap((one) => one.paths),
      ...paths,
    ];
    if (inProgress.length > MOST_PATHS || inProgress.filter(isWildcard).length > MOST_WILDCARDS) {
      throw bad(
        'TooManyInvalidationsInProgress',
        'Processing your request will cause you to exceed the maximum number of in-progress wildcard invalidations.',
      );
    }
    const id = `I${Array.from(randomBytes(25), (byte) => ID_CHARACTERS[byte % 36]).join('')}`;
    const made = { id, reference, paths, createTime: now, completeTime: now + this.invalidationMs };
    this.invalidations.push(made);
    for (const path of this.#cached.keys()) if (paths.some((one) => covers(one, path))) this.#cached.delete(path);
    return made;
  }
}

const isWildcard = (path: string) => path.endsWith('*');

/** CloudFront compares what paths mean: `%7E` is `~`. */
function covers(pattern: string, path: string): boolean {
  const [wanted, given] = [decodeURIComponent(pattern), decodeURIComponent(path)];
  return isWildcard(pattern) ? given.startsWith(wanted.slice(0, -1)) : given === wanted;
}
