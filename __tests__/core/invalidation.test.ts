import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  everythingBelow,
  invalidationPaths,
  parseInvalidationPaths,
  pathsOfDeletions,
  pathsOfUploads,
} from '../../src/core/invalidation.ts';
import type { Prefix } from '../../src/core/key.ts';
import type { Plan } from '../../src/core/model.ts';

const many = (count: number, name: (index: number) => string) => Array.from({ length: count }, (_, i) => name(i));

describe('the paths that cover what changed', () => {
  test.each<[string, Prefix, string[], string[], string[]]>([
    ['nothing', '', [], ['a.css'], []],
    ['a file', '', ['a.css'], ['b.css'], ['/a.css']],
    ['a file, alone in the bucket', '', ['a.css'], [], ['/a.css']],
    ['a file in a folder', '', ['css/a.css'], ['css/b.css'], ['/css/a.css']],
    ['a page and its folder', '', ['docs/index.html'], ['docs/a.css'], ['/docs/index.html', '/docs/']],
    ['the entry page and the root', '', ['index.html'], ['a.css'], ['/index.html', '/']],
    ['a page that has its folder to itself', '', ['docs/index.html'], ['a.css'], ['/docs/*']],
    [
      'a page by another name',
      '',
      ['docs/my-index.html', 'docs/index.htm'],
      ['docs/a'],
      ['/docs/index.htm', '/docs/my-index.html'],
    ],
    ['the whole bucket', '', ['index.html', 'a.css'], [], ['/*']],
    ['the whole prefix', 'docs/', ['docs/index.html', 'docs/a/b.css'], [], ['/docs/*']],
    ['a page below a prefix', 'docs/', ['docs/index.html'], ['docs/a.css'], ['/docs/index.html', '/docs/']],
    ['a whole folder', '', ['a/1', 'a/2', 'a/b/3', 'c'], ['d'], ['/a/*', '/c']],
    ['the inner of two folders', '', ['a/b/1', 'a/b/2'], ['a/3'], ['/a/b/*']],
    [
      'a folder, but for one deep in it',
      '',
      ['a/1', 'a/2', 'a/b/3', 'a/c/4', 'a/c/5'],
      ['a/b/6'],
      ['/a/1', '/a/2', '/a/b/3', '/a/c/*'],
    ],
    ['folders that begin alike', '', ['a/1', 'a/2', 'ab/1'], ['ab/2'], ['/a/*', '/ab/1']],
    ['a marker of a folder', '', ['a/'], ['a/1'], ['/a/']],
    ['fifteen files', '', many(15, (i) => `${10 + i}.css`), ['x'], many(15, (i) => `/${10 + i}.css`)],
    ['sixteen files', '', many(16, (i) => `${10 + i}.css`), ['x'], ['/*']],
    ['five folders', '', many(10, (i) => `${i % 5}/${i}`), ['x'], many(5, (i) => `/${i}/*`)],
    ['six folders', '', many(12, (i) => `${i % 6}/${i}`), ['x'], ['/*']],
    ['sixteen files below a prefix', 'docs/', many(16, (i) => `docs/${i}.css`), ['docs/x'], ['/docs/*']],
    ['eight pages are sixteen paths', '', many(8, (i) => `${i}/index.html`), many(8, (i) => `${i}/x`), ['/*']],
    ['sixteen files that have folders to themselves', '', many(32, (i) => `${i % 2}/${i}`), ['x'], ['/0/*', '/1/*']],
  ])('%s', (_, prefix, changed, living, paths) => {
    expect(invalidationPaths(changed, living, prefix)).toEqual(paths);
  });

  test.each<[string, string, string]>([
    ['a blank', 'a b.html', '/a%20b.html'],
    ['a tilde', '~me/a', '/%7Eme/a'],
    ['what is not ASCII', 'über/東京.html', '/%C3%BCber/%E6%9D%B1%E4%BA%AC.html'],
    ['what is beyond the basic plane', '🌊.png', '/%F0%9F%8C%8A.png'],
    ['what a URL takes as it is', "a!$&'()+,;=:@-_.html", "/a!$&'()+,;=:@-_.html"],
    ['what RFC 1738 calls unsafe', 'a"#%<>[\\]^`{|}', '/a%22%23%25%3C%3E%5B%5C%5D%5E%60%7B%7C%7D'],
    ['what would begin a query', 'what?.html', '/what%3F.html'],
    ['an escape that is a name', 'a%20b', '/a%2520b'],
    ['control characters', 'a\nb\u007f', '/a%0Ab%7F'],
    ['an asterisk, which CloudFront takes at the end alone', 'a*b.html', '/a*'],
    ['an asterisk behind what is encoded', 'ä/b*', '/%C3%A4/b*'],
    ['half a character', 'a\ud83d', '/a%EF%BF%BD'],
  ])('encodes %s', (_, key, path) => {
    expect(invalidationPaths([key], ['index.html', 'über/x', 'ä/x', '~me/b'], '')).toEqual([path]);
  });

  test('a prefix with an asterisk is one path all the same', () => {
    expect(everythingBelow('a*b/')).toBe('/a*');
    expect(invalidationPaths(['a*b/c'], ['a*b/d'], 'a*b/')).toEqual(['/a*']);
  });

  const name = fc.constantFrom('a', 'b', 'index.html', 'ä', '~', 'c d', 'x*y');
  const key = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
  const covered = (paths: readonly string[], path: string) =>
    paths.some((one) => (one.endsWith('*') ? path.startsWith(one.slice(0, -1)) : one === path));
  const encoded = (text: string) => `/${encodeURI(text).replaceAll('~', '%7E')}`;

  test('whatever the keys: covers all that changed with at most fifteen, and but for asterisks nothing else', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(key, { maxLength: 40 }),
        fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
        (keys, flags) => {
          const changed = keys.filter((_, i) => flags[i]);
          const living = keys.filter((_, i) => !flags[i]);
          const paths = invalidationPaths(changed, living, '');
          expect(paths.length).toBeLessThanOrEqual(15);
          expect(new Set(paths).size).toBe(paths.length);
          for (const one of changed) {
            expect(covered(paths, encoded(one))).toBe(true);
            if (/(^|\/)index\.html$/.test(one)) expect(covered(paths, encoded(one.slice(0, -10)))).toBe(true);
          }
          const exact = paths[0] !== '/*' || living.length === 0;
          // A folder that an unchanged page answers at is that page's.
          if (exact && !changed.some((one) => one.includes('*')))
            for (const one of living) expect(covered(paths, encoded(one))).toBe(false);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('the two invalidations of a deploy', () => {
  const plan = {
    phases: [{ name: 'assets', uploads: [{ key: 'new.css' }] }],
    unchanged: [{ key: 'same.css' }, { key: 'found.css' }],
    adopted: ['found.css'],
    kept: [{ key: 'kept.css', why: 'grace' }],
    deletions: [{ key: 'old.css' }],
  } as unknown as Plan;
  const destination = { prefix: '' } as const;
  const options = { destination, invalidationPaths: undefined };

  test('what was put, and what a deploy that was cut off may have put; then what is gone', () => {
    expect(pathsOfUploads(plan, ['new.css'], false, options)).toEqual(['/found.css', '/new.css']);
    expect(pathsOfDeletions(plan, ['old.css'], options)).toEqual(['/old.css']);
  });

  test('nothing, when nothing changed', () => {
    const idle = { ...plan, adopted: [] };
    expect(pathsOfUploads(idle, [], false, options)).toEqual([]);
    expect(pathsOfDeletions(idle, [], options)).toEqual([]);
    const given = { ...options, invalidationPaths: ['/x'] };
    expect(pathsOfUploads(idle, [], false, given)).toEqual([]);
    expect(pathsOfDeletions(idle, [], given)).toEqual([]);
  });

  test('everything, when an earlier one was missed', () => {
    expect(pathsOfUploads({ ...plan, adopted: [] }, [], true, options)).toEqual(['/*']);
    expect(pathsOfUploads(plan, [], true, { ...options, destination: { prefix: 'docs/' } })).toEqual(['/docs/*']);
  });

  test('those that are given, whatever changed', () => {
    const given = { ...options, invalidationPaths: ['/x', '/y*'] };
    expect(pathsOfUploads(plan, ['new.css'], false, given)).toEqual(['/x', '/y*']);
    expect(pathsOfUploads(plan, [], true, given)).toEqual(['/x', '/y*']);
    expect(pathsOfDeletions(plan, ['old.css'], given)).toEqual(['/x', '/y*']);
  });
});

describe('invalidation-paths', () => {
  test.each<[string, string[], string[] | undefined]>([
    ['none', [], undefined],
    ['one, and a wildcard', ['/', '/docs/*'], ['/', '/docs/*']],
    ['the same twice', ['/a', '/a'], ['/a']],
    ['what a URL cannot hold', ['/a b/~ü'], ['/a%20b/%7E%C3%BC']],
    ['escapes', ['/a%20b/%C3%BC'], ['/a%20b/%C3%BC']],
    ['a percent sign that is none', ['/100%', '/%zz'], ['/100%25', '/%25zz']],
    ['a query', ['/a?b=c', '/a?*'], ['/a?b=c', '/a?*']],
  ])('takes %s', (_, lines, paths) => {
    expect(parseInvalidationPaths(lines)).toEqual(paths);
  });

  test.each<[string, string[], string]>([
    ['no slash', ['docs/*'], 'does not begin with a slash'],
    ['no path at all', ['*'], 'does not begin with a slash'],
    ['two on a line', ['/a /b'], 'is more than one path'],
    ['two with a comma', ['/a,/b'], 'is more than one path'],
    ['an asterisk in the middle', ['/*/a'], 'has a * in its middle'],
    ['two asterisks', ['/**'], 'has a * in its middle'],
    ['sixteen wildcards', many(16, (i) => `/${i}*`), 'has 16 paths with *'],
    ['3001 paths', many(3001, (i) => `/${i}`), 'has 3001 paths'],
    ['one that is too long', [`/${'a'.repeat(4000)}`], 'more than 4000 characters'],
  ])('refuses %s', (_, lines, problem) => {
    expect(() => parseInvalidationPaths(lines)).toThrow(
      expect.objectContaining({ code: 'INPUT_INVALID', message: expect.stringContaining(problem) }),
    );
  });

  test('shows nothing of a path that could be a command', () => {
    expect(() => parseInvalidationPaths(['::set-output::\u202e'])).toThrow(
      expect.objectContaining({ message: expect.stringMatching(/^invalidation-paths: '\\::set-output::\\u202e'/) }),
    );
  });
});
