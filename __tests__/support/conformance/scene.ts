import { type BucketLocationConstraint, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import {
  AssumeRoleWithWebIdentityCommand,
  type AssumeRoleWithWebIdentityCommandInput,
  type Credentials,
  STSClient,
} from '@aws-sdk/client-sts';
import type { AccessKeys, PolicyDocument, PolicyStatement, TestCloud } from '../test-cloud.ts';

export interface SessionKeys extends AccessKeys {
  sessionToken?: string;
}

/** One test of the suite: what it is in a sentence, and how it goes. */
export interface Case {
  name: string;
  run(scene: Scene): Promise<void>;
  /** Clouds that are known to differ from AWS here, with how they do. The case is skipped there. */
  except?: Partial<Record<TestCloud['name'], string>>;
}

let count = 0;

/** What a case has to work with: a bucket of its own, and clients in any role it likes. */
export class Scene {
  readonly cloud: TestCloud;
  readonly bucket: string;
  /** A client that may do everything. */
  readonly s3: S3Client;
  readonly sts: STSClient;
  readonly #clients: { destroy(): void }[] = [];

  private constructor(cloud: TestCloud, bucket: string, admin: AccessKeys) {
    this.cloud = cloud;
    this.bucket = bucket;
    this.s3 = this.as(admin);
    this.sts = this.#keep(new STSClient({ ...this.#base(cloud.stsEndpoint), credentials: admin }));
  }

  static async set(cloud: TestCloud, admin: AccessKeys): Promise<Scene> {
    const bucket = `conformance-${++count}`;
    await cloud.createBucket(bucket);
    return new Scene(cloud, bucket, admin);
  }

  /** An S3 client with these keys. */
  as(credentials: SessionKeys, config: S3ClientConfig = {}): S3Client {
    return this.#keep(
      new S3Client({ ...this.#base(this.cloud.s3Endpoint), forcePathStyle: true, credentials, ...config }),
    );
  }

  /** An STS client with these keys. */
  stsAs(credentials: SessionKeys): STSClient {
    return this.#keep(new STSClient({ ...this.#base(this.cloud.stsEndpoint), credentials }));
  }

  /** A client of a new user with this policy. */
  async user(...statements: PolicyStatement[]): Promise<S3Client> {
    return this.as(await this.userKeys(...statements));
  }

  /** Keys of a new user with this policy, and its ARN. */
  async userKeys(...statements: PolicyStatement[]): Promise<AccessKeys & { arn: string }> {
    const name = `user-${++count}`;
    const keys = await this.cloud.createUser(name, statements.length > 0 ? policy(...statements) : undefined);
    return { ...keys, arn: `arn:aws:iam::${this.cloud.account}:user/${name}` };
  }

  /** A new role, assumable by jobs of acme/site's main branch unless `trust` says otherwise. Answers its ARN. */
  async role(
    statements: PolicyStatement[],
    trust: PolicyDocument = this.trust({ sub: 'repo:acme/site:ref:refs/heads/main' }),
  ) {
    const document = statements.length > 0 ? { policy: policy(...statements) } : {};
    return this.cloud.createRole(`role-${++count}`, { trust, ...document });
  }

  /** A trust policy for GitHub's tokens whose claims equal these. */
  trust(claims: Record<string, string>, operator = 'StringEquals'): PolicyDocument {
    const issuer = this.cloud.github.issuer.replace(/^https?:\/\//, '');
    const equal = Object.fromEntries(Object.entries(claims).map(([name, value]) => [`${issuer}:${name}`, value]));
    return policy({
      Effect: 'Allow',
      Principal: { Federated: this.cloud.github.providerArn },
      Action: 'sts:AssumeRoleWithWebIdentity',
      Condition: { [operator]: equal },
    });
  }

  /** A token as a job gets it. */
  async token(claims: Record<string, unknown> = {}, audience = 'sts.amazonaws.com'): Promise<string> {
    const env = this.cloud.github.jobEnvironment(claims);
    const answer = await fetch(`${env.ACTIONS_ID_TOKEN_REQUEST_URL}&audience=${encodeURIComponent(audience)}`, {
      headers: { authorization: `Bearer ${env.ACTIONS_ID_TOKEN_REQUEST_TOKEN}` },
    });
    return ((await answer.json()) as { value: string }).value;
  }

  /** AssumeRoleWithWebIdentity, with a good token unless `more` has another. */
  async assume(role: string, more: Partial<AssumeRoleWithWebIdentityCommandInput> = {}) {
    const WebIdentityToken = more.WebIdentityToken ?? (await this.token());
    const input = { RoleArn: role, RoleSessionName: 'conformance', WebIdentityToken, ...more };
    return this.sts.send(new AssumeRoleWithWebIdentityCommand(input));
  }

  /** An S3 client in a session of a role. */
  async session(role: string, more: Partial<AssumeRoleWithWebIdentityCommandInput> = {}): Promise<S3Client> {
    return this.as(keysOf((await this.assume(role, more)).Credentials));
  }

  /** The ARN of this case's bucket, or of keys in it. */
  arn(keys?: string): string {
    return `arn:aws:s3:::${this.bucket}${keys === undefined ? '' : `/${keys}`}`;
  }

  clear(): void {
    for (const client of this.#clients) client.destroy();
  }

  #base(endpoint: string) {
    return { endpoint, region: this.cloud.region as BucketLocationConstraint, maxAttempts: 1 };
  }

  #keep<Client extends { destroy(): void }>(client: Client): Client {
    this.#clients.push(client);
    return client;
  }
}

/** The credentials of an answer of STS as a client takes them. */
export function keysOf(credentials: Credentials | undefined): Required<SessionKeys> {
  const { AccessKeyId = '', SecretAccessKey = '', SessionToken = '' } = credentials ?? {};
  return { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken };
}

/** How a request ended: `200`, or status and code as in `403 AccessDenied`; the status alone if no code came back. */
export async function outcome(answer: Promise<{ $metadata: { httpStatusCode?: number } }>): Promise<string> {
  try {
    return String((await answer).$metadata.httpStatusCode);
  } catch (error) {
    const { name, $metadata } = error as { name: string; $metadata?: { httpStatusCode?: number } };
    if (!$metadata?.httpStatusCode) throw error;
    const status = String($metadata.httpStatusCode);
    return /^(\d+|Unknown|UnknownError|NotFound|Forbidden|BadRequest)$/.test(name) ? status : `${status} ${name}`;
  }
}

export const policy = (...statements: PolicyStatement[]): PolicyDocument => ({
  Version: '2012-10-17',
  Statement: statements,
});

type Words = string | string[];
type Condition = NonNullable<PolicyStatement['Condition']>;

const statement = (
  Effect: 'Allow' | 'Deny',
  Action: Words,
  Resource: Words,
  Condition?: Condition,
): PolicyStatement => ({
  Effect,
  Action,
  Resource,
  ...(Condition && { Condition }),
});

export const allow = (action: Words, resource: Words, condition?: Condition) =>
  statement('Allow', action, resource, condition);

export const deny = (action: Words, resource: Words, condition?: Condition) =>
  statement('Deny', action, resource, condition);
