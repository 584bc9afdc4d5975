import { describe, expect, test } from '@jest/globals';
import { compareKeys, isOwnPath, keyProblem, parseDestination, toKey } from '../../src/core/key.ts';
import { DeployError } from '../../src/errors.ts';

const parse = (bucket: string, prefix = '', compatible = false) => parseDestination(bucket, prefix, compatible);
const refused = (bucket: string, prefix = '', compatible = false): DeployError => {
  try {
    parse(bucket, prefix, compatible);
  } catch (error) {
    if (error instanceof DeployError) return error;
    throw error;
  }
  throw new Error(`accepted: ${bucket} ${prefix}`);
};

describe('a destination is read from', () => {
  test.each([
    ['a name', 'my-site', '', { bucket: 'my-site', prefix: '' }],
    ['a name and a slash', 'my-site/', '', { bucket: 'my-site', prefix: '' }],
    ['a name and a path', 'my-site/docs/v1', '', { bucket: 'my-site', prefix: 'docs/v1/' }],
    ['a URL', 's3://my-site', '', { bucket: 'my-site', prefix: '' }],
    ['a URL with a path', 's3://my-site/docs/', '', { bucket: 'my-site', prefix: 'docs/' }],
    ['a prefix', 'my-site', 'docs', { bucket: 'my-site', prefix: 'docs/' }],
    ['a prefix with its slash', 'my-site', 'docs/', { bucket: 'my-site', prefix: 'docs/' }],
    ['the same path twice', 'my-site/docs', 'docs/', { bucket: 'my-site', prefix: 'docs/' }],
    ['a prefix with blanks and other scripts', 'my-site', 'a b/données', { bucket: 'my-site', prefix: 'a b/données/' }],
    ['a prefix that looks encoded, as it is', 'my-site', '%2e%2e/a', { bucket: 'my-site', prefix: '%2e%2e/a/' }],
    ['a prefix with dots in a segment', 'my-site', 'v1..2/...', { bucket: 'my-site', prefix: 'v1..2/.../' }],
    ['a name with dots', 'www.example.org', '', { bucket: 'www.example.org', prefix: '' }],
  ])('%s', (_what, bucket, prefix, destination) => {
    expect(parse(bucket, prefix)).toEqual(destination);
  });
});

describe('no bucket is called', () => {
  test.each([
    ['nothing', ''],
    ['a slash', '/docs'],
    ['an ARN', 'arn:aws:s3:::my-site'],
    ['a web address', 'https://my-site.s3.amazonaws.com/'],
    ['upper case', 'My-Site'],
    ['an underscore', 'my_site'],
    ['two characters', 'ab'],
    ['64 characters', 'a'.repeat(64)],
    ['a dash at its end', 'my-site-'],
    ['two dots', 'my..site'],
    ['a blank', 'my site'],
    ['an expression that was not evaluated', `\${{ vars.BUCKET }}`],
    ['a line break', 'my-site\nx'],
    ['another host', 'my-site@evil.example'],
    ['a query', 'my-site?x'],
  ])('%s', (_what, bucket) => {
    expect(refused(bucket)).toMatchObject({ code: 'INPUT_INVALID', message: expect.stringMatching(/^bucket: /) });
  });

  test.each([
    ['an ARN', 'arn:aws:s3:::my-site'],
    ['a web address', 'https://store.example/my-site'],
    ['two dots', 'my..site'],
    ['a colon at its end', 'tenant:'],
  ])('%s, at another store either', (_what, bucket) => {
    expect(refused(bucket, '', true).code).toBe('INPUT_INVALID');
  });

  test('a name with a runner command in it, which the message defuses', () => {
    expect(refused('##[stop-commands]x').message).not.toContain('##[');
    expect(refused('a\x1b[2J').message).not.toContain('\x1b');
  });
});

test.each(['My_Site', 'tenant:bucket', 'UPPER'])('another store may have a bucket called %s', (bucket) => {
  expect(parse(bucket, '', true).bucket).toBe(bucket);
});

describe('a path is refused that', () => {
  test.each([
    ['begins with a slash', '/docs', 'begins with a slash'],
    ['is a slash', '/', 'begins with a slash'],
    ['has an empty segment', 'a//b', 'empty segment'],
    ['ends in two slashes', 'a//', 'empty segment'],
    ['goes up', 'a/../b', "'..'"],
    ['begins by going up', '..', "'..'"],
    ['stays', './a', "'.'"],
    ['holds NUL', 'a\0b', 'control character'],
    ['holds a line feed', 'a\nb', 'control character'],
    ['holds DEL', 'a\x7fb', 'control character'],
    ['holds a C1 control', 'a\x85b', 'control character'],
    ['holds half a character', 'a\ud800', 'control character'],
    ["is the action's own", '.s3-deploy', 'which is ours'],
    ["is below the action's own", 'docs/.s3-deploy-probe/x', 'which is ours'],
    ['leaves no room for keys', 'x'.repeat(961), 'too long'],
    ['leaves no room for keys, in bytes', 'ü'.repeat(481), 'too long'],
  ])('%s', (_what, prefix, why) => {
    expect(refused('my-site', prefix).message).toContain(why);
    expect(refused('my-site', prefix).message).toMatch(/^prefix: /);
  });

  test('and so is one that bucket carries', () => {
    expect(refused('my-site/a/../b').message).toMatch(/^bucket: .*'\.\.'/);
    expect(refused('s3://my-site//docs').message).toMatch(/^bucket: .*slash/);
  });

  test('disagrees with the one that bucket carries', () => {
    expect(refused('my-site/docs', 'site').message).toBe("bucket carries the path 'docs/', but prefix says 'site/'.");
  });
});

test('a prefix of the greatest length is taken', () => {
  expect(parse('my-site', 'x'.repeat(960)).prefix).toHaveLength(961);
});

test('the key of a file is its path below the prefix, letter for letter', () => {
  expect(toKey('', 'a/b.html')).toBe('a/b.html');
  expect(toKey('docs/', '%2e%2e/ü +.html')).toBe('docs/%2e%2e/ü +.html');
});

test.each([
  ['.s3-deploy', true],
  ['.s3-deploy/manifest', true],
  ['.s3-deploy-probe/1', true],
  ['a/.s3-deploy/manifest', false],
  ['s3-deploy/index.html', false],
  ['.s3', false],
])('whether %s is our own: %s', (path, own) => {
  expect(isOwnPath(path)).toBe(own);
});

test.each([
  ['an ordinary key', 'docs/a.html', undefined],
  ['1024 bytes', 'x'.repeat(1024), undefined],
  ['1025 bytes', 'x'.repeat(1025), /1025 bytes/],
  ['1026 bytes in 513 characters', 'ü'.repeat(513), /1026 bytes/],
  ['half a character', 'a\ud800.html', /not valid Unicode/],
  ['soap', 'soap', /soap/],
  ['soap below a prefix', 'docs/soap', undefined],
])('%s: whether S3 holds it', (_what, key, problem) => {
  if (problem === undefined) expect(keyProblem(key)).toBeUndefined();
  else expect(keyProblem(key)).toMatch(problem);
});

test('keys are ordered by their UTF-8 bytes, not by UTF-16 and not as people would', () => {
  // U+FF61 comes before U+1F600 in UTF-8, and after it in UTF-16.
  const inOrder = ['A', 'Z', 'a', 'a-', 'a/', 'a0', 'ab', 'b', 'é', '\uff61', '😀'];
  expect([...inOrder].reverse().sort(compareKeys)).toEqual(inOrder);
  expect(compareKeys('same', 'same')).toBe(0);
});
