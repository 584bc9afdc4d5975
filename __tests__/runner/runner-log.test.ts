import { describe, expect, test } from '@jest/globals';
import { RunnerLog } from '../support/runner-log.ts';

const names = (log: RunnerLog) => log.commands.map(({ name }) => name);

describe('what is a command', () => {
  test('::name:: counts after leading blanks of any kind, and only there', () => {
    expect(names(RunnerLog.of('::debug::a\n \t\u00a0\u3000::debug::b\nx ::debug::c\n\ufeffx::debug::d'))).toEqual([
      'debug',
      'debug',
    ]);
  });

  test('##[name] counts anywhere in a line', () => {
    const log = RunnerLog.of('uploading site/##[warning]x.html');
    expect(log.annotations).toMatchObject([{ kind: 'warning', message: 'x.html' }]);
    expect(log.visible).toBe('##[warning]x.html');
  });

  test('only the first ##[ of a line is looked at', () => {
    expect(names(RunnerLog.of('##[nothing]##[debug]x\n##[debug]##[nothing]x'))).toEqual(['debug']);
  });

  test('names are compared without regard to case, and unknown ones are text', () => {
    const log = RunnerLog.of('::DEBUG::a\n::unknown::b\n::::\n:: ::\n::debug');
    expect(names(log)).toEqual(['debug']);
    expect(log.visible).toBe('::unknown::b\n::::\n:: ::\n::debug');
  });

  test('a lone carriage return begins a new line, and so a command', () => {
    expect(names(RunnerLog.of('a.html\r::debug::x\r\n::debug::y'))).toEqual(['debug', 'debug']);
  });

  test('properties and data are decoded once', () => {
    const [command] = RunnerLog.of('::error title=a%3A b%2C%25 c,file==y=z,=,z=::one%0Atwo %250A %3A').commands;
    expect(command).toEqual({
      name: 'error',
      properties: { title: 'a: b,% c', file: 'y=z' },
      data: 'one\ntwo %0A %3A',
    });
  });

  test('the old form has its own separator and escapes', () => {
    const [command] = RunnerLog.of('##[error title=a%3Bb%5D,c;file=d]x%3B%5D').commands;
    expect(command).toEqual({ name: 'error', properties: { title: 'a;b],c', file: 'd' }, data: 'x;]' });
  });
});

describe('masks', () => {
  test('hold from registration on, and the line that registers is not shown', () => {
    const log = RunnerLog.of('a s3cr3t\n::add-mask::s3cr3t\nb s3cr3t-s3cr3ts3cr3t');
    expect(log.visible).toBe('a s3cr3t\nb ***-***');
    expect(log.masks).toEqual(['s3cr3t']);
    expect(log.raw).toEqual(['a s3cr3t', 'b s3cr3t-s3cr3ts3cr3t']);
  });

  test('cover every line of a value, trimmed', () => {
    expect(RunnerLog.of('::add-mask::first%0D%0A  second \n[first] [second] [ second ]').visible).toBe(
      '[***] [***] [ *** ]',
    );
  });

  test('cover base64 at three shifts, URI, JSON, XML and expression escapes', () => {
    const secret = `a/b"c'd<e>&f g`;
    const forms = [
      Buffer.from(secret).toString('base64'),
      Buffer.from(secret).subarray(1).toString('base64'),
      Buffer.from(secret).subarray(2).toString('base64'),
      encodeURIComponent(secret).replaceAll("'", '%27'),
      JSON.stringify(secret).slice(1, -1),
      `a/b&quot;c&apos;d&lt;e&gt;&amp;f g`,
      secret.replaceAll("'", "''"),
    ];
    const log = RunnerLog.of(`::add-mask::${secret}\n${forms.join('\n')}`);
    expect(log.visible.split('\n')).toEqual(forms.map(() => '***'));
  });

  test('cover the two halves that PowerShell makes of a value', () => {
    expect(RunnerLog.of('::add-mask::secret1&+secret2\nsecret1&+ ecret2').visible).toBe('*** ***');
    expect(RunnerLog.of('::add-mask::secret1&x&secret2\nsecret1&x& secret2').visible).toBe('*** ***');
  });

  test('do not cover hex, base64url or a part', () => {
    const secret = 'hush?hush>hush';
    const forms = [Buffer.from(secret).toString('hex'), Buffer.from(secret).toString('base64url'), 'hush?hush'];
    expect(RunnerLog.of(`::add-mask::${secret}\n${forms.join('\n')}`).visible).toBe(forms.join('\n'));
  });

  test('of an empty value are refused with a warning', () => {
    expect(RunnerLog.of('::add-mask::  ').annotations).toHaveLength(1);
  });

  test('cover the message of an annotation and not its title', () => {
    const log = RunnerLog.of('::error title=s3cr3t::about s3cr3t', ['s3cr3t']);
    expect(log.annotations).toMatchObject([{ message: 'about ***', title: 's3cr3t' }]);
  });
});

describe('stop-commands', () => {
  test('from a file name makes the next mask a printed secret', () => {
    const log = RunnerLog.of('new  site/##[stop-commands]x\n::add-mask::s3cr3t\ntoken s3cr3t');
    expect(log.visible).toContain('::add-mask::s3cr3t\ntoken s3cr3t');
    expect(log.raw).toContain('::add-mask::s3cr3t');
    expect(log.masks).toEqual([]);
  });

  test('ends at its token, in either form', () => {
    expect(names(RunnerLog.of('::stop-commands::tOken-1\n::debug::a\n::token-1::\n::debug::b'))).toEqual([
      'stop-commands',
      'debug',
    ]);
    expect(names(RunnerLog.of('::stop-commands::end\n##[end]\n::debug::b'))).toEqual(['stop-commands', 'debug']);
  });

  test('with the name of a command for a token is refused', () => {
    const log = RunnerLog.of('::stop-commands::debug\n::debug::still a command');
    expect(log.failed).toBe(true);
    expect(names(log)).toEqual(['stop-commands', 'debug']);
  });
});

test('groups fold lines, do not nest, and stay open when nobody ends them', () => {
  const log = RunnerLog.of('a\n::group::one\nb\n::group::two\nc\n::endgroup::\nd\n::group::three');
  expect(log.lines.filter(({ kind }) => kind === 'text').map(({ text, group }) => [text, group])).toEqual([
    ['a', undefined],
    ['b', 'one'],
    ['c', 'two'],
    ['d', undefined],
  ]);
  expect(log.openGroup).toBe('three');
});

test('ten annotations of a kind are kept, and all are in the log', () => {
  const log = RunnerLog.of('::warning::x\n'.repeat(12));
  expect(log.annotations).toHaveLength(10);
  expect(log.lines).toHaveLength(12);
});

test('debug lines are kept but not visible', () => {
  const log = RunnerLog.of('::debug::a%0Ab');
  expect(log.lines.map(({ text }) => text)).toEqual(['a', 'b']);
  expect(log.visible).toBe('');
});

test('set-env and add-path are refused and fail the step', () => {
  expect(RunnerLog.of('::set-env name=A::b').failed).toBe(true);
  expect(RunnerLog.of('::add-path::/b').failed).toBe(true);
});

test('echo shows commands again, but never a mask', () => {
  expect(RunnerLog.of('::echo::on\n::group::x\n::add-mask::s3cr3t\n').visible).toBe(
    '::group::x\n##[group]x\n::add-mask::***',
  );
});
