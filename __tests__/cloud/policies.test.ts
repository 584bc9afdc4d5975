// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how policies spell their variables
import { describe, expect, test } from '@jest/globals';
import { decide, evaluate, type PolicySet, policyProblem, type Question } from '../support/cloud/policies.ts';
import type { PolicyStatement } from '../support/test-cloud.ts';
import { allow, deny, policy } from './clients.ts';

const OBJECT = 'arn:aws:s3:::web/docs/a/b.html';
const put: Question = { action: 's3:PutObject', resource: OBJECT };

describe('a statement covers', () => {
  test.each<[string, Partial<PolicyStatement>, boolean]>([
    ['the action as it is', { Action: 's3:PutObject', Resource: '*' }, true],
    ['the action in any case', { Action: 'S3:putobject', Resource: '*' }, true],
    ['actions by wildcard', { Action: 's3:Put*', Resource: '*' }, true],
    ['actions by question mark', { Action: 's3:P?tObject', Resource: '*' }, true],
    ['every action', { Action: '*', Resource: '*' }, true],
    ['no longer action', { Action: 's3:PutObject', Resource: '*' }, true],
    ['no action that only begins so', { Action: 's3:Put', Resource: '*' }, false],
    ['one of several', { Action: ['s3:GetObject', 's3:PutObject'], Resource: '*' }, true],
    ['all but its NotAction', { NotAction: 's3:Delete*', Resource: '*' }, true],
    ['not its NotAction', { NotAction: ['s3:Put*'], Resource: '*' }, false],
    ['the resource as it is', { Action: '*', Resource: OBJECT }, true],
    ['resources across slashes', { Action: '*', Resource: 'arn:aws:s3:::web/*.html' }, true],
    ['one character per question mark', { Action: '*', Resource: 'arn:aws:s3:::web/docs/?/b.html' }, true],
    ['not two characters per question mark', { Action: '*', Resource: 'arn:aws:s3:::web/docs?/b.html' }, false],
    ['no resource in another case', { Action: '*', Resource: 'arn:aws:s3:::web/Docs/*' }, false],
    ['not the bucket for its objects', { Action: '*', Resource: 'arn:aws:s3:::web' }, false],
    ['no key that only ends so', { Action: '*', Resource: 'docs/a/b.html' }, false],
    ['all but its NotResource', { Action: '*', NotResource: 'arn:aws:s3:::other/*' }, true],
    ['not its NotResource', { Action: '*', NotResource: 'arn:aws:s3:::web/docs/*' }, false],
    ['no regular expression', { Action: '*', Resource: 'arn:aws:s3:::web/.+' }, false],
  ])('%s', (_, statement, covered) => {
    expect(evaluate([policy({ Effect: 'Allow', ...statement })], put)).toBe(covered ? 'allow' : 'none');
  });
});

describe('policy variables', () => {
  const ask = (resource: string, asked: string, context = {}, Version = '2012-10-17') =>
    evaluate([{ Version, Statement: allow('*', resource) }], { action: 's3:GetObject', resource: asked, context });

  test.each([
    ['${aws:username}', 'b/${aws:username}/*', 'b/ann/x', { 'aws:username': 'ann' }, 'allow'],
    ['of another user', 'b/${aws:username}/*', 'b/bob/x', { 'aws:username': 'ann' }, 'none'],
    ['in any case', 'b/${AWS:UserName}/*', 'b/ann/x', { 'aws:username': 'ann' }, 'allow'],
    ['without a value', 'b/${aws:username}*', 'b/x', {}, 'none'],
    ['with a default', "b/${aws:username, 'all'}/*", 'b/all/x', {}, 'allow'],
    ['whose value has a star are literal', 'b/${aws:username}', 'b/xyz', { 'aws:username': 'x*' }, 'none'],
    ['${*} is a star', 'b/${*}', 'b/*', {}, 'allow'],
    ['${*} is no wildcard', 'b/${*}', 'b/x', {}, 'none'],
    ['${?} is a question mark', 'b/${?}', 'b/?', {}, 'allow'],
    ['${$} is a dollar', 'b/${$}{x}', 'b/${x}', {}, 'allow'],
  ])('%s', (_, resource, asked, context, effect) => {
    expect(ask(resource, asked, context)).toBe(effect);
  });

  test('are text in documents of 2008', () => {
    expect(ask('b/${aws:username}', 'b/ann', { 'aws:username': 'ann' }, '2008-10-17')).toBe('none');
    expect(ask('b/${aws:username}', 'b/${aws:username}', {}, '2008-10-17')).toBe('allow');
  });
});

describe('conditions', () => {
  const context = {
    's3:prefix': 'docs/',
    's3:max-keys': '100',
    'aws:securetransport': 'true',
    'aws:sourceip': '127.0.0.1',
    'aws:principalarn': 'arn:aws:iam::123456789012:role/deploy',
    'aws:currenttime': '2026-11-21T12:00:00Z',
    'x:many': ['a', 'b'],
    'x:none': [],
  };
  test.each<[operator: string, key: string, wanted: string | string[], holds: boolean]>([
    ['StringEquals', 's3:prefix', 'docs/', true],
    ['StringEquals', 'S3:Prefix', 'docs/', true],
    ['StringEquals', 's3:prefix', 'Docs/', false],
    ['StringEquals', 's3:prefix', 'docs*', false],
    ['StringEquals', 's3:prefix', ['other/', 'docs/'], true],
    ['StringEquals', 's3:nowhere', 'docs/', false],
    ['StringEqualsIgnoreCase', 's3:prefix', 'DOCS/', true],
    ['StringNotEquals', 's3:prefix', 'docs/', false],
    ['StringNotEquals', 's3:prefix', ['a', 'b'], true],
    ['StringNotEquals', 's3:nowhere', 'docs/', true],
    ['StringLike', 's3:prefix', 'd?cs*', true],
    ['StringLike', 's3:prefix', 'docs', false],
    ['StringLike', 's3:nowhere', '*', false],
    ['StringNotLike', 's3:prefix', 'docs*', false],
    ['StringNotLike', 's3:prefix', 'img*', true],
    ['StringLike', 's3:prefix', '${s3:prefix}', true],
    ['StringEqualsIfExists', 's3:nowhere', 'x', true],
    ['StringEqualsIfExists', 's3:prefix', 'x', false],
    ['Bool', 'aws:SecureTransport', 'true', true],
    ['Bool', 'aws:SecureTransport', 'false', false],
    ['Bool', 'aws:nowhere', 'false', false],
    ['BoolIfExists', 'aws:nowhere', 'false', true],
    ['Null', 's3:nowhere', 'true', true],
    ['Null', 's3:nowhere', 'false', false],
    ['Null', 's3:prefix', 'false', true],
    ['Null', 's3:prefix', 'true', false],
    ['ArnLike', 'aws:PrincipalArn', 'arn:aws:iam::*:role/dep*', true],
    ['ArnEquals', 'aws:PrincipalArn', 'arn:aws:iam::123456789012:role/deploy', true],
    ['ArnNotLike', 'aws:PrincipalArn', 'arn:aws:iam::*:role/dep*', false],
    ['IpAddress', 'aws:SourceIp', '127.0.0.0/8', true],
    ['IpAddress', 'aws:SourceIp', '127.0.0.1', true],
    ['IpAddress', 'aws:SourceIp', ['10.0.0.0/8', '::1/128'], false],
    ['NotIpAddress', 'aws:SourceIp', '10.0.0.0/8', true],
    ['NumericLessThanEquals', 's3:max-keys', '100', true],
    ['NumericLessThanEquals', 's3:max-keys', '99', false],
    ['NumericLessThan', 's3:max-keys', '100', false],
    ['NumericGreaterThan', 's3:max-keys', '99', true],
    ['NumericEquals', 's3:prefix', '0', false],
    ['DateLessThan', 'aws:CurrentTime', '2027-01-01T00:00:00Z', true],
    ['DateGreaterThan', 'aws:CurrentTime', '2027-01-01T00:00:00Z', false],
    ['ForAnyValue:StringEquals', 'x:many', ['b', 'c'], true],
    ['ForAnyValue:StringEquals', 'x:many', ['c', 'd'], false],
    ['ForAnyValue:StringEquals', 'x:none', 'a', false],
    ['ForAnyValue:StringLike', 's3:nowhere', '*', false],
    ['ForAllValues:StringEquals', 'x:many', ['a', 'b', 'c'], true],
    ['ForAllValues:StringEquals', 'x:many', ['a'], false],
    ['ForAllValues:StringEquals', 's3:nowhere', 'a', true],
    ['ForAllValues:StringNotEquals', 'x:many', 'a', false],
    ['ForAnyValue:StringNotEquals', 'x:many', 'a', true],
    ['StringMatches', 's3:prefix', 'docs/', false],
  ])('%s %s %j is %s', (operator, key, wanted, holds) => {
    const statement = { ...allow('*'), Condition: { [operator]: { [key]: wanted } } };
    expect(evaluate([policy(statement)], { ...put, context })).toBe(holds ? 'allow' : 'none');
  });

  test('all have to hold', () => {
    const Condition = {
      StringLike: { 's3:prefix': 'docs*', 's3:max-keys': '5' },
      Bool: { 'aws:SecureTransport': 'true' },
    };
    expect(evaluate([policy({ ...allow('*'), Condition })], { ...put, context })).toBe('none');
  });
});

test('a Deny wins wherever it stands', () => {
  const documents = [policy(allow('s3:*')), policy(allow('*'), deny('s3:Put*'))];
  expect(evaluate(documents, put)).toBe('deny');
  expect(evaluate(documents.reverse(), put)).toBe('deny');
});

describe('the policies of one account together', () => {
  const account = '123456789012';
  const user = `arn:aws:iam::${account}:user/ann`;
  const role = `arn:aws:iam::${account}:role/deploy`;
  const session = `arn:aws:sts::${account}:assumed-role/deploy/run`;
  const askers = {
    user: { arns: [user], account },
    session: { arns: [session, role], account },
    nobody: { arns: [] },
  };
  const yes = policy(allow('s3:PutObject'));
  const no = policy(deny('s3:PutObject'));
  const silent = policy(allow('s3:GetObject'));
  const grant = (Principal: PolicyStatement['Principal']) =>
    policy({ ...allow('s3:PutObject'), Principal: Principal! });
  const refuse = policy({ ...deny('s3:PutObject'), Principal: '*' });
  const none = (kind: string) => `because no ${kind} allows the s3:PutObject action`;

  test.each<[keyof typeof askers, string, PolicySet, string | undefined]>([
    ['user', 'his own Allow', { identity: [yes] }, undefined],
    ['user', 'nothing', { identity: [] }, none('identity-based policy')],
    ['user', 'his own Deny', { identity: [yes, no] }, 'with an explicit deny in an identity-based policy'],
    ['user', 'an Allow of the bucket', { identity: [], resource: grant({ AWS: user }) }, undefined],
    ['user', 'an Allow for everybody', { identity: [], resource: grant('*') }, undefined],
    ['user', 'an Allow for another', { identity: [], resource: grant({ AWS: role }) }, none('identity-based policy')],
    [
      'user',
      'an Allow for his account',
      { identity: [], resource: grant({ AWS: account }) },
      none('identity-based policy'),
    ],
    [
      'user',
      'a Deny of the bucket',
      { identity: [yes], resource: refuse },
      'with an explicit deny in a resource-based policy',
    ],
    ['user', 'a boundary that allows', { identity: [yes], boundary: yes }, undefined],
    ['user', 'a boundary that is silent', { identity: [yes], boundary: silent }, none('permissions boundary')],
    [
      'user',
      'a boundary that denies',
      { identity: [yes], boundary: no },
      'with an explicit deny in a permissions boundary',
    ],
    [
      'user',
      'a silent boundary and a bucket that names him',
      { identity: [], boundary: silent, resource: grant({ AWS: user }) },
      undefined,
    ],
    ['session', 'both Allows', { identity: [yes], session: [yes] }, undefined],
    ['session', 'a silent session policy', { identity: [yes], session: [silent] }, none('session policy')],
    [
      'session',
      'a session policy that denies',
      { identity: [yes], session: [no] },
      'with an explicit deny in a session policy',
    ],
    ['session', 'a session policy alone', { identity: [silent], session: [yes] }, none('identity-based policy')],
    ['session', 'a bucket that names the role', { identity: [], resource: grant({ AWS: role }) }, undefined],
    [
      'session',
      'a bucket that names the role, bounded',
      { identity: [], session: [silent], resource: grant({ AWS: role }) },
      none('session policy'),
    ],
    [
      'session',
      'a bucket that names the session',
      { identity: [], session: [silent], resource: grant({ AWS: session }) },
      undefined,
    ],
    ['nobody', 'a public bucket', { identity: [], resource: grant('*') }, undefined],
    ['nobody', 'a bucket public in the other spelling', { identity: [], resource: grant({ AWS: '*' }) }, undefined],
    [
      'nobody',
      'a bucket for the account',
      { identity: [], resource: grant({ AWS: account }) },
      none('resource-based policy'),
    ],
  ])('%s with %s', (asker, _, policies, because) => {
    const verdict = decide(policies, put, askers[asker]);
    expect(verdict).toEqual(because === undefined ? { allowed: true } : { allowed: false, because });
  });
});

test.each<[unknown, boolean]>([
  [policy(allow('s3:*')), true],
  [{ Statement: allow('s3:GetObject') }, true],
  [{ Id: 'x', ...policy(allow('*')) }, true],
  ['', false],
  [[], false],
  [{ Version: '2012-10-17', Statement: [] }, false],
  [{ Version: '2012-10-18', Statement: [allow('*')] }, false],
  [{ Statement: [{ Effect: 'Maybe', Action: '*', Resource: '*' }] }, false],
  [{ Statement: [{ Effect: 'Allow', Resource: '*' }] }, false],
  [{ Statement: [allow('PutObject')] }, false],
  [{ Statement: [{ ...allow('*'), Condition: { StringMatches: { a: 'b' } } }] }, false],
  [{ Statement: [allow('*')], Extra: 1 }, false],
])('%j is a policy document: %s', (document, valid) => {
  expect(policyProblem(document) === undefined).toBe(valid);
});
