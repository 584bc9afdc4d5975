import { describe, expect, test } from '@jest/globals';
import type { Entry } from '../../src/core/entries.ts';
import { headersFor } from '../../src/core/headers.ts';
import type { Prefix } from '../../src/core/key.ts';
import { headersFingerprint, keyHash, type Manifest, saysMore } from '../../src/core/manifest.ts';
import type { DeleteLimit, LocalFile, Plan, RemoteObject, StorageOptions } from '../../src/core/model.ts';
import { indexObjects, ObjectIndex } from '../../src/core/object-index.ts';
import { Places } from '../../src/core/places.ts';
import {
  type Candidate,
  candidateOf,
  type DeleteMode,
  type Digest,
  type Known,
  type KnownManifest,
  type Memory,
  manifestAfter,
  noteAfter,
  type PlanOptions,
  planDeploy,
  planRemoval,
  toAsk,
} from '../../src/core/plan.ts';
import { DeployError } from '../../src/errors.ts';

const MD5 = 'd41d8cd98f00b204e9800998ecf8427e';
const OTHER = '0cc175b9c0f1b6a831c399e269772661';
const CONTENT = 'contentcontent-1';
const CHANGED = 'contentcontent-2';
/** Seconds since the epoch, and a time of the store. */
const NOW = 1_800_000_000;
const WRITTEN = 1_700_000_000_000;
const BY = { startedAt: WRITTEN, run: '1-1' };

const file = (path: string, size = 1): LocalFile => ({ path, size, inode: 1, modified: 1 });
const object = (key: string, etag = MD5, size = 1, lastModified = WRITTEN): RemoteObject => ({
  key,
  size,
  etag,
  lastModified,
});
const bucketOf = (...objects: RemoteObject[]) => new Map(objects.map((one) => [one.key, one]));
const numbered = (many: number) => Array.from({ length: many }, (_, i) => object(`site/${i}`));
const pathsOf = (objects: readonly RemoteObject[]) => objects.map(({ key }) => key.slice('site/'.length));

const OPTIONS: PlanOptions = {
  prefix: 'site/',
  cacheControl: { kind: 'none' },
  headerRules: [],
  storage: {},
  overwrite: true,
  delete: 'all',
  deleteExclude: () => false,
  maxDelete: { kind: 'percent', value: 100 },
  deleteGrace: 0,
  now: NOW,
};

/** What is remembered of an object that was put as `OPTIONS` want it. */
const entry = (path: string, more: Partial<Entry> = {}, storage: StorageOptions = {}): Entry => ({
  etag: MD5,
  content: CONTENT,
  headers: headersFingerprint(headersFor(path, OPTIONS), storage),
  owned: true,
  staleSince: undefined,
  ...more,
});
const remembering = (entries: Record<string, Entry>, lastModified = WRITTEN): KnownManifest => ({
  by: BY,
  entries: new Map(Object.entries(entries).map(([path, one]) => [keyHash(`site/${path}`), one])),
  lastModified,
});

interface Scene extends Partial<Omit<Known, 'objects' | 'digests'>> {
  readonly objects?: readonly RemoteObject[];
  readonly digests?: Record<string, Digest>;
}

const knownOf = (
  { objects = [], manifest, notes = [], digests = {}, headers = new Map() }: Scene,
  files: readonly LocalFile[] = [file('a')],
): Known => ({
  objects: bucketOf(...objects),
  manifest,
  notes,
  digests: files.map(({ path }) => digests[path]),
  headers,
});
const plan = (files: LocalFile[], scene: Scene = {}, options: Partial<PlanOptions> = {}): Plan =>
  planDeploy(files, knownOf(scene, files), { ...OPTIONS, ...options });
const uploadsOf = ({ phases }: Plan) => phases.flatMap(({ uploads }) => uploads);

/** What becomes of the one file of a scene, or undefined when it is unchanged. */
function fate(planned: Plan): string | undefined {
  const [upload] = uploadsOf(planned);
  const [kept] = planned.kept;
  expect(uploadsOf(planned).length + planned.unchanged.length + planned.kept.length).toBe(1);
  expect(planned.deletions).toEqual([]);
  return upload?.reason ?? kept?.why;
}

describe('content and headers decide', () => {
  const RIGHT = { contentType: 'application/octet-stream' };
  const WRONG = { contentType: 'text/plain' };
  const digest = (content = CONTENT, etag: string | undefined = undefined): Digest => ({ content, etag });
  const asRemembered = (rememberedHeaders = entry('a').headers): Digest => ({ rememberedHeaders });
  const byEtag = (etag: string | undefined) => digest(CONTENT, etag);
  const there = (etag = MD5, size = 1) => [object('site/a', etag, size)];
  const asked = (headers: typeof RIGHT | undefined) => new Map([['site/a', headers]]);
  const memory = (more: Partial<Entry> = {}) => remembering({ a: entry('a', more) });

  test.each<[string, Scene, string | undefined]>([
    ['no object', {}, 'new'],
    ['no object, though one is remembered', { manifest: memory() }, 'new'],
    ['an object of another size', { objects: there(MD5, 2), digests: { a: byEtag(MD5) } }, 'content'],
    ['an object of another size, remembered', { objects: there(MD5, 2), manifest: memory() }, 'content'],
    ['an empty object', { objects: there(MD5, 0) }, 'content'],
    ['remembered, the same', { objects: there(), manifest: memory(), digests: { a: digest() } }, undefined],
    [
      'remembered, the same, and its ETag says nothing',
      { objects: there('opaque'), manifest: memory({ etag: 'opaque' }), digests: { a: digest() } },
      undefined,
    ],
    [
      'remembered, with other headers',
      { objects: there(), manifest: memory({ headers: 'otherheaders' }), digests: { a: digest() } },
      'headers',
    ],
    ['as remembered', { objects: there(), manifest: memory(), digests: { a: asRemembered() } }, undefined],
    [
      'as remembered, with other headers',
      { objects: there(), manifest: memory({ headers: 'otherheaders' }), digests: { a: asRemembered('otherheaders') } },
      'headers',
    ],
    [
      'remembered, with other content',
      { objects: there(), manifest: memory(), digests: { a: digest(CHANGED) } },
      'content',
    ],
    [
      'remembered, with other content and headers',
      { objects: there(), manifest: memory({ headers: 'otherheaders' }), digests: { a: digest(CHANGED) } },
      'content',
    ],
    [
      'remembered, with other content, though its ETag is the MD5 of the file',
      { objects: there(), manifest: memory(), digests: { a: digest(CHANGED, MD5) } },
      'content',
    ],
    [
      'not remembered, the same headers',
      { objects: there(), digests: { a: byEtag(MD5) }, headers: asked(RIGHT) },
      undefined,
    ],
    [
      'not remembered, other headers',
      { objects: there(), digests: { a: byEtag(MD5) }, headers: asked(WRONG) },
      'headers',
    ],
    [
      'not remembered, headers that cannot be had',
      { objects: there(), digests: { a: byEtag(MD5) }, headers: asked(undefined) },
      undefined,
    ],
    ['not remembered, other content', { objects: there(OTHER), digests: { a: byEtag(MD5) } }, 'content'],
    [
      'not remembered, the same parts',
      { objects: there(`${MD5}-2`), digests: { a: byEtag(`${MD5}-2`) }, headers: asked(RIGHT) },
      undefined,
    ],
    ['not remembered, other parts', { objects: there(`${MD5}-2`), digests: { a: byEtag(`${OTHER}-2`) } }, 'content'],
    [
      'not remembered, parts that we would not make',
      { objects: there(`${MD5}-7`), digests: { a: byEtag(undefined) } },
      'unverified',
    ],
    ['not remembered, an ETag that says nothing', { objects: there('opaque') }, 'unverified'],
    ['not remembered, no ETag at all', { objects: there('') }, 'unverified'],
    [
      'overwritten by somebody, in content',
      { objects: there(OTHER), manifest: memory(), digests: { a: byEtag(MD5) } },
      'content',
    ],
    ['overwritten by somebody, in parts unlike ours', { objects: there(`${MD5}-7`), manifest: memory() }, 'unverified'],
    [
      'overwritten by somebody with the same bytes and other headers',
      {
        objects: [object('site/a', MD5, 1, WRITTEN + 1)],
        manifest: memory(),
        digests: { a: byEtag(MD5) },
        headers: asked(WRONG),
      },
      'headers',
    ],
    [
      'remembered as a stranger that was to be deleted',
      {
        objects: there(),
        manifest: memory({ content: undefined, headers: undefined, owned: false, staleSince: NOW - 9 }),
        digests: { a: byEtag(MD5) },
        headers: asked(RIGHT),
      },
      undefined,
    ],
  ])('%s', (_what, scene, expected) => {
    expect(fate(plan([file('a')], scene))).toBe(expected);
  });

  test('an empty file that is there is unchanged', () => {
    const scene = { objects: [object('site/a', MD5, 0)], manifest: memory(), digests: { a: digest() } };
    expect(fate(plan([file('a', 0)], scene))).toBeUndefined();
  });

  test('the object without the prefix is another one', () => {
    const planned = plan([file('a')], { objects: [object('a')], digests: { a: byEtag(MD5) } }, { delete: 'off' });
    expect(uploadsOf(planned)).toMatchObject([{ key: 'site/a', reason: 'new' }]);
  });

  test.each([
    ['put by us', memory(), true],
    ['found there once', memory({ owned: false }), false],
  ])('an unchanged object that was %s stays so', (_what, manifest, owned) => {
    const planned = plan([file('a')], { objects: there(), manifest, digests: { a: digest() } });
    expect(planned.unchanged).toEqual(there());
    const next = manifestAfter(planned, [], { manifest }, BY, OPTIONS);
    expect([...next.entries]).toEqual([[keyHash('site/a'), entry('a', { owned })]]);
  });

  test('headers that cannot be had are not remembered as right', () => {
    const planned = plan([file('a')], { objects: there(), digests: { a: byEtag(MD5) }, headers: asked(undefined) });
    expect(planned.unchanged).toMatchObject([{ found: { content: CONTENT, headers: undefined } }]);
  });

  test.each<[string, StorageOptions]>([
    ['an ACL', { acl: 'public-read' }],
    ['a storage class', { storageClass: 'STANDARD_IA' }],
    ['an encryption', { encryption: 'AES256' }],
    ['a key', { kmsKeyId: 'alias/site' }],
    ['tags', { tags: [['team', 'web']] }],
  ])('%s is a header like any other', (_what, storage) => {
    const scene = { objects: there(), manifest: memory(), digests: { a: digest() } };
    expect(fate(plan([file('a')], scene, { storage }))).toBe('headers');
    const put = { ...scene, manifest: remembering({ a: entry('a', {}, storage) }) };
    expect(fate(plan([file('a')], put, { storage }))).toBeUndefined();
    expect(fate(plan([file('a')], put))).toBe('headers');
  });

  test('an object that nobody remembers is not taken for one with the encryption, ACL or tags that are asked for', () => {
    const scene = { objects: there(), digests: { a: byEtag(MD5) }, headers: asked(RIGHT) };
    expect(fate(plan([file('a')], scene, { storage: { encryption: 'AES256' } }))).toBe('headers');
  });
});

describe('append-only', () => {
  const manifest = remembering({ a: entry('a') });
  test.each<[string, Scene, string]>([
    ['an object of another size', { objects: [object('site/a', MD5, 2)] }, 'exists'],
    [
      'an object of the same content',
      { objects: [object('site/a')], digests: { a: { content: CONTENT, etag: MD5 } } },
      'exists',
    ],
    ['a remembered object', { objects: [object('site/a')], manifest }, 'exists'],
    ['no object', { objects: [] }, 'new'],
    ['no object, though one is remembered', { objects: [], manifest }, 'new'],
  ])('%s', (_what, scene, expected) => {
    expect(fate(plan([file('a')], scene, { overwrite: false }))).toBe(expected);
  });

  test('deletes what is stale all the same, and never what the source has', () => {
    const planned = plan(
      [file('a')],
      { objects: [object('site/a', OTHER, 9), object('site/b')] },
      { overwrite: false },
    );
    expect(pathsOf(planned.deletions)).toEqual(['b']);
    expect(planned.kept).toEqual([{ key: 'site/a', why: 'exists' }]);
  });
});

describe('an upload', () => {
  test('carries its file, key and headers', () => {
    const index = file('index.html', 3);
    expect(uploadsOf(plan([index], {}, { cacheControl: { kind: 'auto' } }))).toEqual([
      {
        file: index,
        key: 'site/index.html',
        reason: 'new',
        headers: { contentType: 'text/html; charset=utf-8', cacheControl: 'public, max-age=0, must-revalidate' },
      },
    ]);
  });

  test.each<[string, Digest]>([
    ['digested', { content: CONTENT, etag: undefined }],
    ['found to be as it is remembered', { rememberedHeaders: 'otherheaders' }],
  ])('of other headers carries the object to copy and the content that it has, %s', (_how, digest) => {
    const there = object('site/a');
    const manifest = remembering({ a: entry('a', { headers: 'otherheaders' }) });
    const [upload] = uploadsOf(plan([file('a')], { objects: [there], manifest, digests: { a: digest } }));
    expect(upload).toMatchObject({ reason: 'headers', object: there, content: CONTENT });
  });

  test('has the headers of its rules', () => {
    const headerRules = [
      { glob: '*', matches: () => true, headers: { cacheControl: 'no-store' }, metadata: { team: 'web' } },
    ];
    expect(uploadsOf(plan([file('a.css')], {}, { headerRules }))[0]?.headers).toEqual({
      contentType: 'text/css; charset=utf-8',
      cacheControl: 'no-store',
      metadata: { team: 'web' },
    });
  });
});

test('what others name goes up first, what leads to everything last', () => {
  const files = ['index.html', 'about.html', 'sw.js', 'app.js', 'docs/index.html', 'manifest.json'].map((p) => file(p));
  expect(plan(files).phases.map(({ name, uploads }) => [name, uploads.map(({ key }) => key)])).toEqual([
    ['assets', ['site/app.js']],
    ['pages', ['site/about.html', 'site/docs/index.html', 'site/manifest.json']],
    ['entry pages', ['site/index.html', 'site/sw.js']],
  ]);
});

test('the phases are there when nothing is to be done', () => {
  expect(plan([]).phases.map(({ name }) => name)).toEqual(['assets', 'pages', 'entry pages']);
});

describe('what the source no longer has', () => {
  test('is deleted in the order of UTF-8 bytes, objects that still have a file are not', () => {
    const objects = ['site/😀', 'site/\uff61', 'site/b', 'site/a', 'site/B'].map((key) => object(key));
    const planned = plan([file('a')], { objects, digests: { a: { content: CONTENT, etag: MD5 } } });
    expect(pathsOf(planned.deletions)).toEqual(['B', 'b', '\uff61', '😀']);
    expect(planned.kept).toEqual([]);
  });

  test('is kept, and named, when delete is off, whatever max-delete says', () => {
    const planned = plan([], { objects: numbered(500) }, { delete: 'off', maxDelete: { kind: 'count', value: 0 } });
    expect(planned.deletions).toEqual([]);
    expect(planned.kept).toHaveLength(500);
    expect(planned.kept[0]).toEqual({ key: 'site/0', why: 'delete off' });
  });

  test('is told from a file by every byte of its key', () => {
    const composed = 'caf\u00e9';
    const objects = [object(`site/${composed.normalize('NFD')}`), object('site/CAF\u00c9')];
    const planned = plan([file(composed)], { objects });
    expect(planned.deletions).toHaveLength(2);
    expect(uploadsOf(planned)).toHaveLength(1);
  });

  /** Stale for a day, for a week, or not before this deploy. */
  const DAY = 86_400;
  const AGES = { 'a day': NOW - DAY, 'a week': NOW - 7 * DAY, 'this deploy': undefined };
  const OWNERS = {
    owned: (staleSince?: number) => remembering({ x: entry('x', { staleSince }) }),
    adopted: (staleSince?: number) => remembering({ x: entry('x', { owned: false, staleSince }) }),
    'foreign, seen before': (staleSince?: number) =>
      remembering({ x: entry('x', { content: undefined, headers: undefined, owned: false, staleSince }) }),
    foreign: () => undefined,
  };
  const rows: [DeleteMode, keyof typeof OWNERS, boolean, keyof typeof AGES, string][] = [];
  for (const mode of ['off', 'all', 'owned'] as const)
    for (const owner of Object.keys(OWNERS) as (keyof typeof OWNERS)[])
      for (const excluded of [false, true])
        for (const age of Object.keys(AGES) as (keyof typeof AGES)[]) {
          const kept =
            mode === 'off'
              ? 'delete off'
              : excluded
                ? 'excluded'
                : mode === 'owned' && owner !== 'owned'
                  ? 'not ours'
                  : age === 'a week' && owner !== 'foreign'
                    ? 'deleted'
                    : 'grace';
          rows.push([mode, owner, excluded, age, kept]);
        }

  test.each(rows)(
    'delete %s: %s, excluded %s, stale for %s, with two days of grace: %s',
    (mode, owner, excluded, age, expected) => {
      const scene = { objects: [object('site/x')], manifest: OWNERS[owner](AGES[age]) };
      const options = { delete: mode, deleteExclude: (path: string) => excluded && path === 'x' };
      const planned = plan([], scene, { ...options, deleteGrace: 2 * DAY });
      expect(planned.kept.map(({ why }) => why)).toEqual(expected === 'deleted' ? [] : [expected]);
      expect(pathsOf(planned.deletions)).toEqual(expected === 'deleted' ? ['x'] : []);
      const withoutGrace = plan([], scene, options);
      expect(withoutGrace.kept.map(({ why }) => why)).toEqual(
        ['deleted', 'grace'].includes(expected) ? [] : [expected],
      );
    },
  );

  test.each([
    ['a second before the grace is over', 1, true],
    ['when it is over', 0, false],
    ['though another clock is ahead', 3600 * 24 * 30, true],
  ])('%s', (_what, seconds, kept) => {
    const manifest = remembering({ x: entry('x', { staleSince: NOW - 2 * DAY + seconds }) });
    const planned = plan([], { objects: [object('site/x')], manifest }, { deleteGrace: 2 * DAY });
    expect(planned.deletions).toHaveLength(kept ? 0 : 1);
  });

  test.each([
    ['other bytes', OTHER, WRITTEN],
    ['the same bytes', MD5, WRITTEN + 1],
  ])('has its grace anew when somebody has put %s there since', (_what, etag, lastModified) => {
    const manifest = remembering({ x: entry('x', { staleSince: NOW - 7 * DAY }) });
    const objects = [object('site/x', etag, 1, lastModified)];
    const planned = plan([], { objects, manifest }, { deleteGrace: 2 * DAY });
    expect(planned.kept).toEqual([{ key: 'site/x', why: 'grace' }]);
    expect(planned.stale).toEqual([{ object: objects[0], since: NOW }]);
  });

  test.each([
    ['other bytes', OTHER, WRITTEN],
    ['the same bytes', MD5, WRITTEN + 1],
  ])('is not ours any more when somebody has put %s there since', (_what, etag, lastModified) => {
    const manifest = remembering({ x: entry('x') });
    const planned = plan([], { objects: [object('site/x', etag, 1, lastModified)], manifest }, { delete: 'owned' });
    expect(planned.kept).toEqual([{ key: 'site/x', why: 'not ours' }]);
  });

  test('is excluded by its path below the prefix', () => {
    const asked: string[] = [];
    const deleteExclude = (path: string) => asked.push(path) < 0;
    plan([file('a')], { objects: [object('site/a'), object('site/b/c')] }, { deleteExclude });
    expect(asked).toEqual(['b/c']);
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
  ])('%s', (_what, maxDelete, deletions, many, expected) => {
    const objects = numbered(many);
    const files = pathsOf(objects.slice(deletions)).map((path) => file(path));
    const act = () => plan(files, { objects }, { maxDelete });
    if (expected === 'allowed') expect(act().deletions).toHaveLength(deletions);
    else expect(act).toThrow(DeployError);
  });

  test('counts deletions only, not what is kept', () => {
    const objects = numbered(20);
    const deleteExclude = (path: string) => Number(path) >= 3;
    expect(plan([], { objects }, { deleteExclude, maxDelete: number(3) }).deletions).toHaveLength(3);
    expect(() => plan([], { objects }, { deleteExclude, maxDelete: number(2) })).toThrow(DeployError);
    expect(plan([], { objects }, { deleteGrace: 60, maxDelete: number(0) }).kept).toHaveLength(20);
  });

  test('the refusal says how many, of how many, and what to change', () => {
    const act = () => plan([], { objects: numbered(1200) }, { maxDelete: percent(50) });
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
  const memory = (more: Partial<Entry> = {}, lastModified = WRITTEN) =>
    remembering({ a: entry('a', more) }, lastModified);
  const none = undefined;
  test.each<[string, RemoteObject | undefined, KnownManifest | undefined, Candidate | undefined]>([
    ['an object with an MD5', object('site/a', MD5), none, { etag: MD5 }],
    ['an object in parts', object('site/a', `${MD5}-12`), none, { etag: `${MD5}-12` }],
    ['another size', object('site/a', MD5, 2), none, undefined],
    ['another size, remembered', object('site/a', MD5, 2), memory(), undefined],
    ['no object', undefined, none, undefined],
    ['no object, remembered', undefined, memory(), undefined],
    ['an ETag of another kind', object('site/a', 'W/abc'), none, undefined],
    ['an ETag in capitals', object('site/a', MD5.toUpperCase()), none, undefined],
    ['an ETag in its quotes', object('site/a', `"${MD5}"`), none, undefined],
    ['more parts than there can be', object('site/a', `${MD5}-100000`), none, undefined],
    ['a longer digest', object('site/a', `${MD5}${MD5}`), none, undefined],
    ['a remembered object', object('site/a'), memory(), { entry: entry('a') }],
    [
      'a remembered object whose ETag says nothing',
      object('site/a', 'W/abc'),
      memory({ etag: 'W/abc' }),
      { entry: entry('a', { etag: 'W/abc' }) },
    ],
    ['an object that is not the remembered one', object('site/a', OTHER), memory(), { etag: OTHER }],
    ['an object that was written since', object('site/a', MD5, 1, WRITTEN + 1), memory(), { etag: MD5 }],
    ['a stranger that is remembered', object('site/a'), memory({ content: undefined }), { etag: MD5 }],
  ])('%s', (_what, there, manifest, against) => {
    expect(candidateOf(file('a'), there, { manifest })).toEqual(against);
  });
});

describe('only those objects are asked for their headers', () => {
  const digests = (etag: string | undefined) => ({ a: { content: CONTENT, etag } });
  test.each<[string, Scene, boolean]>([
    ['that nobody remembers, and that have the content', { objects: [object('site/a')], digests: digests(MD5) }, true],
    [
      'that were written since, with the same content',
      {
        objects: [object('site/a', MD5, 1, WRITTEN + 1)],
        manifest: remembering({ a: entry('a') }),
        digests: digests(MD5),
      },
      true,
    ],
    [
      'that are remembered as strangers',
      {
        objects: [object('site/a')],
        manifest: remembering({ a: entry('a', { content: undefined }) }),
        digests: digests(MD5),
      },
      true,
    ],
  ])('%s', (_what, scene, expected) => {
    expect(toAsk([file('a')], knownOf(scene), 'site/')).toEqual(expected ? scene.objects : []);
  });

  test.each<[string, Scene]>([
    [
      'remembered',
      { objects: [object('site/a')], manifest: remembering({ a: entry('a') }), digests: digests(undefined) },
    ],
    [
      'remembered, whatever is known of them',
      { objects: [object('site/a')], manifest: remembering({ a: entry('a') }), digests: digests(MD5) },
    ],
    ['of other content', { objects: [object('site/a', OTHER)], digests: digests(MD5) }],
    ['of parts that tell nothing', { objects: [object('site/a', `${MD5}-7`)], digests: digests(undefined) }],
    ['not there', { objects: [], digests: digests(MD5) }],
    ['not read', { objects: [object('site/a')] }],
    ['without an ETag', { objects: [object('site/a', '')], digests: digests(undefined) }],
  ])('not those that are %s', (_what, scene) => {
    expect(toAsk([file('a')], knownOf(scene), 'site/')).toEqual([]);
  });
});

describe('the objects below a prefix', () => {
  async function* listing(...keys: string[]) {
    for (const key of keys) yield [object(key)];
  }
  const index = (prefix: Prefix, ...keys: string[]) => indexObjects(listing(...keys), prefix);

  test("are all but the action's own and the prefix's folder marker", async () => {
    const own = ['site/.s3-deploy/manifest', 'site/.s3-deploy-probe/1'];
    const { objects, own: found } = await index('site/', 'site/', ...own, 'site/a', 'site/b/', 'site/.s3/x');
    expect([...objects.keys()]).toEqual(['site/a', 'site/b/', 'site/.s3/x']);
    expect(found.map(({ key }) => key)).toEqual(own);
  });

  test('may be called like our own further down', async () => {
    const { objects, own } = await index('site/', 'site/a/.s3-deploy/manifest');
    expect([...objects.keys()]).toEqual(['site/a/.s3-deploy/manifest']);
    expect(own).toEqual([]);
  });

  test('are for a shard those of its share, beside what is our own', async () => {
    const list = listing('site/.s3-deploy/manifest', 'site/a', 'site/b', 'site/c');
    const index = new ObjectIndex('site/', new Places(['site/b', 'site/d']), true);
    for await (const page of list) index.add(page);
    const { objects, own } = index;
    expect([[...objects.keys()], own.length]).toEqual([['site/b'], 1]);
  });

  test('of the whole bucket', async () => {
    const { objects } = await index('', 'a', '.s3-deploy/manifest', 'site/.s3-deploy/x');
    expect([...objects.keys()]).toEqual(['a', 'site/.s3-deploy/x']);
  });
});

describe('a removal', () => {
  const remove = (objects: RemoteObject[], options: Partial<PlanOptions> = {}) =>
    planRemoval(bucketOf(...objects), { ...OPTIONS, ...options });

  test('deletes all, in the order of UTF-8 bytes, and uploads nothing', () => {
    const planned = remove(['site/b', 'site/a', 'site/B'].map((key) => object(key)));
    expect(pathsOf(planned.deletions)).toEqual(['B', 'a', 'b']);
    expect(planned).toMatchObject({ phases: [], kept: [], unchanged: [], stale: [] });
  });

  test('keeps what is excluded, by its path below the prefix, and says so', () => {
    const planned = remove([object('site/a'), object('site/keep/b')], { deleteExclude: (path) => path === 'keep/b' });
    expect(pathsOf(planned.deletions)).toEqual(['a']);
    expect(planned.kept).toEqual([{ key: 'site/keep/b', why: 'excluded' }]);
  });

  test('is not what a percentage is about', () => {
    expect(remove(numbered(100), { maxDelete: { kind: 'percent', value: 1 } }).deletions).toHaveLength(100);
  });

  test('is refused above a number, and counts no excluded objects', () => {
    const maxDelete: DeleteLimit = { kind: 'count', value: 4 };
    expect(() => remove(numbered(5), { maxDelete })).toThrow(expect.objectContaining({ code: 'TOO_MANY_DELETIONS' }));
    expect(remove(numbered(4), { maxDelete }).deletions).toHaveLength(4);
    expect(remove(numbered(5), { maxDelete, deleteExclude: (path) => path === '3' }).deletions).toHaveLength(4);
  });

  test('of nothing is nothing', () => {
    expect(remove([], { maxDelete: { kind: 'count', value: 0 } }).deletions).toEqual([]);
  });
});

describe('the manifest after a deploy', () => {
  const stored = (path: string, etag = OTHER, content = CHANGED) => ({
    ...{ key: `site/${path}`, etag, content, reason: 'new' as const },
    headers: headersFor(path, OPTIONS),
  });
  const rememberedAfter = (
    planned: Plan,
    uploads: ReturnType<typeof stored>[] = [],
    before?: KnownManifest,
    options: Partial<PlanOptions> = {},
  ) => manifestAfter(planned, uploads, { manifest: before }, BY, { ...OPTIONS, ...options });
  const of = (manifest: Manifest, path: string) => manifest.entries.get(keyHash(`site/${path}`));

  test('remembers what was put, as ours', () => {
    const manifest = rememberedAfter(plan([file('a')]), [stored('a')]);
    expect([...manifest.entries]).toEqual([
      [keyHash('site/a'), entry('a', { etag: OTHER, content: CHANGED, owned: true })],
    ]);
    expect(manifest.by).toEqual(BY);
  });

  test('remembers with which storage options', () => {
    const storage = { acl: 'public-read' };
    const manifest = rememberedAfter(plan([file('a')], {}, { storage }), [stored('a')], undefined, { storage });
    expect(of(manifest, 'a')).toEqual(entry('a', { etag: OTHER, content: CHANGED }, storage));
  });

  test('does not remember an upload that failed, though it was planned', () => {
    expect(rememberedAfter(plan([file('a'), file('b')]), [stored('b')]).entries.size).toBe(1);
  });

  test.each([
    ['ours', true],
    ['adopted', false],
  ])('remembers what is unchanged as %s still', (_what, owned) => {
    const before = remembering({ a: entry('a', { owned }) });
    const scene = {
      objects: [object('site/a')],
      manifest: before,
      digests: { a: { content: CONTENT, etag: undefined } },
    };
    expect(of(rememberedAfter(plan([file('a')], scene), [], before), 'a')).toEqual(entry('a', { owned }));
  });

  test('remembers what was adopted as not ours', () => {
    const headers = new Map([['site/a', headersFor('a', OPTIONS)]]);
    const scene = { objects: [object('site/a')], digests: { a: { content: CONTENT, etag: MD5 } }, headers };
    expect(of(rememberedAfter(plan([file('a')], scene)), 'a')).toEqual(entry('a', { owned: false }));
  });

  test('does not remember an object whose headers nobody knows', () => {
    const headers = new Map([['site/a', undefined]]);
    const scene = { objects: [object('site/a')], digests: { a: { content: CONTENT, etag: MD5 } }, headers };
    expect(rememberedAfter(plan([file('a')], scene)).entries.size).toBe(0);
  });

  test('forgets what is gone', () => {
    expect(rememberedAfter(plan([]), [], remembering({ gone: entry('gone') })).entries.size).toBe(0);
  });

  test('takes what came back for what it is, and no longer for stale', () => {
    const before = remembering({ a: entry('a', { staleSince: NOW - 60 }) });
    const scene = {
      objects: [object('site/a')],
      manifest: before,
      digests: { a: { content: CONTENT, etag: undefined } },
    };
    const next = rememberedAfter(plan([file('a')], scene), [], before);
    expect(of(next, 'a')?.staleSince).toBeUndefined();
    expect(saysMore(next, before)).toBe(true);
  });

  describe.each<DeleteMode>(['off', 'all', 'owned'])('with delete %s', (mode) => {
    const options = { delete: mode, deleteGrace: 3600 };
    const staleAfter = (before: KnownManifest | undefined, objects = [object('site/x')]) =>
      of(rememberedAfter(plan([], { objects, manifest: before }, options), [], before, options), 'x');

    test.each([
      ['ours', true],
      ['adopted', false],
    ])('knows since when an object that was %s is stale', (_what, owned) => {
      expect(staleAfter(remembering({ x: entry('x', { owned }) }))).toEqual(entry('x', { owned, staleSince: NOW }));
      const early = entry('x', { owned, staleSince: NOW - 9 });
      expect(staleAfter(remembering({ x: early }))).toEqual(early);
    });

    test('knows of a stranger how long it has been waiting, where it is to be deleted', () => {
      const stranger = { etag: MD5, content: undefined, headers: undefined, owned: false, staleSince: NOW };
      expect(staleAfter(undefined)).toEqual(mode === 'all' ? stranger : undefined);
      const early = { ...stranger, staleSince: NOW - 9 };
      expect(staleAfter(remembering({ x: early }))).toEqual(early);
    });

    test('knows nothing of ours any more when somebody has overwritten it', () => {
      const overwritten = staleAfter(remembering({ x: entry('x') }), [object('site/x', OTHER)]);
      expect(overwritten?.owned ?? false).toBe(false);
      expect(overwritten?.content).toBeUndefined();
    });
  });

  test('is to be written where something is put or was looked at, and not after nothing', () => {
    const remembered = {
      objects: [object('site/a')],
      manifest: remembering({ a: entry('a') }),
      digests: { a: { content: CONTENT, etag: undefined } },
    };
    const headers = new Map([['site/a', headersFor('a', OPTIONS)]]);
    const adopted = { objects: [object('site/a')], digests: { a: { content: CONTENT, etag: MD5 } }, headers };
    expect(plan([file('a')], remembered).verified).toBe(false);
    expect(plan([file('a')], adopted).verified).toBe(true);
    // What it says is the same; that it is newer than the object is what makes the object known.
    expect(plan([file('a')], { ...remembered, objects: [] }).verified).toBe(true);
  });
});

describe('what shards have noted', () => {
  const digests = { a: { content: CONTENT, etag: undefined } };
  const there = (etag = 'opaque', lastModified = WRITTEN) => [object('site/a', etag, 1, lastModified)];
  const note = (more: Partial<Entry> = {}, lastModified = WRITTEN) =>
    remembering({ a: entry('a', { etag: 'opaque', ...more }) }, lastModified);
  const OTHER_HEADERS = { headers: 'otherheaders' };

  test.each<[string, Scene, string | undefined]>([
    ['counts without a manifest', { objects: there(), notes: [note()] }, undefined],
    ['counts before the manifest', { objects: there(), notes: [note()], manifest: note(OTHER_HEADERS) }, undefined],
    ['counts before what was noted earlier', { objects: there(), notes: [note(), note(OTHER_HEADERS)] }, undefined],
    ['tells of other headers', { objects: there(), notes: [note(OTHER_HEADERS)], manifest: note() }, 'headers'],
    [
      'is of another object: the manifest counts',
      { objects: there(), notes: [note({ etag: 'x' })], manifest: note() },
      undefined,
    ],
    ['is of another object, and so is the manifest', { objects: there(), notes: [note({ etag: 'x' })] }, 'unverified'],
    ['is older than its object', { objects: there('opaque', WRITTEN + 1), notes: [note()] }, 'unverified'],
    [
      'is older than its object, the next is not',
      { objects: there('opaque', WRITTEN + 1), notes: [note(OTHER_HEADERS), note({}, WRITTEN + 1)] },
      undefined,
    ],
  ])('%s', (_what, scene, expected) => {
    expect(fate(plan([file('a')], { digests, ...scene }))).toBe(expected);
  });

  test('makes an object ours to delete, and stale from when the source has lost it', () => {
    const scene = { objects: there(), notes: [note()] };
    expect(pathsOf(plan([], scene, { delete: 'owned' }).deletions)).toEqual(['a']);
    expect(plan([], scene, { delete: 'owned', deleteGrace: 10 }).stale).toMatchObject([{ since: NOW }]);
  });

  test('is what a CDN is to hear of, but for what the manifest says of the very object', () => {
    const scene = { objects: there(), notes: [note()], digests };
    const { adopted } = plan([file('a')], scene);
    expect(adopted).toEqual(['site/a']);
    expect(plan([file('a')], { ...scene, manifest: note(OTHER_HEADERS) }).adopted).toEqual(['site/a']);
    expect(plan([file('a')], { ...scene, manifest: note({}, WRITTEN - 1) }).adopted).toEqual(['site/a']);
    expect(plan([file('a')], { ...scene, manifest: note() }).adopted).toEqual([]);
    expect(plan([file('a')], { ...scene, manifest: note(), notes: [] }).adopted).toEqual([]);
  });

  const noted = (planned: Plan, before: Memory, uploads: ReturnType<typeof stored>[] = []) =>
    noteAfter(planned, uploads, before, BY, { ...OPTIONS, delete: 'off' });
  const stored = (path: string, etag = 'opaque') => ({
    ...{ key: `site/${path}`, etag, content: CONTENT, reason: 'new' as const },
    headers: headersFor(path, OPTIONS),
  });
  const namesIn = (next: Manifest | undefined) => next && [...next.entries].map(([name]) => name);

  test('is what was put, also where the manifest says the same of an older object', () => {
    const planned = plan([file('a')]);
    expect(namesIn(noted(planned, { manifest: undefined }, [stored('a')]))).toEqual([keyHash('site/a')]);
    expect(namesIn(noted(planned, { manifest: note() }, [stored('a')]))).toEqual([keyHash('site/a')]);
  });

  test('is not what the manifest says', () => {
    const scene = { objects: there(), manifest: note(), digests };
    expect(noted(plan([file('a')], scene), scene)).toBeUndefined();
  });

  test('is kept, but not written again, when the shard runs again', () => {
    const scene = { objects: [...there(), object('site/b')], notes: [note()], digests };
    expect(noted(plan([file('a')], scene), { manifest: undefined, notes: scene.notes })).toBeUndefined();
    const more = noted(plan([file('a'), file('c')], scene), { manifest: undefined, notes: scene.notes }, [stored('c')]);
    expect(namesIn(more)?.sort()).toEqual([keyHash('site/a'), keyHash('site/c')].sort());
  });

  test('keeps what the manifest says of an older object alike', () => {
    const scene = { objects: there('opaque', WRITTEN + 1), manifest: note(), notes: [note({}, WRITTEN + 1)], digests };
    const more = noted(plan([file('a'), file('c')], scene), scene, [stored('c')]);
    expect(namesIn(more)).toContain(keyHash('site/a'));
  });

  test('holds nothing that failed', () => {
    expect(noted(plan([file('a')]), { manifest: undefined })).toBeUndefined();
  });
});
