import { describe, expect, test } from '@jest/globals';
import { expectNoLeak, expectOnlyOurCommands, type Traces } from '../support/leaks.ts';
import { RunnerLog } from '../support/runner-log.ts';

const SECRET = 'wJalr/XUtnFEMI+K7MDENG?bPx>Rf';

function traces(log: string, more: Partial<Traces> = {}): Traces {
  return { log: RunnerLog.of(log), outputs: {}, env: {}, state: {}, paths: [], summary: '', files: new Map(), ...more };
}

const leak = (run: Traces) => () => expectNoLeak(run, [SECRET]);

test('the data of add-mask is the one place for a secret', () => {
  expect(leak(traces(`::add-mask::${SECRET}\nnothing`))).not.toThrow();
});

test('a secret that is printed and masked was printed all the same', () => {
  expect(leak(traces(`::add-mask::${SECRET}\nkey ${SECRET}`))).toThrow('as itself in the raw output');
});

test('add-mask after stop-commands is a leak', () => {
  expect(leak(traces(`::stop-commands::x\n::add-mask::${SECRET}`))).toThrow('in the visible log');
});

describe('a secret is found in any form', () => {
  const bytes = Buffer.from(SECRET);
  const around = (before: string) => Buffer.concat([Buffer.from(before), bytes, Buffer.from('#tail')]);
  test.each([
    ['hex', bytes.toString('hex')],
    ['HEX', bytes.toString('hex').toUpperCase()],
    ['base64', bytes.toString('base64')],
    ['base64 after one byte', around('u').toString('base64')],
    ['base64 after two bytes', around('us').toString('base64')],
    ['base64 of user:secret', around('user:').toString('base64')],
    ['base64url', around('x').toString('base64url')],
    ['a URL', encodeURIComponent(SECRET)],
    ['JSON', JSON.stringify({ key: SECRET })],
  ])('%s', (_form, text) => {
    expect(leak(traces(text))).toThrow('The run leaks');
  });
});

test('every place is looked at', () => {
  expect(leak(traces('', { outputs: { url: SECRET } }))).toThrow('outputs.url');
  expect(leak(traces('', { env: { A: `x${SECRET}` } }))).toThrow('env.A');
  expect(leak(traces('', { state: { A: SECRET } }))).toThrow('state.A');
  expect(leak(traces('', { paths: [SECRET] }))).toThrow('GITHUB_PATH');
  expect(leak(traces('', { summary: SECRET }))).toThrow('the summary');
  expect(leak(traces('', { files: new Map([['a/b', Buffer.from(`\xff${SECRET}`)]]) }))).toThrow('file a/b');
  expect(leak(traces(`::error title=${SECRET}::x`))).toThrow('an annotation');
  expect(leak(traces(`::debug::${SECRET}`))).toThrow('in the visible log');
});

test('a secret with quotes is found where JSON escapes them', () => {
  const quoted = 'a"b\\c"dd';
  expect(() => expectNoLeak(traces(JSON.stringify([quoted])), [quoted])).toThrow('as JSON');
});

test('the signature of a token is found alone', () => {
  const token = `${Buffer.from('{"alg":"RS256"}').toString('base64url')}.e30xyz.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg`;
  expect(() => expectNoLeak(traces('c2lnbmF0dXJlLW9mLXRoZS10b2tlbg'), [token])).toThrow('JWT signature');
});

test('commands that are not ours are named', () => {
  expect(() => expectOnlyOurCommands(traces('::group::x\n::endgroup::\n::add-mask::abc\n::debug::x'))).not.toThrow();
  expect(() => expectOnlyOurCommands(traces('put ##[stop-commands]x.html'))).toThrow('"name":"stop-commands"');
  expect(() => expectOnlyOurCommands(traces('::set-output name=a::b'))).toThrow('set-output');
});
