import { expect, test } from '@jest/globals';
import { explain, type ServiceFailure } from '../../src/core/explain.ts';
import { type SupportCase, supportBlock } from '../../src/core/support.ts';
import { DeployError } from '../../src/errors.ts';

const DESTINATION = { bucket: 'my-site', prefix: 'docs/' } as const;
const FAILURE: ServiceFailure = {
  operation: 'PutObject',
  code: 'AccessDenied',
  message: 'Access Denied.',
  status: 403,
  requestId: '4442587FB7D0A2F9',
  region: undefined,
  retryAfter: undefined,
};
const CASE: SupportCase = {
  destination: DESTINATION,
  endpoint: 'https://s3.example.org',
  region: 'eu-1',
  error: explain(FAILURE, DESTINATION),
  tool: 's3-deploy 1.2.3, Node.js v24.0.0, linux',
  project: 'acme/site, https://github.com/acme/site/actions/runs/7',
  time: new Date('2026-11-21T22:50:00Z'),
};
const HOSTILE = '##[stop-commands]x\n::add-mask::y\x1b[31m\u202e';

/** The value of a line of the block. */
function line(block: string[], name: string): string | undefined {
  return block.find((one) => one.startsWith(`${name}:`))?.replace(/^\w+: +/, '');
}

test('says what was done, where, when and by what, and which call failed', () => {
  expect(supportBlock(CASE)).toEqual([
    'project:  acme/site, https://github.com/acme/site/actions/runs/7',
    'bucket:   my-site/docs/',
    'endpoint: https://s3.example.org (region eu-1)',
    'tool:     s3-deploy 1.2.3, Node.js v24.0.0, linux',
    'time:     2026-11-21T22:50:00.000Z',
    'error:    PERMISSION_DENIED: PutObject 403 AccessDenied: Access Denied (request 4442587FB7D0A2F9)',
  ]);
});

test('finds the failed call in the error that carried it', () => {
  const cause = Object.assign(new Error('thrown'), { failure: FAILURE });
  const error = new DeployError('UPLOAD_FAILED', 'Two files failed.', { cause });
  expect(line(supportBlock({ ...CASE, error }), 'error')).toMatch(/^UPLOAD_FAILED: PutObject 403 AccessDenied/);
});

test.each([
  ['nothing behind the error', undefined],
  ['a cause that is no call', new TypeError('x is undefined')],
  ['a cause that is no object', 'thrown as text'],
  ['a failure of the system', Object.assign(new Error('read'), { code: 'ECONNRESET', syscall: 'read' })],
])('with %s tells the message of the error', (_, cause) => {
  const error = new DeployError('UPLOAD_FAILED', 'Two files failed.', { cause, hint: 'Run it again.' });
  expect(line(supportBlock({ ...CASE, error }), 'error')).toBe('UPLOAD_FAILED: Two files failed.');
});

test('leaves out the region where it is not known', () => {
  expect(line(supportBlock({ ...CASE, region: undefined }), 'endpoint')).toBe('https://s3.example.org');
});

test.each(['thrown', 'as a failure'])('tells no secret that an error of the SDK carries along, %s', (how) => {
  const secrets = {
    'Token-0': 'secret-token',
    AWSAccessKeyId: 'AKIASECRET',
    CanonicalRequest: 'x-amz-security-token:secret-token',
    $response: { headers: { authorization: 'AWS4 secret-signature' } },
  };
  const cause =
    how === 'thrown' ? Object.assign(new Error('The token is secret-token'), secrets) : { ...FAILURE, ...secrets };
  const error = new DeployError('CREDENTIALS_INVALID', 'The credentials were refused.', {
    cause,
    hint: 'The claims of the token: secret-token',
  });
  expect(supportBlock({ ...CASE, error }).join('\n')).not.toMatch(/secret/i);
});

test.each(['project', 'tool', 'endpoint', 'region'] as const)('lets hostile text in %s do nothing', (name) => {
  for (const one of supportBlock({ ...CASE, [name]: HOSTILE })) {
    expect(one).not.toMatch(/[\x00-\x1f\x7f\u202e]|##\[|^\s*::/);
  }
});

test('lets hostile text of bucket, prefix, message and request id do nothing', () => {
  const destination = { bucket: HOSTILE, prefix: `${HOSTILE}/` } as const;
  const failure = { ...FAILURE, code: HOSTILE, message: HOSTILE, requestId: HOSTILE };
  for (const error of [
    new DeployError('UPLOAD_FAILED', HOSTILE),
    new DeployError('UPLOAD_FAILED', HOSTILE, { cause: failure }),
  ]) {
    const block = supportBlock({ ...CASE, destination, error });
    expect(block).toHaveLength(6);
    for (const one of block) expect(one).not.toMatch(/[\x00-\x1f\x7f\u202e]|##\[|^\s*::/);
  }
});

test('stays short, however long what it is made of', () => {
  const long = 'x'.repeat(100_000);
  const error = new DeployError('UPLOAD_FAILED', long, { cause: { ...FAILURE, message: long } });
  const destination = { bucket: long, prefix: `${long}/` } as const;
  const block = supportBlock({ ...CASE, destination, endpoint: long, region: long, tool: long, project: long, error });
  expect(block.join('\n').length).toBeLessThan(5_000);
});
