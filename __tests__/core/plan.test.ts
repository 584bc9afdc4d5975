import { describe, expect, test } from '@jest/globals';
import type { Prefix } from '../../src/core/key.ts';
import type { DeleteLimit, LocalFile, Plan, RemoteObject } from '../../src/core/model.ts';
import { indexObjects, type PlanOptions, planDeploy, undecided } from '../../src/core/plan.ts';
import { DeployError } from '../../src/errors.ts';

const MD5 = 'd41d8cd98f00b204e9800998ecf8427e';
const OTHER = '0cc175b9c0f1b6a831c399e269772661';

const file = (path: string, size = 1): LocalFile => ({ path, size, version: '1' });
const object = (key: string, etag = MD5, size = 1): RemoteObject => ({ key, size, etag });
const bucketOf = (...objects: RemoteObject[]) => new Map(objects.map((one) => [one.key, one]));
const numbered = (many: number) => Array.from({ length: many }, (_, i) => object(`site/${i}`));

function plan(
  files: LocalFile[],
  objects: RemoteObject[],
  etags: Record<string, string> = {},
  options: Partial<PlanOptions> = {},
): Plan {
  return planDeploy(files, bucketOf(...objects), new Map(Object.entries(etags)), {
    prefix: 'site/',
    cacheControl: { kind: 'none' },
    delete: true,
    maxDelete: { kind: 'percent', value: 100 },
    ...options,
  });
}

const uploadsOf = ({ phases }: Plan) => phases.flatMap(({ uploads }) => uploads);

describe('content decides', () => {
  test.each([
    ['no object', undefined, undefined, 'new'],
    ['an object of another size', object('site/a', MD5, 2), MD5, 'content'],
    ['the same ETag', object('site/a', MD5), MD5, undefined],
    ['another ETag', object('site/a', OTHER), MD5, 'content'],
    ['the same ETag of parts', object('site/a', `${MD5}-2`), `${MD5}-2`, undefined],
    ['other parts', object('site/a', `${MD5}-2`), `${OTHER}-2`, 'content'],
    ['an ETag that says nothing', object('site/a', 'opaque'), undefined, 'unverified'],
    ['parts that we would not make', object('site/a', `${MD5}-7`), undefined, 'unverified'],
    ['no ETag at all', object('site/a', ''), undefined, 'unverified'],
    ['an empty object for a file that is not', object('site/a', MD5, 0), MD5, 'content'],
  ])('%s', (_what, there, etag, reason) => {
    const planned = plan([file('a')], there === undefined ? [] : [there], etag === undefined ? {} : { a: etag });
    expect(uploadsOf(planned).map((upload) => upload.reason)).toEqual(reason === undefined ? [] : [reason]);
    expect(planned.unchanged).toBe(reason === undefined ? 1 : 0);
    expect(planned.deletions).toEqual([]);
  });

  test('an empty file that is there is unchanged', () => {
    expect(plan([file('a', 0)], [object('site/a', MD5, 0)], { a: MD5 }).unchanged).toBe(1);
  });

  test('the object without the prefix is another one', () => {
    const planned = plan([file('a')], [object('a', MD5)], { a: MD5 }, { delete: false });
    expect(uploadsOf(planned)).toMatchObject([{ key: 'site/a', reason: 'new' }]);
  });
});

test('an upload carries its file, key and headers', () => {
  const index = file('index.html', 3);
  expect(uploadsOf(plan([index], [], {}, { cacheControl: { kind: 'auto' } }))).toEqual([
    {
      file: index,
      key: 'site/index.html',
      reason: 'new',
      headers: { contentType: 'text/html; charset=utf-8', cacheControl: 'public, max-age=0, must-revalidate' },
    },
  ]);
});

test('what others name goes up first, what leads to everything last', () => {
  const files = ['index.html', 'about.html', 'sw.js', 'app.js', 'docs/index.html', 'manifest.json'].map((p) => file(p));
  expect(plan(files, []).phases.map(({ name, uploads }) => [name, uploads.map(({ key }) => key)])).toEqual([
    ['assets', ['site/app.js']],
    ['pages', ['site/about.html', 'site/docs/index.html', 'site/manifest.json']],
    ['entry pages', ['site/index.html', 'site/sw.js']],
  ]);
});

test('the phases are there when nothing is to be done', () => {
  expect(plan([], []).phases.map(({ name }) => name)).toEqual(['assets', 'pages', 'entry pages']);
});

describe('what the source no longer has', () => {
  test('is deleted in the order of UTF-8 bytes, objects that still have a file are not', () => {
    const objects = ['site/😀', 'site/\uff61', 'site/b', 'site/a', 'site/B'].map((key) => object(key));
    const planned = plan([file('a')], objects, { a: MD5 });
    expect(planned.deletions.map(({ key }) => key)).toEqual(['site/B', 'site/b', 'site/\uff61', 'site/😀']);
    expect(planned.kept).toEqual([]);
  });

  test('is kept, and named, when delete is off', () => {
    const planned = plan([], numbered(500), {}, { delete: false, maxDelete: { kind: 'count', value: 0 } });
    expect(planned.deletions).toEqual([]);
    expect(planned.kept).toHaveLength(500);
    expect(planned.kept[0]).toEqual({ key: 'site/0', why: 'delete off' });
  });

  test('is told from a file by every byte of its key', () => {
    const composed = 'caf\u00e9';
    const planned = plan([file(composed)], [object(`site/${composed.normalize('NFD')}`), object('site/CAF\u00c9')]);
    expect(planned.deletions).toHaveLength(2);
    expect(uploadsOf(planned)).toHaveLength(1);
  });
});

describe('max-delete', () => {
  const percent = (value: number): DeleteLimit => ({ kind: 'percent', value });
  const number = (value: number): DeleteLimit => ({ kind: 'count', value });
  test.each([
    ['0 forbids one', number(0), 1, 100, 'refused'],
    ['0 allows none', number(0), 0, 100, 'allowed'],
    ['a number allows itself', number(30), 30, 100, 'allowed'],
    ['a number forbids one more', number(30), 31, 100, 'refused'],
    ['a number knows no ten free ones', number(3), 4, 100, 'refused'],
    ['0% allows the ten free ones', percent(0), 10, 100, 'allowed'],
    ['0% forbids an eleventh', percent(0), 11, 100, 'refused'],
    ['50% allows half', percent(50), 50, 100, 'allowed'],
    ['50% forbids more than half', percent(50), 51, 100, 'refused'],
    ['50% of an odd number is rounded down', percent(50), 51, 101, 'refused'],
    ['50% allows ten of ten', percent(50), 10, 10, 'allowed'],
    ['50% forbids eleven of eleven', percent(50), 11, 11, 'refused'],
    ['100% allows all', percent(100), 1000, 1000, 'allowed'],
    ['1% of a few is still ten', percent(1), 10, 20, 'allowed'],
  ])('%s', (_what, maxDelete, deletions, objects, expected) => {
    const there = numbered(objects);
    const files = there.slice(deletions).map(({ key }) => file(key.slice('site/'.length)));
    const act = () => plan(files, there, {}, { maxDelete });
    if (expected === 'allowed') expect(act().deletions).toHaveLength(deletions);
    else expect(act).toThrow(DeployError);
  });

  test('the refusal says how many, of how many, and what to change', () => {
    const act = () => plan([], numbered(1200), {}, { maxDelete: percent(50) });
    expect(act).toThrow(
      expect.objectContaining({
        code: 'TOO_MANY_DELETIONS',
        refused: true,
        message: 'This deploy would delete 1,200 objects of 1,200 objects below the prefix; max-delete allows 600.',
        hint: expect.stringContaining('max-delete: 1200'),
      }),
    );
  });
});

describe('only those files are read for a plan whose bytes decide', () => {
  test.each([
    ['an object with an MD5', object('site/a', MD5), true],
    ['an object in parts', object('site/a', `${MD5}-12`), true],
    ['another size', object('site/a', MD5, 2), false],
    ['no object', object('site/b', MD5), false],
    ['an ETag of another kind', object('site/a', 'W/abc'), false],
    ['an ETag in capitals', object('site/a', MD5.toUpperCase()), false],
    ['an ETag in its quotes', object('site/a', `"${MD5}"`), false],
    ['more parts than there can be', object('site/a', `${MD5}-100000`), false],
    ['a longer digest', object('site/a', `${MD5}${MD5}`), false],
  ])('%s', (_what, there, read) => {
    const a = file('a');
    expect(undecided([a], bucketOf(there), 'site/')).toEqual(read ? [{ file: a, etag: there.etag }] : []);
  });
});

describe('the objects below a prefix', () => {
  async function* listing(...keys: string[]) {
    for (const key of keys) yield object(key);
  }
  const keysOf = async (prefix: Prefix, ...keys: string[]) => [
    ...(await indexObjects(listing(...keys), prefix)).keys(),
  ];

  test("are all but the action's own and the prefix's folder marker", async () => {
    const keys = ['site/', 'site/.s3-deploy/manifest', 'site/.s3-deploy-probe/1', 'site/a', 'site/b/', 'site/.s3/x'];
    expect(await keysOf('site/', ...keys)).toEqual(['site/a', 'site/b/', 'site/.s3/x']);
  });

  test('may be called like our own further down', async () => {
    expect(await keysOf('site/', 'site/a/.s3-deploy/manifest')).toEqual(['site/a/.s3-deploy/manifest']);
  });

  test('of the whole bucket', async () => {
    expect(await keysOf('', 'a', '.s3-deploy/manifest', 'site/.s3-deploy/x')).toEqual(['a', 'site/.s3-deploy/x']);
  });
});
