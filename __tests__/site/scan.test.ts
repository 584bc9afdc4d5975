import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { sourceFilter } from '../../src/core/globs.ts';
import { compareKeys } from '../../src/core/key.ts';
import { scanSource, sourceExists } from '../../src/site/scan.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'site-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(path: string | Buffer, content = 'x'): void {
  const location = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(path)]);
  mkdirSync(location.subarray(0, location.lastIndexOf('/')), { recursive: true });
  writeFileSync(location, content);
}

const scan = (include: string[] = [], exclude: string[] = []) =>
  scanSource(folder, sourceFilter(include, exclude), 'docs/');
const paths = (include: string[] = [], exclude: string[] = []) =>
  scan(include, exclude)
    .files.map(({ path }) => path)
    .sort();

/** The folder holds what is not valid UTF-8, so it is named as bytes. */
const bytes = (...parts: (string | number[])[]) => Buffer.concat(parts.map((part) => Buffer.from(part as string)));

describe('a source holds', () => {
  test('every file below it, with its size', () => {
    write('index.html', 'hello');
    write('empty.txt', '');
    write('a/b/c/deep.css');
    expect(
      scan()
        .files.map(({ path, size }) => [path, size])
        .sort(),
    ).toEqual([
      ['a/b/c/deep.css', 1],
      ['empty.txt', 0],
      ['index.html', 5],
    ]);
  });

  test('no empty folders', () => {
    mkdirSync(join(folder, 'empty/er'), { recursive: true });
    expect(scan()).toEqual({ files: [], keys: [], links: 0, excluded: 0, leftOut: 0, bundled: new Set() });
  });

  test('.well-known and dotfiles, but no secrets', () => {
    const site = ['.well-known/apple-app-site-association', '.well-known/security.txt', '.htaccess', '.nojekyll'];
    for (const path of [...site, '.git/config', '.env', 'a/.env.local', 'key.pem', '.DS_Store']) write(path);
    expect(paths()).toEqual([...site].sort());
    expect(scan().leftOut).toBe(5);
  });

  test('what include and exclude take', () => {
    for (const path of ['a.html', 'a.map', 'b/c.map', '.env.example']) write(path);
    expect(paths([], ['**/*.map'])).toEqual(['a.html']);
    expect(scan([], ['**/*.map'])).toMatchObject({ excluded: 2, leftOut: 1 });
    expect(paths(['*.html', '.env.example'])).toEqual(['.env.example', 'a.html']);
  });

  test("nothing of the action's own", () => {
    for (const path of ['.s3-deploy/manifest', '.s3-deploy-probe/1', 'a/.s3-deploy/x']) write(path);
    expect(paths()).toEqual(['a/.s3-deploy/x']);
    expect(scan().leftOut).toBe(2);
  });

  test.each([
    'blank name.html',
    'données/日本語/файл.html',
    '😀.png',
    '%2e%2e.html',
    'a\\b.html',
    'line\nbreak.html',
    '##[stop-commands]x',
    '::add-mask::x',
    '\x1b[2J.html',
    '\u202egnp.html',
    '\ufeffindex.html',
    '<img src=x>.html',
    '...',
    '..hidden/x',
    '-rf',
    'cafe\u0301.html',
    '*',
  ])('a file called %j under that very name', (name) => {
    write(name);
    expect(paths()).toEqual([name]);
  });
});

describe('files come in the order of their keys', () => {
  const listed = () => scan(['**'], ['**/*.raw']).files.map(({ path }) => `docs/${path}`);

  test('whatever sorts next to a slash', () => {
    for (const path of ['a/b', 'a.b', 'a-b', 'a b', 'a!b', 'a0', 'aé', 'A/b', 'a/b.c/d', 'a/b-c', 'é/a', 'é.a'])
      write(path);
    expect(listed()).toEqual(listed().toSorted(compareKeys));
    expect(listed().indexOf('docs/a.b')).toBeLessThan(listed().indexOf('docs/a/b'));
  });

  test('whatever they are called', () => {
    const letter = fc.constantFrom(
      ...'ab-./ !0~Z\u007f\u0080é\u07ff\u0800\ud7ff\ue000\uff61\ufffd',
      '\u{1f600}',
      '\u{10ffff}',
      '\x01',
    );
    const name = fc
      .string({ unit: letter, minLength: 1, maxLength: 6 })
      .filter((one) => one.split('/').every((part) => part !== '' && part !== '.' && part !== '..'));
    fc.assert(
      fc.property(fc.array(name, { maxLength: 25 }), (names) => {
        const paths = names.filter((one) => !names.some((other) => other.startsWith(`${one}/`)));
        for (const path of paths) write(path);
        try {
          expect(listed()).toEqual([...new Set(paths)].map((path) => `docs/${path}`).toSorted(compareKeys));
        } finally {
          for (const path of paths) rmSync(join(folder, path.split('/')[0] ?? ''), { recursive: true, force: true });
        }
      }),
      { numRuns: 150 },
    );
  });

  test('though what is not UTF-8 and not taken lies between them', () => {
    for (const path of ['a', 'é', '\uff61', '\u{1f600}']) write(path);
    for (const byte of [0x80, 0xc3, 0xe9, 0xff]) write(bytes([byte], '.raw'));
    expect(listed()).toEqual(['docs/a', 'docs/é', 'docs/\uff61', 'docs/\u{1f600}']);
    expect(scan(['**'], ['**/*.raw']).excluded).toBe(4);
  });
});

describe('symbolic links are never followed', () => {
  test('neither to files nor to folders, within or without, nor round and round', () => {
    write('real/index.html');
    symlinkSync('/etc/passwd', join(folder, 'passwd'));
    symlinkSync('/etc', join(folder, 'etc'));
    symlinkSync('real', join(folder, 'alias'));
    symlinkSync('..', join(folder, 'real/loop'));
    symlinkSync('nowhere', join(folder, 'broken'));
    symlinkSync('index.html', join(folder, 'real/again.html'));
    expect(paths()).toEqual(['real/index.html']);
    expect(scan().links).toBe(6);
  });

  test('but the source itself may be one', () => {
    write('real/index.html');
    symlinkSync('real', join(folder, 'dist'));
    expect(scanSource(join(folder, 'dist'), sourceFilter([], []), '').files.map(({ path }) => path)).toEqual([
      'index.html',
    ]);
  });
});

describe('a source is refused for', () => {
  const refusal = (message: RegExp | string) => ({
    code: 'SOURCE_INVALID',
    message: typeof message === 'string' ? message : expect.stringMatching(message),
  });

  test('a pipe', () => {
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    expect(scan).toThrow(expect.objectContaining(refusal('pipe is a socket, pipe or device, not a file.')));
  });

  test('a socket', async () => {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(join(folder, 'a.sock'), listening));
    try {
      expect(scan).toThrow(expect.objectContaining(refusal('a.sock is a socket, pipe or device, not a file.')));
      expect(paths([], ['*.sock'])).toEqual([]);
    } finally {
      await new Promise((closed) => server.close(closed));
    }
  });

  test.each([
    ['Latin-1', [0x63, 0x61, 0x66, 0xe9]],
    ['half a character', [0x61, 0xe2, 0x82]],
    ['a surrogate in UTF-8', [0x61, 0xed, 0xa0, 0x80]],
    ['an overlong slash', [0x61, 0xc0, 0xaf]],
  ])('a name in %s', (_what, name) => {
    write(bytes(name, '.html'));
    expect(scan).toThrow(expect.objectContaining(refusal(/is not UTF-8/)));
  });

  test('a folder whose name is not UTF-8, without mangling it', () => {
    write(bytes('ok/caf', [0xe9], '/index.html'));
    expect(scan).toThrow('The name of ok/café/index.html is not UTF-8.');
  });

  test('a key that is too long, in bytes and with its prefix', () => {
    const parts = ['ü'.repeat(120), 'ü'.repeat(120), 'ü'.repeat(120), 'ü'.repeat(120)];
    write([...parts, 'x'.repeat(55)].join('/'));
    expect(scan().files).toHaveLength(1);
    write([...parts, 'x'.repeat(56)].join('/'));
    expect(scan).toThrow(expect.objectContaining(refusal(/its key has 1025 bytes, S3 takes 1024/)));
    expect(scan([], ['**']).files).toEqual([]);
  });

  test('a file that is not there', () => {
    expect(() => scanSource(join(folder, 'dist'), sourceFilter([], []), '')).toThrow(
      expect.objectContaining(refusal(/^source-dir: .*\/dist does not exist\.$/)),
    );
  });

  test('a file where the folder should be', () => {
    write('dist');
    expect(() => scanSource(join(folder, 'dist'), sourceFilter([], []), '')).toThrow(
      expect.objectContaining(refusal(/is not a folder/)),
    );
  });

  test('a name that it prints harmlessly', () => {
    const hostile = bytes('##[stop-commands]x\x1b', [0xe9]);
    write(hostile);
    expect(scan).toThrow('##\\[stop-commands]x\\x1bé is not UTF-8');
  });
});

/** Permissions bind everyone but root. */
const unprivileged = process.getuid?.() === 0 ? test.skip : test;

unprivileged('a file that may not be read is refused by name, before anything is written', () => {
  write('secret.html');
  chmodSync(join(folder, 'secret.html'), 0);
  expect(() => readFileSync(join(folder, 'secret.html'))).toThrow('EACCES');
  expect(scan).toThrow(
    expect.objectContaining({ code: 'SOURCE_INVALID', message: expect.stringContaining('secret.html') }),
  );
  expect(paths([], ['secret.html'])).toEqual([]);
});

unprivileged('a folder that may not be read is refused by name', () => {
  write('a/b.html');
  chmodSync(join(folder, 'a'), 0);
  try {
    expect(scan).toThrow(expect.objectContaining({ code: 'SOURCE_INVALID', message: expect.stringContaining('/a') }));
  } finally {
    chmodSync(join(folder, 'a'), 0o700);
  }
});

test('whether a source exists is asked without reading it', () => {
  expect(sourceExists(folder)).toBe(true);
  expect(sourceExists(join(folder, 'nothing'))).toBe(false);
});
