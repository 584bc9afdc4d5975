import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { headersFor, phaseOf, sameHeaders } from '../../src/core/headers.ts';
import { isOwnPath, manifestKey, type Prefix, parseDestination } from '../../src/core/key.ts';
import type { StorageOptions } from '../../src/core/model.ts';
import type { DeleteMode, PlanOptions } from '../../src/core/plan.ts';
import type { Shard } from '../../src/core/shard.ts';
import { type Item, keysOf, MemoryBucket, type Tree, touched } from './memory-bucket.ts';

const OPTIONS: PlanOptions = {
  prefix: '',
  cacheControl: { kind: 'auto' },
  headerRules: [],
  storage: {},
  overwrite: true,
  delete: 'all',
  deleteExclude: () => false,
  maxDelete: { kind: 'percent', value: 100 },
  deleteGrace: 0,
  now: 0,
};

/** Names that begin like each other, that sort next to a slash, and that mean something elsewhere. */
const NAMES = [
  ...['pr-1', 'pr-10', 'pr-', 'pr', 'pr-1.', 'pr-1-', 'PR-1', 'pr-1 ', 'pr 1', '+', '%2F', '%', '*', '?', '[a]', '$1'],
  ...['é', 'e\u0301', '😀', '\uff61', '..a', '...', '~', '&amp;', '"', "'", '\\', 'constructor', '__proto__', '#'],
  ...['index.html', 'a.3f2a1b9c.js', 's3-deploy', '.well-known', '-', '0'],
];
const name = fc
  .oneof({ weight: 4, arbitrary: fc.constantFrom(...NAMES) }, fc.string({ minLength: 1, maxLength: 4 }))
  .filter((one) => !/[/\0]/.test(one) && one.isWellFormed() && one !== '.' && one !== '..');
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('/'));
const content = fc.constantFrom('', 'a', 'b', 'aa', 'ab');
const treeOf = (paths: fc.Arbitrary<string>, maxKeys = 6): fc.Arbitrary<Tree> =>
  fc
    .array(fc.tuple(paths, content), { maxLength: maxKeys })
    .map((pairs) => Object.fromEntries(pairs.filter(([one]) => !isOwnPath(one))));
/** A prefix as the inputs give it, the whole bucket included. */
const prefix: fc.Arbitrary<Prefix> = fc
  .array(
    name.filter((one) => !/[\u0000-\u001f\u007f-\u009f]/.test(one)),
    { maxLength: 2 },
  )
  .map((names) => parseDestination('my-site', names.join('/'), false).prefix);

interface Scene {
  readonly prefix: Prefix;
  readonly tree: Tree;
  /** What lies in the bucket before: anywhere, and at the places that are nearest to the prefix. */
  readonly before: Readonly<Record<string, string>>;
}

const scene: fc.Arbitrary<Scene> = prefix.chain((prefix) => {
  const folder = prefix.slice(0, -1);
  const near = fc.constantFrom(
    ...[folder, prefix, `${folder}0`, `${folder}-`, `${folder}.html`, `${folder}0/a`, `${folder} /a`, `${prefix}/`],
    ...[`${prefix}/a`, `${prefix}.s3-deploy/other`, `${prefix}.s3-deploy-probe/1`, `${prefix}.s3-deployed.html`],
    ...[`${prefix}a/.s3-deploy/manifest`, `${prefix}.s3`, `${prefix.toUpperCase()}a`, `${prefix.normalize('NFD')}a`],
    ...[folder.split('/')[0] ?? '', `${folder.split('/')[0]}/b`, 'b', '.s3-deploy/manifest'],
  );
  const inside = path.map((one) => `${prefix}${one}`);
  const key = fc.oneof(near, inside, path).filter((one) => one !== '' && one !== `${prefix}.s3-deploy/manifest`);
  return fc.record({
    prefix: fc.constant(prefix),
    tree: treeOf(path),
    before: fc.array(fc.tuple(key, content), { maxLength: 12 }).map((pairs) => Object.fromEntries(pairs)),
  });
});

/** What is not of a deploy's business: beside the prefix, above it, or our own. */
const foreign = (bucket: MemoryBucket, prefix: Prefix) =>
  [...bucket.items].filter(
    ([key]) => key !== manifestKey(prefix) && (!key.startsWith(prefix) || isPrivate(key.slice(prefix.length))),
  );
const isPrivate = (path: string) => path === '' || isOwnPath(path);
const pages = (bucket: MemoryBucket, prefix: Prefix) => [...bucket.below(prefix)].filter(([path]) => !isPrivate(path));

describe('a deploy that deletes', () => {
  test('touches nothing but what is below its prefix, makes it equal to the source, and finds nothing to do after that', async () => {
    let deletions = 0;
    await fc.assert(
      fc.asyncProperty(scene, fc.boolean(), async ({ prefix, tree, before }, md5) => {
        const bucket = new MemoryBucket(md5);
        for (const [key, text] of Object.entries(before)) bucket.put(key, text);
        const others = foreign(bucket, prefix);
        const options = { ...OPTIONS, prefix };

        const { plan } = await bucket.deploy(tree, options);
        deletions += plan.deletions.length;
        const keys = touched(plan);
        const found = pages(bucket, prefix);
        expect({
          outside: keys.filter((key) => !key.startsWith(prefix) || isPrivate(key.slice(prefix.length))),
          twice: keys.length - new Set(keys).size,
          others: foreign(bucket, prefix),
          contents: new Map(found.map(([path, item]) => [path, item.content])),
          otherHeaders: found.filter(([path, { headers }]) => !sameHeaders(headersFor(path, options), headers)),
        }).toEqual({ outside: [], twice: 0, others, contents: new Map(Object.entries(tree)), otherHeaders: [] });

        const again = await bucket.deploy(tree, options);
        expect({
          ...{ touched: touched(again.plan), asked: again.asked, kept: again.plan.kept, tells: again.plan.verified },
          unchanged: again.plan.unchanged.map(({ key }) => key),
        }).toEqual({ touched: [], asked: [], kept: [], tells: false, unchanged: keysOf(tree, prefix) });
      }),
      { numRuns: 10_000 },
    );
    expect(deletions).toBeGreaterThan(10_000);
  }, 300_000);

  test('does so for ten thousand files', async () => {
    const numbers = (from: number) => Array.from({ length: 10_000 }, (_, i) => from + i);
    const tree = (from: number, text: string): Tree =>
      Object.fromEntries(numbers(from).map((n) => [`${n % 97}/${n}.html`, `${text}${n % 7}`]));
    const bucket = new MemoryBucket();
    const options: PlanOptions = { ...OPTIONS, prefix: 'site/' };
    bucket.put('site2/a', 'beside');
    await bucket.deploy(tree(0, 'a'), options);
    const { plan } = await bucket.deploy(tree(2000, 'b'), options);
    expect(plan.deletions).toHaveLength(2000);
    expect(bucket.items.size).toBe(10_002);
    expect(touched((await bucket.plan(tree(2000, 'b'), options)).plan)).toEqual([]);
  }, 300_000);
});

/** What can happen to a site. */
type Event =
  | {
      readonly kind: 'deploy';
      readonly options: Options;
      readonly tree: Tree;
      readonly killedAfter: number | undefined;
    }
  | {
      readonly kind: 'shard';
      readonly shard: Shard;
      readonly options: Options;
      readonly tree: Tree;
      readonly killedAfter: number | undefined;
    }
  | { readonly kind: 'put'; readonly path: string; readonly content: string }
  | { readonly kind: 'delete'; readonly path: string }
  | { readonly kind: 'break the manifest' }
  | { readonly kind: 'wait'; readonly seconds: number };

interface Options {
  readonly delete: DeleteMode;
  readonly overwrite: boolean;
  readonly deleteGrace: number;
  readonly excluded: string;
  readonly storage: StorageOptions;
  readonly cacheControl: PlanOptions['cacheControl'];
}

const PATHS = ['a', 'b', 'c', 'index.html', 'd/e'];
const few = fc.constantFrom(...PATHS);
const options: fc.Arbitrary<Options> = fc.record({
  delete: fc.constantFrom<DeleteMode>('off', 'all', 'owned'),
  overwrite: fc.boolean(),
  deleteGrace: fc.constantFrom(0, 0, 100),
  excluded: fc.constantFrom('', '', 'a'),
  storage: fc.constantFrom<StorageOptions>({}, {}, { acl: 'private' }),
  cacheControl: fc.constantFrom<PlanOptions['cacheControl']>({ kind: 'none' }, { kind: 'all', value: 'no-store' }),
});
const deployOf = (options: fc.Arbitrary<Options>, killed: boolean): fc.Arbitrary<Event> =>
  fc.record({
    kind: fc.constant('deploy' as const),
    options,
    tree: treeOf(few, 5),
    killedAfter: killed ? fc.option(fc.nat(3), { nil: undefined }) : fc.constant(undefined),
  });
const strangers = [
  fc.record({ kind: fc.constant('put' as const), path: few, content }),
  fc.record({ kind: fc.constant('delete' as const), path: few }),
] as const;
const wait: fc.Arbitrary<Event> = fc.record({
  kind: fc.constant('wait' as const),
  seconds: fc.constantFrom(1, 60, 100),
});
const shard: fc.Arbitrary<Event> = fc.record({
  kind: fc.constant('shard' as const),
  shard: fc.constantFrom({ number: 1, of: 1 }, { number: 1, of: 2 }, { number: 2, of: 2 }),
  options,
  tree: treeOf(few, 5),
  killedAfter: fc.option(fc.nat(2), { nil: undefined }),
});
const broken: fc.Arbitrary<Event> = fc.constant({ kind: 'break the manifest' as const });

/** A site, and what happens to it. */
class Site {
  readonly bucket: MemoryBucket;
  readonly prefix: Prefix = 'site/';
  now = 1_800_000_000;
  /** When each path was last in the source of a deploy that was complete. */
  readonly lastWanted = new Map<string, number>();

  constructor(md5: boolean) {
    this.bucket = new MemoryBucket(md5);
  }

  async happen(
    event: Event,
    check: (before: Map<string, Item>, event: Event & { kind: 'deploy' }) => void,
  ): Promise<void> {
    const { bucket, prefix } = this;
    if (event.kind === 'put') bucket.put(prefix + event.path, event.content);
    else if (event.kind === 'delete') bucket.items.delete(prefix + event.path);
    else if (event.kind === 'break the manifest') bucket.put(manifestKey(prefix), '<html>');
    else if (event.kind === 'wait') this.now += event.seconds;
    else if (event.kind === 'shard') {
      const before = new Map(pages(bucket, prefix));
      const options = this.optionsOf(event.options);
      const { plan } = await bucket.deployShare(event.tree, options, event.shard, event.killedAfter);
      const put = new Set(touched(plan).map((key) => key.slice(prefix.length)));
      expect([...put].filter((path) => phaseOf(path) !== 'assets' || !Object.hasOwn(event.tree, path))).toEqual([]);
      const after = new Map(pages(bucket, prefix));
      for (const [path, item] of before) if (!put.has(path)) expect(after.get(path)).toBe(item);
      for (const path of after.keys()) expect(before.has(path) || put.has(path)).toBe(true);
    } else {
      const before = new Map(pages(bucket, prefix));
      await bucket.deploy(event.tree, this.optionsOf(event.options), event.killedAfter);
      check(before, event);
      for (const path of Object.keys(event.tree)) this.lastWanted.set(path, this.now);
    }
  }

  optionsOf({ excluded, ...options }: Options): PlanOptions {
    const deleteExclude = (path: string) => path === excluded;
    return { ...OPTIONS, ...options, deleteExclude, prefix: this.prefix, now: this.now };
  }
}

describe('whatever happens to a site', () => {
  const events = fc.array(
    fc.oneof(
      { weight: 3, arbitrary: deployOf(options, true) },
      { weight: 2, arbitrary: shard },
      ...strangers,
      wait,
      broken,
    ),
    { minLength: 1, maxLength: 8 },
  );

  test('a deploy deletes only what its inputs allow, and makes the rest what its source says', async () => {
    await fc.assert(
      fc.asyncProperty(events, fc.boolean(), async (all, md5) => {
        const site = new Site(md5);
        for (const event of all) {
          await site.happen(event, (before, { options, tree, killedAfter }) => {
            const after = new Map(pages(site.bucket, site.prefix));
            for (const [path, item] of before) {
              const wanted = Object.hasOwn(tree, path);
              const gone = !after.has(path);
              if (wanted) expect(gone).toBe(false);
              if (wanted && !options.overwrite) expect(after.get(path)).toBe(item);
              if (!wanted && !gone) expect(after.get(path)).toBe(item);
              if (!gone) continue;
              expect(options.delete).not.toBe('off');
              expect(path).not.toBe(options.excluded);
              if (options.delete === 'owned') expect(item.by).toBe('us');
              expect(site.now - (site.lastWanted.get(path) ?? 0)).toBeGreaterThanOrEqual(options.deleteGrace);
            }
            for (const path of after.keys()) expect(before.has(path) || Object.hasOwn(tree, path)).toBe(true);
            const complete = killedAfter === undefined;
            for (const [path, text] of Object.entries(tree)) {
              if (complete && (options.overwrite || !before.has(path))) {
                const item = after.get(path);
                expect(item?.content).toBe(text);
                const wanted = headersFor(path, site.optionsOf(options));
                expect(item !== undefined && sameHeaders(wanted, item.headers)).toBe(true);
                // Without options an object keeps what it has: nobody asked for anything.
                if (options.storage.acl !== undefined) expect(item?.storage).toEqual(options.storage);
              }
            }
          });
        }
      }),
      { numRuns: 3000 },
    );
  }, 300_000);

  test('a deploy that deletes without grace leaves nothing behind, and one that deletes its own nothing of its own', async () => {
    const plain = options.map((one) => ({ ...one, overwrite: true, deleteGrace: 0, excluded: '' }));
    const undisturbed = fc.array(fc.oneof({ weight: 3, arbitrary: deployOf(plain, false) }, ...strangers), {
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(undisturbed, fc.boolean(), async (all, md5) => {
        const site = new Site(md5);
        for (const event of all) {
          await site.happen(event, (_before, { options, tree }) => {
            if (options.delete === 'off') return;
            const left = pages(site.bucket, site.prefix).filter(([path]) => !Object.hasOwn(tree, path));
            expect(left.filter(([, { by }]) => options.delete === 'all' || by === 'us')).toEqual([]);
          });
        }
      }),
      { numRuns: 3000 },
    );
  }, 300_000);
});
