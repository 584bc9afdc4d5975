import type { Answer } from './connection.ts';

const DAY_MS = 86_400_000;
const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** The token service of the runner: a token that says who the job is, which nobody here checks. */
export function idToken(): Answer {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: 'https://token.actions.githubusercontent.com',
    aud: 'sts.amazonaws.com',
    sub: 'repo:acme/site:ref:refs/heads/main',
    iat: now,
    exp: now + 300,
    // As long as GitHub's are.
    more: 'x'.repeat(1_000),
  };
  const signature = Buffer.alloc(256, 7).toString('base64url');
  const value = `${base64url({ typ: 'JWT', alg: 'RS256' })}.${base64url(claims)}.${signature}`;
  return { status: 200, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ value }) };
}

/** STS: keys for an hour, for whoever asks. */
export function assumeRole(operation: string): Answer {
  const result = `<Credentials><AccessKeyId>ASIABENCHBENCHBENCH0</AccessKeyId><SecretAccessKey>bench/secret/bench/secret/bench/secret00</SecretAccessKey><SessionToken>${'s'.repeat(900)}</SessionToken><Expiration>${new Date(Date.now() + DAY_MS / 24).toISOString()}</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>AROABENCHBENCHBENCH0:bench</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/deploy/bench</Arn></AssumedRoleUser>`;
  return {
    status: 200,
    headers: { 'Content-Type': 'text/xml' },
    body: `<${operation}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${operation}Result>${result}</${operation}Result><ResponseMetadata><RequestId>bench</RequestId></ResponseMetadata></${operation}Response>`,
  };
}
