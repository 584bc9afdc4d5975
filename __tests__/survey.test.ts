import { createHash } from 'node:crypto';
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { OpenBucket } from '../src/bucket.ts';
import type { Entry } from '../src/core/entries.ts';
import { sourceFilter } from '../src/core/globs.ts';
import { contentFingerprint, encodeManifest, keyHash } from '../src/core/manifest.ts';
import type { RemoteObject } from '../src/core/model.ts';
import type { Inputs } from '../src/inputs.ts';
import { ManifestFile } from '../src/manifest-file.ts';
import { ReadAhead } from '../src/read-ahead.ts';
import { type Source, scanSource } from '../src/site/scan.ts';
import { survey } from '../src/survey.ts';

const KEY = '.s3-deploy/manifest';
const BY = { startedAt: 2, run: '2-1' };
const md5 = (text: string) => createHash('md5').update(text).digest('hex');
const sha256 = (text: string) => createHash('sha256').update(text).digest();

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'site-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function sourceOf(files: Record<string, string>): Source {
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return scanSource(folder, sourceFilter([], []), '');
}

const object = (key: string, content: string, etag = md5(content)): RemoteObject => ({
  key,
  size: content.length,
  etag,
  lastModified: 1,
});

/** A bucket whose pages come when and as the test says, and whose manifest is what it says. */
function look(
  source: Source,
  pages: () => AsyncIterable<readonly RemoteObject[]>,
  manifest: () => Buffer | undefined = () => undefined,
  overwrite = true,
  ahead?: ReadAhead,
) {
  const asked: string[] = [];
  const store = {
    list: () => {
      asked.push('list');
      return pages();
    },
    get: async (key: string) => {
      asked.push(key);
      const body = manifest();
      return body === undefined ? undefined : { body, etag: md5(body.toString('latin1')) };
    },
  };
  const sizes = { threshold: 5 * 1024 ** 2, part: 5 * 1024 ** 2, mostParts: 10_000 };
  const bucket = { store, mayList: true, mayRead: true, sizes, concurrency: 4, ahead } as unknown as OpenBucket;
  const inputs = {
    destination: { bucket: 'site', prefix: '' },
    sourceDir: folder,
    overwrite,
  } as unknown as Inputs;
  const found = survey(inputs, source, bucket, new ManifestFile(bucket.store, ''), BY);
  found.catch(() => undefined);
  return { found, asked };
}

const manifestOf = (entries: Record<string, string>) =>
  encodeManifest({
    by: { startedAt: 1, run: '1-1' },
    entries: new Map(
      Object.entries(entries).map(([key, etag]): [string, Entry] => [
        keyHash(key),
        {
          etag,
          content: contentFingerprint([sha256('other')]),
          headers: undefined,
          owned: true,
          staleSince: undefined,
        },
      ]),
    ),
  });
const ownObject = (body: Buffer): RemoteObject => ({
  key: KEY,
  size: body.length,
  etag: md5(body.toString('latin1')),
  lastModified: 2,
});

/** Pages as they come: each a moment after the one before it. */
async function* paged(...pages: RemoteObject[][]) {
  for (const page of pages) {
    await wait(5);
    yield page;
  }
}

describe('what is compared while a listing goes on', () => {
  const files = { a: 'same', b: 'mine', c: 'as long', d: 'new', e: 'remembered', f: 'other' };
  const objects = [
    object('a', 'same'),
    object('b', 'they'),
    object('c', 'no'),
    object('e', 'remembered', 'k'),
    object('f', 'other', 'k'),
    object('z', 'x'),
  ];
  const manifest = manifestOf({ e: 'k', f: 'k' });
  const own = ownObject(manifest);

  test.each([
    ['on the first page', [[own, ...objects]]],
    ['first of many', [[own], ...objects.map((one) => [one])]],
    ['last of many', [...objects.map((one) => [one]), [own]]],
    ['between', [objects.slice(0, 2), [own], objects.slice(2)]],
    [
      'twice, as every object in a listing that is made again',
      [
        [own, ...objects],
        [own, ...objects],
      ],
    ],
  ])('is the same with the manifest %s', async (_where, pages) => {
    const { found, asked } = look(
      sourceOf(files),
      () => paged(...pages),
      () => manifest,
    );
    const { digests, objects: there, manifest: known } = await found;
    expect([...there.keys()].sort()).toEqual(['a', 'b', 'c', 'e', 'f', 'z']);
    expect(known?.entries.size).toBe(2);
    expect(Object.fromEntries(digests.map((digest, place) => ['abcdef'[place], digest]))).toEqual({
      a: { content: contentFingerprint([sha256('same')]), etag: md5('same') },
      b: { content: contentFingerprint([sha256('mine')]), etag: md5('mine') },
      e: { content: contentFingerprint([sha256('remembered')]), etag: undefined },
      f: { rememberedHeaders: undefined },
    });
    expect(asked).toEqual(['list', KEY]);
  });

  test('is nothing where nothing is overwritten', async () => {
    const { found, asked } = look(sourceOf(files), () => paged(objects), undefined, false);
    expect((await found).digests).toEqual(Object.keys(files).map(() => undefined));
    expect(asked).toEqual(['list']);
  });

  test.each([
    ['as it was first', 'k', { rememberedHeaders: undefined }],
    [
      'as somebody else has put it meanwhile',
      md5('else'),
      { content: contentFingerprint([sha256('other')]), etag: md5('other') },
    ],
    ['with an ETag that says nothing', 'W/"x"', undefined],
  ])('is of an object that is listed twice the last: %s', async (_how, etag, digest) => {
    const { found } = look(
      sourceOf({ f: 'other' }),
      () => paged([own, object('f', 'other', 'k')], [object('f', 'other', etag)]),
      () => manifest,
    );
    expect((await found).digests).toEqual([digest]);
  });

  test('is given up when the manifest is never the one that was listed', async () => {
    const { found, asked } = look(
      sourceOf(files),
      () => paged([own, ...objects]),
      () => manifestOf({ e: 'another' }),
    );
    await expect(found).rejects.toMatchObject({ code: 'STORE_MISBEHAVED', message: expect.stringContaining('ETag') });
    expect(asked).toEqual(Array.from({ length: 6 }, () => ['list', KEY]).flat());
  });

  test('is read while pages are on their way', async () => {
    const source = sourceOf(files);
    const last = Promise.withResolvers<void>();
    async function* pages() {
      yield [own, ...objects];
      await last.promise;
      yield [object('zz', 'x')];
    }
    const { found } = look(source, pages, () => manifest);
    await wait(100);
    // What was read before does not need the file any more.
    for (const name of Object.keys(files)) unlinkSync(join(folder, name));
    last.resolve();
    expect((await found).digests.filter(Boolean)).toHaveLength(4);
  });

  test('is looked at again when the manifest was written between the listing and its reading', async () => {
    const newer = manifestOf({ e: 'k', f: 'k', a: 'x' });
    let round = 0;
    const pages = () => paged([ownObject(round++ === 0 ? manifest : newer), ...objects]);
    const { found, asked } = look(sourceOf(files), pages, () => newer);
    expect((await found).manifest?.entries.size).toBe(3);
    expect(asked).toEqual(['list', KEY, 'list', KEY]);
  });

  test('has room for a bucket of 150,000 objects that no manifest remembers', async () => {
    const source = sourceOf({ a: 'same' });
    const [file] = source.files;
    if (file === undefined) throw new Error('nothing was scanned');
    // Many paths to one file: 375 folders that are one, and 400 names in it.
    mkdirSync(join(folder, '100'));
    const names = (count: number) => Array.from({ length: count }, (_, i) => `${100 + i}`);
    for (const name of names(375).slice(1)) symlinkSync(join(folder, '100'), join(folder, name));
    for (const name of names(400)) linkSync(join(folder, 'a'), join(folder, '100', name));
    const many = names(375).flatMap((one) => names(400).map((other) => ({ ...file, path: `${one}/${other}` })));
    const listed = many.map(({ path }) => object(path, 'same'));
    async function* pages() {
      for (let at = 0; at < listed.length; at += 1000) yield listed.slice(at, at + 1000);
    }
    const { digests } = await look({ ...source, files: many, keys: many.map(({ path }) => path) }, pages).found;
    expect(digests.filter(Boolean)).toHaveLength(150_000);
  }, 60_000);
});

describe('what is read ahead', () => {
  const files = { a: 'not remembered', e: 'remembered', f: 'other' };
  const objects = [object('a', 'not remembered'), object('e', 'remembered', 'k'), object('f', 'other', 'k')];
  const manifest = manifestOf({ e: 'k', f: 'k' });
  const own = ownObject(manifest);
  const remembered = [
    { content: contentFingerprint([sha256('remembered')]), etag: undefined },
    { rememberedHeaders: undefined },
  ];
  const remove = (...names: string[]) => {
    for (const name of names) unlinkSync(join(folder, name));
  };
  /** What a moment is enough to read ahead. */
  const readAhead = async (source: Source) => {
    const ahead = new ReadAhead(folder, source);
    ahead.begin(manifest);
    await wait(50);
    return ahead;
  };
  /** Reads when whoever compares has nothing else to do. */
  const inGapsOnly = (source: Source) => {
    const ahead = new ReadAhead(folder, source);
    ahead.stop();
    ahead.begin(manifest);
    return ahead;
  };
  const lookWith = (ahead: ReadAhead, source: Source, pages: () => AsyncIterable<readonly RemoteObject[]>) =>
    look(source, pages, () => manifest, true, ahead).found;

  test('while a bucket is opened is not read again', async () => {
    const source = sourceOf(files);
    const ahead = await readAhead(source);
    ahead.stop();
    remove('e', 'f');
    const { digests } = await lookWith(ahead, source, () => paged([own, ...objects]));
    expect(digests.slice(1)).toEqual(remembered);
  });

  test('while the page that has its object is on its way is not read again', async () => {
    const source = sourceOf(files);
    const ahead = inGapsOnly(source);
    async function* pages() {
      yield [own, object('b', 'x')];
      await wait(50);
      remove('e', 'f');
      yield objects;
    }
    const { digests } = await lookWith(ahead, source, pages);
    expect(digests.slice(1)).toEqual(remembered);
  });

  test('is nothing that was compared already', async () => {
    const source = sourceOf(files);
    const ahead = inGapsOnly(source);
    async function* pages() {
      yield [own, ...objects];
      await wait(50);
      yield [object('z', 'x')];
    }
    const { digests } = await lookWith(ahead, source, pages);
    expect(digests.slice(1)).toEqual(remembered);
    expect(ahead.isIdle).toBe(true);
    expect(source.keys.map((_, place) => ahead.take(place))).toEqual([undefined, undefined, undefined]);
  });

  test('is nothing that the manifest does not remember, and nothing at all without one', async () => {
    const source = sourceOf(files);
    const ahead = new ReadAhead(folder, source);
    ahead.begin(Buffer.from('no manifest'));
    expect(ahead.isIdle).toBe(true);
    ahead.begin(manifest);
    await wait(50);
    expect(source.keys.map((_, place) => ahead.take(place) !== undefined)).toEqual([false, true, true]);
    expect(source.keys.map((_, place) => ahead.take(place))).toEqual([undefined, undefined, undefined]);
  });

  test('may be missing: the failure is that of who needs it', async () => {
    const source = sourceOf(files);
    remove('f');
    const found = lookWith(await readAhead(source), source, () => paged([own, ...objects]));
    await expect(found).rejects.toMatchObject({ code: 'SOURCE_INVALID', message: expect.stringContaining('f ') });
  });

  test('counts for nothing where an object is not what is remembered', async () => {
    const source = sourceOf(files);
    const others = objects.map((one) => ({ ...one, etag: md5('else') }));
    const { digests } = await lookWith(await readAhead(source), source, () => paged([own, ...others]));
    expect(digests.map((digest) => digest && 'etag' in digest && digest.etag)).toEqual(Object.values(files).map(md5));
  });
});

describe('a survey ends', () => {
  const files = { a: 'same' };

  test('with a file that cannot be read, though the listing goes on', async () => {
    const source = sourceOf(files);
    unlinkSync(join(folder, 'a'));
    const manifest = manifestOf({});
    async function* pages() {
      yield [ownObject(manifest), object('a', 'same')];
      await wait(200);
      throw new Error('nobody hears this');
    }
    await expect(look(source, pages, () => manifest).found).rejects.toMatchObject({ code: 'SOURCE_INVALID' });
    await wait(250);
  });

  test('with a listing that breaks off, though files are being read', async () => {
    const manifest = manifestOf({});
    async function* pages() {
      yield [ownObject(manifest), object('a', 'same')];
      await wait(20);
      throw new Error('broken off');
    }
    await expect(look(sourceOf(files), pages, () => manifest).found).rejects.toThrow('broken off');
  });

  test('with a manifest of a deploy that began later, once all is listed', async () => {
    const later = encodeManifest({ by: { startedAt: 3, run: '3-1' }, entries: new Map() });
    const { found } = look(
      sourceOf(files),
      () => paged([ownObject(later)], [object('a', 'same')], []),
      () => later,
    );
    await expect(found).rejects.toMatchObject({ code: 'SUPERSEDED' });
  });
});
