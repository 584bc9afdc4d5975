import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createLocalJWKSet, decodeJwt, importX509, jwtVerify } from 'jose';
import { GITHUB_ISSUER, type GitHub, startGitHub } from '../support/github.ts';

let github: GitHub;
beforeAll(async () => {
  github = await startGitHub();
});
afterAll(() => github.close());

async function ask(environment: Record<string, string>, audience = 'sts.amazonaws.com', token?: string) {
  const bearer = token ?? environment.ACTIONS_ID_TOKEN_REQUEST_TOKEN;
  return fetch(`${environment.ACTIONS_ID_TOKEN_REQUEST_URL}&audience=${encodeURIComponent(audience)}`, {
    headers: { authorization: `bearer ${bearer}` },
  });
}

async function claimsOf(environment: Record<string, string>) {
  const answer = (await (await ask(environment)).json()) as { value: string };
  expect(github.issued).toContain(answer.value);
  return decodeJwt(answer.value);
}

test('a token verifies against the published keys, and against the certificate in x5c', async () => {
  const token = github.token();
  const options = { issuer: GITHUB_ISSUER, audience: 'sts.amazonaws.com' };
  const keys = (await (await fetch(`${github.url}/.well-known/jwks`)).json()) as Parameters<
    typeof createLocalJWKSet
  >[0];
  await jwtVerify(token, createLocalJWKSet(keys), options);
  await jwtVerify(token, await importX509(github.certificate, 'RS256'), options);
  expect(github.jwks.keys[0]?.x5c).toEqual([github.certificate.replace(/-----[^-]+-----|\s/g, '')]);
});

test('the discovery document names the issuer and its keys', async () => {
  const document = await (await fetch(`${github.url}/.well-known/openid-configuration`)).json();
  expect(document).toMatchObject({ issuer: GITHUB_ISSUER, jwks_uri: `${GITHUB_ISSUER}/.well-known/jwks` });
});

test('a job gets the claims of a push to main, for the audience it asks for', async () => {
  expect(await claimsOf(github.jobEnvironment())).toMatchObject({
    sub: 'repo:acme/site:ref:refs/heads/main',
    aud: 'sts.amazonaws.com',
    repository_owner: 'acme',
    event_name: 'push',
    ref_type: 'branch',
  });
});

test.each([
  [{ environment: 'production' }, 'repo:acme/site:environment:production'],
  [{ event_name: 'pull_request', ref: 'refs/pull/3/merge' }, 'repo:acme/site:pull_request'],
  [{ ref: 'refs/tags/v1' }, 'repo:acme/site:ref:refs/tags/v1'],
  [{ repository: 'other/repo' }, 'repo:other/repo:ref:refs/heads/main'],
  [{ sub: 'repo:acme@1/site@2:ref:refs/heads/main' }, 'repo:acme@1/site@2:ref:refs/heads/main'],
])('the claims %j make the subject %s', async (claims, sub) => {
  expect(await claimsOf(github.jobEnvironment(claims))).toMatchObject({ ...claims, sub });
});

test('a wrong or missing request token gets 401', async () => {
  const environment = github.jobEnvironment();
  expect((await ask(environment, 'a', 'wrong')).status).toBe(401);
  expect((await fetch(environment.ACTIONS_ID_TOKEN_REQUEST_URL!)).status).toBe(401);
});

test('failNext fails as often as it was told to', async () => {
  const environment = github.jobEnvironment();
  github.failNext(503, 2);
  const statuses = [];
  for (let i = 0; i < 3; i++) statuses.push((await ask(environment)).status);
  expect(statuses).toEqual([503, 503, 200]);
});

test.each([
  ['of another key', { key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey }],
  ['without a signature', { algorithm: 'none' as const }],
  ['signed with the public key as a secret', { algorithm: 'HS256' as const }],
])('a forged token %s does not verify', async (_, options) => {
  const token = github.sign(decodeJwt(github.token()), options);
  const keys = createLocalJWKSet(github.jwks as unknown as Parameters<typeof createLocalJWKSet>[0]);
  await expect(jwtVerify(token, keys)).rejects.toThrow();
});
