import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { expectNoLeak, expectOnlyOurCommands, type Traces } from '../support/leaks.ts';
import { RunnerLog } from '../support/runner-log.ts';
import { Secrets } from '../support/secrets.ts';

const SECRET = 'wJalr/XUtn"FEMI+K7_MDENG?bPx>Rf';

function traces(log: string, more: Partial<Traces> = {}): Traces {
  return { log: RunnerLog.of(log), outputs: {}, env: {}, state: {}, paths: [], summary: '', files: new Map(), ...more };
}

function leak(run: Traces, secret = SECRET) {
  const secrets = new Secrets();
  secrets.add('the key', secret);
  return () => expectNoLeak(run, secrets);
}

test('the data of add-mask is the one place for a secret', () => {
  expect(leak(traces(`::add-mask::${SECRET}\nnothing`))).not.toThrow();
});

test('a secret that is printed and masked was printed all the same', () => {
  expect(leak(traces(`::add-mask::${SECRET}\nkey ${SECRET}`))).toThrow('as itself in the raw output');
});

test('add-mask after stop-commands is a leak', () => {
  expect(leak(traces(`::stop-commands::x\n::add-mask::${SECRET}`))).toThrow('in the visible log');
});

test('what is told is named, and not told again', () => {
  expect(leak(traces(SECRET))).toThrow('the key (31 characters) as itself in the raw output');
  expect(leak(traces(SECRET))).not.toThrow(SECRET.slice(0, 8));
});

const bytes = Buffer.from(SECRET);
const within = (before: string) => Buffer.concat([Buffer.from(before), bytes, Buffer.from('#tail')]);
const html = (text: string) => text.replace(/[&<>"'`|*_~[\]\\@#]/g, (character) => `&#${character.codePointAt(0)};`);
const FORMS: Record<string, string> = {
  itself: SECRET,
  'its beginning': `${SECRET.slice(0, 24)}…`,
  'its end': `…${SECRET.slice(-24)}`,
  hex: bytes.toString('hex'),
  'hex, cut off': bytes.toString('hex').slice(0, 40),
  HEX: within('x').toString('hex').toUpperCase(),
  'hex, byte by byte, as in StringToSignBytes': Array.from(bytes, (byte) => byte.toString(16)).join(' '),
  base64: bytes.toString('base64'),
  'base64 after one byte': within('u').toString('base64'),
  'base64 after two bytes': within('us').toString('base64'),
  'base64 of user:secret': within('user:').toString('base64'),
  base64url: bytes.toString('base64url'),
  'base64url after one byte': within('x').toString('base64url'),
  'base64url after two bytes': within('xy').toString('base64url'),
  'a URL': encodeURIComponent(SECRET),
  'a URL in lower case': encodeURIComponent(SECRET).replace(/%../g, (octet) => octet.toLowerCase()),
  'a form': new URLSearchParams({ key: SECRET }).toString(),
  JSON: JSON.stringify({ key: SECRET }),
  'JSON in JSON': JSON.stringify(JSON.stringify({ key: SECRET })),
  XML: SECRET.replace('"', '&quot;').replace('>', '&gt;'),
  'HTML of the summary': html(SECRET),
};

const encode = (text: string) => text.replaceAll('%', '%25');
/** Every place, as a run that says `text` there. */
const PLACES: Record<string, (text: string) => Traces> = {
  'the raw output': (text) => traces(`a line ${text}`),
  'the visible log': (text) => traces(`::group::${encode(text)}`),
  'the visible log, debugged': (text) => traces(`::debug::${encode(text)}`),
  'an annotation': (text) => traces(`::error::${encode(text)}`),
  'an annotation, its title': (text) => traces(`::error title=${text.replaceAll(',', '')}::x`),
  'the summary': (text) => traces('', { summary: `<code>${text}</code>` }),
  'outputs.url': (text) => traces('', { outputs: { url: `https://x/${text}` } }),
  'env.A': (text) => traces('', { env: { A: `x${text}` } }),
  'state.A': (text) => traces('', { state: { A: text } }),
  GITHUB_PATH: (text) => traces('', { paths: ['/bin', `/${text}`] }),
  'file work/_temp/result.json': (text) =>
    traces('', { files: new Map([['work/_temp/result.json', Buffer.from(text)]]) }),
  'file b': (text) => traces('', { files: new Map([['b', Buffer.from(`\xff\xfe${text}`, 'latin1')]]) }),
};

describe.each(Object.entries(FORMS))('a secret is found as %s', (_form, text) => {
  test.each(Object.entries(PLACES))('in %s', (place, say) => {
    expect(leak(say(text))).toThrow(`in ${place.split(',')[0]}`);
    expect(leak(say('a harmless text'))).not.toThrow();
  });
});

test('in the name of an output or of a file, too', () => {
  expect(leak(traces('', { outputs: { [SECRET]: '1' } }))).toThrow('The run leaks');
  expect(leak(traces('', { files: new Map([[`t/${SECRET}`, Buffer.alloc(0)]]) }))).toThrow('The run leaks');
});

test('claims and signature of a token are found alone', () => {
  const claims = Buffer.from('{"sub":"repo:acme/site"}').toString('base64url');
  const token = `${Buffer.from('{"alg":"RS256"}').toString('base64url')}.${claims}.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg`;
  expect(leak(traces('c2lnbmF0dXJlLW9mLXRoZS10b2tlbg'), token)).toThrow("a JWT's signature");
  expect(leak(traces(`x.${claims}`), token)).toThrow("a JWT's claims");
});

test('of thousands of secrets each is found, in a text of a megabyte', () => {
  const secrets = new Secrets();
  const made = Array.from({ length: 3000 }, (_, n) => Buffer.from(`secret ${n} ${n * 7919}`).toString('base64'));
  for (const [n, secret] of made.entries()) secrets.add(`secret ${n}`, secret);
  const text = `${'docs/assets/page-123.css new\n'.repeat(40_000)}${made[2999]}`;
  expect(secrets.toldBy(text).some((name) => name.startsWith('secret 2999 '))).toBe(true);
  expect(made.filter((secret) => secrets.toldBy(`x${secret}x`).length === 0)).toEqual([]);
});

test('what is too short to be looked for is refused, and not overlooked', () => {
  expect(() => new Secrets().add('a key', 'short')).toThrow('a key is too short to look for: 5 characters.');
});

test('commands that are not ours are named', () => {
  expect(() => expectOnlyOurCommands(traces('::group::x\n::endgroup::\n::add-mask::abc\n::debug::x'))).not.toThrow();
  expect(() => expectOnlyOurCommands(traces('put ##[stop-commands]x.html'))).toThrow('"name":"stop-commands"');
  expect(() => expectOnlyOurCommands(traces('::set-output name=a::b'))).toThrow('set-output');
});

test('nothing but runAction starts the built action, in tests, demo and bench: no run escapes the check', () => {
  const root = path.join(import.meta.dirname, '..', '..');
  const sources = ['__tests__', 'bench', 'scripts'].flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.(ts|js|mjs|cjs)$/.test(entry.name))
      .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name))),
  );
  const starting = sources.filter((file) => /node:(child_process|worker_threads|cluster)/.test(read(file)));
  expect(starting).toContain('__tests__/support/runner.ts');
  const own = path.relative(root, import.meta.filename);
  const others = starting.filter((file) => file !== '__tests__/support/runner.ts' && file !== own);
  expect(others.filter((file) => /dist\/|'index\.js'|readAction/.test(read(file)))).toEqual([]);

  function read(file: string): string {
    return readFileSync(path.join(root, file), 'utf8');
  }
});
