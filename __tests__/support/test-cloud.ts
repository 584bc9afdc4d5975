/** What a test asks of a place to deploy to, whoever plays it: the loopback cloud, or Ceph RADOS Gateway. */
export interface TestCloud {
  readonly name: 'loopback' | 'ceph';
  /** Base URL of S3 in path style, on 127.0.0.1. */
  readonly s3Endpoint: string;
  /** Base URL of STS, on 127.0.0.1. */
  readonly stsEndpoint: string;
  readonly region: string;
  /** The account that owns every bucket, role and user: twelve digits. */
  readonly account: string;
  readonly github: GitHubTokens;
  createBucket(name: string): Promise<void>;
  /** The bucket's own policy, in place of the one that it had. */
  setBucketPolicy(name: string, policy: PolicyDocument): Promise<void>;
  /** A user of `account` with an inline policy; none without one. */
  createUser(name: string, policy?: PolicyDocument): Promise<AccessKeys>;
  /** A role of `account`; answers its ARN. Its trust policy is as given. */
  createRole(name: string, role: { trust: PolicyDocument; policy?: PolicyDocument }): Promise<string>;
  /** Every object of a bucket by key, whole, read with the rights of the owner. */
  objects(bucket: string): Promise<Map<string, StoredObject>>;
  /** Puts an object with the rights of the owner. `headers` are HTTP header names in any case. */
  putObject(bucket: string, key: string, body: Uint8Array | string, headers?: Record<string, string>): Promise<void>;
  /** Multipart uploads that were begun and neither completed nor aborted, by key. */
  openUploads(bucket: string): Promise<string[]>;
  /** Ends every server and process that it started. */
  close(): Promise<void>;
}

/** GitHub's OIDC token service as a job sees it. */
export interface GitHubTokens {
  /** `iss` of the tokens, without a trailing slash: `https://token.actions.githubusercontent.com` */
  readonly issuer: string;
  /** The ARN of the OIDC provider in the account. */
  readonly providerArn: string;
  /**
   * What a job with `permissions: id-token: write` finds in its environment (ACTIONS_ID_TOKEN_REQUEST_URL and _TOKEN).
   * Tokens that are asked for with it carry `claims` above those of a push to main of acme/site.
   */
  jobEnvironment(claims?: Record<string, unknown>): Record<string, string>;
  /** Every token handed out so far, so that a test can look for them in a log. */
  readonly issued: readonly string[];
}

export interface AccessKeys {
  accessKeyId: string;
  secretAccessKey: string;
}

export interface StoredObject {
  body: Buffer;
  /** Lower-case header names as a GET answers them: content-type, cache-control, etag (with its quotes), x-amz-meta-* … */
  headers: Record<string, string>;
}

export interface PolicyDocument {
  Version?: string;
  Statement: PolicyStatement | PolicyStatement[];
}

export interface PolicyStatement {
  Sid?: string;
  Effect: 'Allow' | 'Deny';
  Principal?: '*' | Record<string, string | string[]>;
  Action?: string | string[];
  NotAction?: string | string[];
  Resource?: string | string[];
  NotResource?: string | string[];
  Condition?: Record<string, Record<string, string | string[]>>;
}
