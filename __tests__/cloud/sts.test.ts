import { generateKeyPairSync } from 'node:crypto';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import {
  AssumeRoleCommand,
  type AssumeRoleCommandInput,
  AssumeRoleWithWebIdentityCommand,
  type AssumeRoleWithWebIdentityCommandInput,
  type Credentials,
  GetCallerIdentityCommand,
} from '@aws-sdk/client-sts';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { type LoopbackCloud, startCloud } from '../support/cloud/cloud.ts';
import type { PolicyStatement } from '../support/test-cloud.ts';
import { allow, deny, policy, s3Client, stsClient } from './clients.ts';

const ISSUER = 'token.actions.githubusercontent.com';
let cloud: LoopbackCloud;
let RoleArn: string;
beforeAll(async () => {
  cloud = await startCloud();
  await cloud.createBucket('web');
});
afterAll(() => cloud.close());

const trust = (
  conditions: PolicyStatement['Condition'] = { StringEquals: { [`${ISSUER}:aud`]: 'sts.amazonaws.com' } },
) =>
  policy({
    Effect: 'Allow',
    Principal: { Federated: cloud.github.providerArn },
    Action: 'sts:AssumeRoleWithWebIdentity',
    Condition: conditions!,
  });

beforeEach(async () => {
  RoleArn = await cloud.createRole('deploy', { trust: trust(), policy: policy(allow('s3:*')) });
  cloud.sessionSeconds = undefined;
  cloud.time = 0;
});

const assume = (input: Partial<AssumeRoleWithWebIdentityCommandInput> = {}) =>
  stsClient(cloud).send(
    new AssumeRoleWithWebIdentityCommand({
      RoleArn,
      RoleSessionName: 'run-1',
      WebIdentityToken: cloud.github.token(),
      ...input,
    }),
  );
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => 'fine',
    // The SDK adds Exception to the names that it knows.
    (error) => `${error.$metadata.httpStatusCode} ${error.name.replace(/Exception$/, '')}: ${error.message}`,
  );
const keysOf = ({ AccessKeyId, SecretAccessKey, SessionToken }: Credentials) => ({
  accessKeyId: AccessKeyId!,
  secretAccessKey: SecretAccessKey!,
  sessionToken: SessionToken!,
});
const put = (credentials: Credentials, Key = 'x') =>
  failure(s3Client(cloud, keysOf(credentials)).send(new PutObjectCommand({ Bucket: 'web', Key, Body: 'x' })));
const NOT_AUTHORIZED = '403 AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity';

describe('AssumeRoleWithWebIdentity', () => {
  test('answers credentials that work', async () => {
    const answer = await assume({ DurationSeconds: 900 });
    expect(answer).toMatchObject({
      SubjectFromWebIdentityToken: 'repo:acme/site:ref:refs/heads/main',
      Audience: 'sts.amazonaws.com',
      Provider: cloud.github.providerArn,
      AssumedRoleUser: { Arn: `arn:aws:sts::${cloud.account}:assumed-role/deploy/run-1` },
    });
    const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = answer.Credentials!;
    expect(AccessKeyId).toMatch(/^ASIA[A-Z2-7]{16}$/);
    expect(SecretAccessKey).toHaveLength(40);
    expect(SessionToken!.length).toBeGreaterThan(700);
    expect(Math.round((Expiration!.getTime() - Date.now()) / 1000)).toBeLessThanOrEqual(900);
    expect(await put(answer.Credentials!)).toBe('fine');
    expect(cloud.secrets).toEqual(expect.arrayContaining([AccessKeyId, SecretAccessKey, SessionToken]));
  });

  test.each<[string, PolicyStatement['Condition'], string]>([
    ['subject', { StringEquals: { [`${ISSUER}:sub`]: 'repo:acme/site:ref:refs/heads/main' } }, 'fine'],
    ['other subject', { StringEquals: { [`${ISSUER}:sub`]: 'repo:acme/other:ref:refs/heads/main' } }, NOT_AUTHORIZED],
    ['subject by wildcard', { StringLike: { [`${ISSUER}:sub`]: 'repo:acme/*' } }, 'fine'],
    ['wildcard that is none', { StringEquals: { [`${ISSUER}:sub`]: 'repo:acme/*' } }, NOT_AUTHORIZED],
    ['repository id', { StringEquals: { [`${ISSUER}:repository_id`]: '90210' } }, 'fine'],
    ['other repository id', { StringEquals: { [`${ISSUER}:repository_id`]: '1' } }, NOT_AUTHORIZED],
    ['claim that IAM does not know', { StringEquals: { [`${ISSUER}:run_id`]: '7700112233' } }, NOT_AUTHORIZED],
    [
      'any audience of a list',
      { 'ForAnyValue:StringEquals': { [`${ISSUER}:aud`]: ['x', 'sts.amazonaws.com'] } },
      'fine',
    ],
  ])('holds the trust policy against the %s', async (_, condition, outcome) => {
    cloud.setTrust('deploy', trust(condition));
    expect(await failure(assume())).toBe(outcome);
  });

  test('takes what a job gets from the token service', async () => {
    cloud.setTrust('deploy', trust({ StringEquals: { [`${ISSUER}:sub`]: 'repo:acme/site:environment:live' } }));
    const job = cloud.github.jobEnvironment({ environment: 'live' });
    const answer = await fetch(`${job.ACTIONS_ID_TOKEN_REQUEST_URL}&audience=sts.amazonaws.com`, {
      headers: { authorization: `Bearer ${job.ACTIONS_ID_TOKEN_REQUEST_TOKEN}` },
    });
    const { value: WebIdentityToken } = (await answer.json()) as { value: string };
    expect(await failure(assume({ WebIdentityToken }))).toBe('fine');
    expect(cloud.secrets).toEqual(expect.arrayContaining([WebIdentityToken, job.ACTIONS_ID_TOKEN_REQUEST_TOKEN]));
  });

  const claims = (over: object) => ({ ...decodeJwt(cloud.github.token()), ...over });
  const now = Math.floor(Date.now() / 1000);
  test.each<[string, () => string, string | RegExp]>([
    ['no JWT', () => 'nonsense', /InvalidIdentityToken: The ID Token provided is not a valid JWT/],
    [
      'another issuer',
      () => cloud.github.token({ iss: 'https://example.com' }),
      '400 InvalidIdentityToken: No OpenIDConnect provider found in your account for https://example.com',
    ],
    ['an issuer with a slash', () => cloud.github.token({ iss: `https://${ISSUER}/` }), /No OpenIDConnect provider/],
    ['another audience', () => cloud.github.token({ aud: 'me' }), '400 InvalidIdentityToken: Incorrect token audience'],
    [
      'an end in the past',
      () => cloud.github.token({ exp: now - 10 }),
      /^400 ExpiredToken: Token expired: current date/,
    ],
    ['a beginning in the future', () => cloud.github.token({ nbf: now + 100 }), /InvalidIdentityToken/],
    ['a birth in the future', () => cloud.github.token({ iat: now + 100 }), /InvalidIdentityToken/],
    ['no end', () => cloud.github.token({ exp: undefined }), /Missing a required claim: exp/],
    ['no subject', () => cloud.github.token({ sub: undefined }), /Missing a required claim: sub/],
    ['no signature', () => cloud.github.sign(claims({}), { algorithm: 'none' }), /InvalidIdentityToken/],
    ['a forged HMAC', () => cloud.github.sign(claims({}), { algorithm: 'HS256' }), /InvalidIdentityToken/],
    [
      'another key',
      () => cloud.github.sign(claims({}), { key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey }),
      /InvalidIdentityToken/,
    ],
    [
      'an unknown key id',
      () => cloud.github.sign(claims({}), { kid: 'other' }),
      /InvalidIdentityToken: Couldn't retrieve verification key from your identity provider/,
    ],
  ])('refuses a token with %s', async (_, token, expected) => {
    expect(await failure(assume({ WebIdentityToken: token() }))).toMatch(expected);
  });

  test('cannot verify anything while the issuer is down', async () => {
    cloud.github.failNext(500, 1, 'keys');
    expect(await failure(assume())).toMatch(/InvalidIdentityToken: Couldn't retrieve verification key/);
    expect(await failure(assume())).toBe('fine');
  });

  test.each<[Partial<AssumeRoleWithWebIdentityCommandInput>, string | RegExp]>([
    [
      { DurationSeconds: 899 },
      /ValidationError: 1 validation error detected: Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900/,
    ],
    [{ DurationSeconds: 43_201 }, /less than or equal to 43200/],
    [
      { DurationSeconds: 3601 },
      '400 ValidationError: The requested DurationSeconds exceeds the MaxSessionDuration set for this role.',
    ],
    [{ RoleSessionName: 'a b' }, /regular expression pattern: \[\\w\+=,.@-\]\*/],
    [{ RoleSessionName: 'a' }, /length greater than or equal to 2/],
    [{ RoleArn: 'arn:aws:iam::123456789012:user/deploy' }, /ValidationError/],
    [{ RoleArn: 'arn:aws:iam::123456789012:role/missing' }, NOT_AUTHORIZED],
    [{ RoleArn: 'arn:aws:iam::999999999999:role/deploy' }, /No OpenIDConnect provider found/],
    [{ Policy: '{' }, /MalformedPolicyDocument/],
    [{ Policy: '{"Statement":[{"Effect":"Allow"}]}' }, '400 MalformedPolicyDocument: Syntax errors in policy.'],
    [{ Policy: JSON.stringify(policy(allow('s3:GetObject', 'x'.repeat(2048)))) }, /length less than or equal to 2048/],
  ])('refuses %j', async (input, expected) => {
    expect(await failure(assume(input))).toMatch(expected);
  });

  test('narrows the session by a policy, and never widens it', async () => {
    cloud.setRolePolicy('deploy', policy(allow('s3:PutObject', 'arn:aws:s3:::web/a/*')));
    const Policy = JSON.stringify(policy(allow('s3:*', 'arn:aws:s3:::web/*/1')));
    const { Credentials } = await assume({ Policy });
    expect(await put(Credentials!, 'a/1')).toBe('fine');
    expect(await put(Credentials!, 'a/2')).toMatch(/because no session policy allows the s3:PutObject action$/);
    expect(await put(Credentials!, 'b/1')).toMatch(/because no identity-based policy allows the s3:PutObject action$/);
    const denied = await assume({ Policy: JSON.stringify(policy(allow('s3:*'), deny('s3:PutObject'))) });
    expect(await put(denied.Credentials!, 'a/1')).toMatch(/with an explicit deny in a session policy$/);
  });

  test('leaves the session with what the role has at each moment', async () => {
    const { Credentials } = await assume();
    cloud.setRolePolicy('deploy', undefined);
    expect(await put(Credentials!)).toMatch(
      /User: arn:aws:sts::123456789012:assumed-role\/deploy\/run-1 is not authorized to perform: s3:PutObject/,
    );
    cloud.setRolePolicy('deploy', policy(allow('s3:*')));
    expect(await put(Credentials!)).toBe('fine');
    cloud.removeRole('deploy');
    expect(await put(Credentials!)).toMatch(/no identity-based policy/);
    expect(await failure(assume())).toBe(NOT_AUTHORIZED);
  });

  test('sessions end when a test says so, or when their time is over', async () => {
    const { Credentials } = await assume();
    cloud.expireSessions();
    expect(await put(Credentials!)).toBe('400 ExpiredToken: The provided token has expired.');
    cloud.sessionSeconds = 5;
    const short = await assume();
    expect(await put(short.Credentials!)).toBe('fine');
    cloud.time = 6000;
    expect(await put(short.Credentials!)).toMatch(/ExpiredToken/);
  });

  test('needs a provider', async () => {
    const other = await startCloud({ github: cloud.github });
    const arn = await other.createRole('deploy', { trust: trust() });
    other.removeProvider();
    const input = { RoleArn: arn, RoleSessionName: 'run', WebIdentityToken: cloud.github.token() };
    const message = await failure(stsClient(other).send(new AssumeRoleWithWebIdentityCommand(input)));
    expect(message).toBe(
      `400 InvalidIdentityToken: No OpenIDConnect provider found in your account for https://${ISSUER}`,
    );
    await other.close();
  });
});

describe('AssumeRole', () => {
  const trusts = (AWS: string, Condition?: PolicyStatement['Condition']) =>
    policy({ Effect: 'Allow', Principal: { AWS }, Action: 'sts:AssumeRole', ...(Condition && { Condition }) });
  const send = (credentials: Parameters<typeof s3Client>[1], input: Partial<AssumeRoleCommandInput> = {}) =>
    stsClient(cloud, { credentials }).send(new AssumeRoleCommand({ RoleArn, RoleSessionName: 'chained', ...input }));

  test('is for those whom the role trusts by name', async () => {
    const ann = await cloud.createUser('ann');
    cloud.setTrust('deploy', trusts(`arn:aws:iam::${cloud.account}:user/ann`));
    const { Credentials } = await send(ann);
    expect(await put(Credentials!)).toBe('fine');
    expect(await failure(send(await cloud.createUser('bob', policy(allow('sts:*')))))).toBe(
      `403 AccessDenied: User: arn:aws:iam::123456789012:user/bob is not authorized to perform: sts:AssumeRole on resource: ${RoleArn}`,
    );
  });

  test('is, where the role trusts the account, for those who may', async () => {
    cloud.setTrust('deploy', trusts(cloud.account));
    expect(await failure(send(await cloud.createUser('may', policy(allow('sts:AssumeRole', RoleArn)))))).toBe('fine');
    expect(await failure(send(await cloud.createUser('maynot')))).toMatch(/AccessDenied/);
  });

  test('asks for the external id', async () => {
    cloud.setTrust('deploy', trusts('*', { StringEquals: { 'sts:ExternalId': 'secret' } }));
    const ann = await cloud.createUser('ann');
    expect(await failure(send(ann, { ExternalId: 'secret' }))).toBe('fine');
    expect(await failure(send(ann, { ExternalId: 'guess' }))).toMatch(/AccessDenied/);
    expect(await failure(send(ann))).toMatch(/AccessDenied/);
  });

  test('from a session lasts an hour at most', async () => {
    const first = await assume();
    await cloud.createRole('second', { trust: trusts(RoleArn), maxSessionSeconds: 7200 });
    const second = { RoleArn: RoleArn.replace('deploy', 'second') };
    expect(await failure(send(keysOf(first.Credentials!), second))).toBe('fine');
    expect(await failure(send(keysOf(first.Credentials!), { ...second, DurationSeconds: 3601 }))).toMatch(
      /1 hour session limit/,
    );
  });
});

describe('GetCallerIdentity', () => {
  const who = (credentials: Parameters<typeof s3Client>[1]) =>
    stsClient(cloud, { credentials }).send(new GetCallerIdentityCommand());

  test('names whoever signs, whatever his rights', async () => {
    expect(await who(await cloud.createUser('nobody'))).toMatchObject({
      Arn: 'arn:aws:iam::123456789012:user/nobody',
      Account: '123456789012',
      UserId: expect.stringMatching(/^AIDA/),
    });
    const { Credentials, AssumedRoleUser } = await assume();
    const identity = await who(keysOf(Credentials!));
    expect([identity.Arn, identity.UserId]).toEqual([AssumedRoleUser?.Arn, AssumedRoleUser?.AssumedRoleId]);
  });

  test('refuses wrong keys', async () => {
    const keys = await cloud.createUser('somebody');
    expect(await failure(who({ accessKeyId: 'AKIAXXXXXXXXXXXXXXXX', secretAccessKey: 'x' }))).toBe(
      '403 InvalidClientTokenId: The security token included in the request is invalid.',
    );
    expect(await failure(who({ ...keys, secretAccessKey: 'x' }))).toMatch(/^403 SignatureDoesNotMatch/);
    cloud.deleteKeys(keys.accessKeyId);
    expect(await failure(who(keys))).toMatch(/InvalidClientTokenId/);
    const { Credentials } = await assume();
    cloud.expireSessions();
    expect(await failure(who(keysOf(Credentials!)))).toBe(
      '403 ExpiredToken: The security token included in the request is expired',
    );
  });
});
