import { describe, expect, test } from '@jest/globals';
import { globs, protectingGlobs, sourceFilter } from '../../src/core/globs.ts';

const verdict = (path: string, include: string[] = [], exclude: string[] = []) => sourceFilter(include, exclude)(path);

describe('secrets and version control files are left out', () => {
  test.each([
    '.git',
    '.git/config',
    'docs/.git/HEAD',
    '.env',
    '.env.production',
    'api/.env',
    '.ENV',
    '.env/secret',
    '.npmrc',
    'a/.NpmRc',
    '.aws/credentials',
    'home/.ssh/known_hosts',
    'server.pem',
    'certs/SERVER.PEM',
    'id_rsa',
    'keys/id_rsa.pub',
    '.DS_Store',
    'a/b/.ds_store',
    'line\nbreak/.env',
    '..hidden/.env',
    'a/.env\n',
  ])('%j', (path) => {
    expect(verdict(path)).toBe('left out');
    expect(verdict(path, ['**'])).toBe('left out');
    expect(verdict(path, ['**/*', '*'])).toBe('left out');
  });
});

describe('what only looks like one is taken', () => {
  test.each([
    '.well-known/apple-app-site-association',
    '.well-known/security.txt',
    '.gitignore',
    '.github/index.html',
    'git/index.html',
    'a.git/index.html',
    'env.html',
    'environment/.nojekyll',
    'aws/index.html',
    'pem',
    'a.pem.html',
    'my-id_rsa.html',
    '.htaccess',
    'npmrc',
  ])('%s', (path) => {
    expect(verdict(path)).toBe('taken');
  });
});

describe('an include that spells a name brings it back', () => {
  test.each([
    ['certs/*.pem', 'certs/a.pem', 'taken'],
    ['certs/*.PEM', 'certs/a.PEM', 'taken'],
    ['.env.example', '.env.example', 'taken'],
    ['**/.git/**', '.git/config', 'taken'],
    ['.aws/**', '.aws/credentials', 'taken'],
  ] as const)('%s: %s', (pattern, path, expected) => {
    expect(verdict(path, ['**', pattern])).toBe(expected);
  });

  test('and nothing else', () => {
    const filter = sourceFilter(['**', 'certs/*.pem'], []);
    expect(filter('other/a.pem')).toBe('left out');
    expect(filter('certs/.env')).toBe('left out');
    expect(filter('index.html')).toBe('taken');
  });

  test('unless exclude names it too', () => {
    expect(verdict('certs/a.pem', ['certs/*.pem'], ['certs/**'])).toBe('excluded');
  });
});

describe('include and exclude', () => {
  test.each([
    ['without either all is taken', 'a/b.html', [], [], 'taken'],
    ['what no include takes is excluded', 'b.txt', ['*.html'], [], 'excluded'],
    ['one of several includes is enough', 'b.txt', ['*.html', '*.txt'], [], 'taken'],
    ['a star stops at a slash', 'a/b.html', ['*.html'], [], 'excluded'],
    ['two stars do not', 'a/b/c.html', ['**/*.html'], [], 'taken'],
    ['two stars take the top as well', 'c.html', ['**/*.html'], [], 'taken'],
    ['exclude wins', 'a.map', ['**'], ['**/*.map'], 'excluded'],
    ['a star takes dotfiles', '.htaccess', ['*'], [], 'taken'],
    ['a folder that begins with a dot is below two stars', '.well-known/x', ['**'], [], 'taken'],
    ['a name with a line break is below two stars', 'a\nb/c.map', [], ['**/*.map'], 'excluded'],
    ['a line break is any character', 'a\nb', [], ['a?b'], 'excluded'],
    ['case counts', 'A.HTML', [], ['*.html'], 'taken'],
    ['braces', 'b.png', [], ['*.{jpg,png}'], 'excluded'],
    ['a class', 'a1', [], ['a[0-9]'], 'excluded'],
    ['an escaped star is a star', 'a*b', [], ['a\\*b'], 'excluded'],
    ['an escaped star is nothing else', 'axb', [], ['a\\*b'], 'taken'],
    ['a name of special characters', 'a[1](2).html', [], ['**/*.map'], 'taken'],
    ['a bare name is no folder', 'drafts/a.html', [], ['drafts'], 'taken'],
  ] as const)('%s', (_what, path, include, exclude, expected) => {
    expect(verdict(path, [...include], [...exclude])).toBe(expected);
  });
});

describe('a glob is refused that', () => {
  test.each([
    ['negates', '!a', 'the other one'],
    ['begins with a slash', '/a', 'slash or a dot segment'],
    ['begins with a dot segment', './a', 'slash or a dot segment'],
    ['goes up', 'a/../b', "'..'"],
    ['can only match a folder', 'drafts/', "write 'drafts/**'"],
    ['is endless', 'a'.repeat(1001), '1,000 characters'],
  ])('%s', (_what, pattern, why) => {
    for (const [input, filter] of [
      ['include', () => sourceFilter([pattern], [])],
      ['exclude', () => sourceFilter([], [pattern])],
    ] as const) {
      expect(filter).toThrow(expect.objectContaining({ code: 'INPUT_INVALID' }));
      expect(filter).toThrow(why);
      expect(filter).toThrow(new RegExp(`^${input}: `));
    }
  });
});

describe('the globs of another input', () => {
  test.each([
    ['none match nothing', [], 'a', false],
    ['one of several is enough', ['a/**', '*.css'], 'b.css', true],
    ['secrets are matched like the rest', ['**'], '.env', true],
    ['a folder is not what is in it', ['uploads'], 'uploads/a.jpg', false],
    ['all of a folder', ['uploads/**'], 'uploads/a/b.jpg', true],
    ['a folder that only begins so', ['uploads/**'], 'uploads2/a.jpg', false],
    ['a line break', ['**/*.map'], 'a\nb.map', true],
    ['case', ['*.JPG'], 'a.jpg', false],
  ])('%s', (_what, patterns, path, expected) => {
    expect(globs('delete-exclude', patterns)(path)).toBe(expected);
  });

  test('are refused under its name', () => {
    expect(() => globs('delete-exclude', ['uploads/'])).toThrow(
      "delete-exclude: the glob 'uploads/' matches no file: for a folder write 'uploads/**'.",
    );
  });
});

describe('the globs of what is never deleted', () => {
  test.each([
    ['uploads', 'uploads', true],
    ['uploads', 'uploads/a/b.jpg', true],
    ['uploads', 'uploads2/a.jpg', false],
    ['media/user uploads', 'media/user uploads/a.jpg', true],
    ['*/uploads', 'de/uploads/a.jpg', true],
    ['robots.txt', 'robots.txt', true],
    ['*', 'a', true],
    ['*', 'a/b', false],
    ['*.jpg', 'a.jpg/b', false],
    ['uploads/*', 'uploads/a/b', false],
    ['{a,b}', 'a/c', false],
  ])('%s and %s: %s', (pattern, path, expected) => {
    expect(protectingGlobs('delete-exclude', [pattern])(path)).toBe(expected);
  });

  test('are refused under its name', () => {
    expect(() => protectingGlobs('delete-exclude', ['/a'])).toThrow(/^delete-exclude: /);
  });
});

test('a pattern is printed harmlessly', () => {
  expect(() => sourceFilter(['/##[stop-commands]x\x1b'], [])).toThrow('##\\[stop-commands]x\\x1b');
});

test('two dots inside a name are no way up', () => {
  expect(verdict('a..b', ['a..b'])).toBe('taken');
});
