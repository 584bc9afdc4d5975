import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type GitHub, startGitHub } from '../github.ts';
import type { AccessKeys, PolicyDocument, StoredObject, TestCloud } from '../test-cloud.ts';
import { requestContext } from './authorization.ts';
import { Bucket, type BucketOptions } from './bucket.ts';
import type { CloudState } from './call.ts';
import { md5 } from './checksums.ts';
import { createCloudFront } from './cloudfront.ts';
import { Distribution } from './distribution.ts';
import type { Exchange } from './exchange.ts';
import { Faults } from './faults.ts';
import { type AwsHosts, startAwsHosts } from './hosts.ts';
import { check, Identities } from './identities.ts';
import { putObject } from './objects.ts';
import { objectHeaders } from './reads.ts';
import type { LoggedRequest } from './requests.ts';
import { createS3 } from './s3.ts';
import { createSts } from './sts.ts';
import type { OidcProvider } from './web-identity.ts';

export interface CloudOptions {
  /** `eu-central-1` unless given. */
  region?: string;
  /** Twelve digits. */
  account?: string;
  /** Where the web identities come from; a service of its own unless given. */
  github?: GitHub;
  /** `aws` adds a TLS server that a child process finds behind AWS's own host names: see `awsEnvironment`. */
  hosts?: 'loopback' | 'aws';
}

export interface RoleSettings {
  trust: PolicyDocument;
  policy?: PolicyDocument;
  /** Permissions boundary. */
  boundary?: PolicyDocument;
  /** MaxSessionDuration; an hour unless given. */
  maxSessionSeconds?: number;
}

/** S3, STS and CloudFront on 127.0.0.1, in this process, and all that a test may want to know or break. */
export interface LoopbackCloud extends TestCloud {
  readonly name: 'loopback';
  readonly github: GitHub;
  /** Base URL of CloudFront, on 127.0.0.1. */
  readonly cloudFrontEndpoint: string;
  /** Keys of the account itself, which nothing but a bucket policy binds. */
  readonly ownerKeys: AccessKeys;
  readonly faults: Faults;
  /** Every request since the start or `clearRequests`, oldest first. */
  readonly requests: readonly LoggedRequest[];
  /** Every secret handed out: key ids, secret keys, session tokens, web identity tokens and what asks for them. */
  readonly secrets: readonly string[];
  /** Milliseconds by which the cloud's clock is ahead of this machine's. */
  time: number;
  /** Seconds that every new session lasts, whatever it was asked for. */
  sessionSeconds: number | undefined;
  /** Bytes that every part of an upload but the last must have: 5 MiB, as on AWS, unless a test lowers it. */
  minimumPartSize: number;
  /** Audiences that the identity provider is registered for. */
  readonly clientIds: string[];
  /** Regions where STS answers RegionDisabledException; with `hosts: 'aws'` only. */
  readonly disabledStsRegions: Set<string>;
  createBucket(name: string, options?: BucketOptions): Promise<void>;
  deleteBucket(name: string): void;
  /** The bucket itself: `options` may be changed, versions and uploads looked at. */
  bucket(name: string): Bucket;
  /** A CloudFront distribution in front of a bucket. */
  createDistribution(bucket: string): Distribution;
  createUser(name: string, policy?: PolicyDocument, boundary?: PolicyDocument): Promise<AccessKeys>;
  setUserPolicy(name: string, policy: PolicyDocument | undefined): void;
  deleteKeys(accessKeyId: string): void;
  createRole(name: string, role: RoleSettings): Promise<string>;
  setRolePolicy(name: string, policy: PolicyDocument | undefined): void;
  setTrust(name: string, trust: PolicyDocument): void;
  removeRole(name: string): void;
  /** The account no longer knows the identity provider. */
  removeProvider(): void;
  /** Ends every session now. */
  expireSessions(): void;
  clearRequests(): void;
  /** How many requests of an operation came, or of all. */
  count(operation?: string): number;
  /** What a child process needs in its environment to find this cloud behind AWS's host names, and nothing else. */
  awsEnvironment(): Record<string, string>;
}

/** Starts the loopback cloud on free ports. */
export async function startCloud(options: CloudOptions = {}): Promise<LoopbackCloud> {
  const { region = 'eu-central-1', account = '123456789012' } = options;
  const github = options.github ?? (await startGitHub({ account }));
  const identities = new Identities(account);
  const ownerKeys = identities.createOwnerKeys();
  const faults = new Faults();
  let requests: LoggedRequest[] = [];
  const settings = { time: 0, sessionSeconds: undefined as number | undefined };
  const clientIds = ['sts.amazonaws.com'];
  const { issuer, providerArn } = github;
  const providers: OidcProvider[] = [
    { arn: providerArn, issuer, keysUrl: `${github.url}/.well-known/jwks`, clientIds },
  ];
  const disabledStsRegions = new Set<string>();
  const state: CloudState = {
    region,
    account,
    identities,
    buckets: new Map(),
    minimumPartSize: 5 * 1024 * 1024,
    now: () => Date.now() + settings.time,
  };
  const log = (request: LoggedRequest) => void requests.push(request);
  const s3 = createS3({ state, faults, log });
  const sts = createSts({
    state,
    faults,
    log,
    providers,
    disabledRegions: disabledStsRegions,
    sessionSeconds: () => settings.sessionSeconds,
  });

  const distributions = new Map<string, Distribution>();
  const cloudFront = createCloudFront({ state, distributions, faults, log });

  const servers = await Promise.all([listen(s3.handle), listen(sts.handle), listen(cloudFront.handle)]);
  const handleHost = (exchange: Exchange) => {
    const [service] = (exchange.request.headers.host ?? '').split('.');
    return (service === 'sts' ? sts : service === 'cloudfront' ? cloudFront : s3).handle(exchange);
  };
  const hosts: AwsHosts | undefined = options.hosts === 'aws' ? await startAwsHosts(handleHost) : undefined;

  const bucket = (name: string): Bucket => {
    const found = state.buckets.get(name);
    if (!found) throw new Error(`No bucket ${name}`);
    return found;
  };

  return {
    name: 'loopback',
    s3Endpoint: servers[0].url,
    stsEndpoint: servers[1].url,
    cloudFrontEndpoint: servers[2].url,
    region,
    account,
    github,
    ownerKeys,
    faults,
    clientIds,
    disabledStsRegions,
    get requests() {
      return requests;
    },
    get secrets() {
      return [...identities.secrets, ...github.issued, ...github.requestTokens];
    },
    get time() {
      return settings.time;
    },
    set time(milliseconds) {
      settings.time = milliseconds;
    },
    get sessionSeconds() {
      return settings.sessionSeconds;
    },
    set sessionSeconds(seconds) {
      settings.sessionSeconds = seconds;
    },
    get minimumPartSize() {
      return state.minimumPartSize;
    },
    set minimumPartSize(bytes) {
      state.minimumPartSize = bytes;
    },
    bucket,
    async createBucket(name, bucketOptions = {}) {
      check(bucketOptions.policy);
      if (state.buckets.has(name)) throw new Error(`Bucket ${name} is there already`);
      state.buckets.set(name, new Bucket(name, { ...bucketOptions, region: bucketOptions.region ?? region }));
    },
    deleteBucket: (name) => void state.buckets.delete(bucket(name).name),
    async setBucketPolicy(name, policy) {
      check(policy);
      bucket(name).options.policy = policy;
    },
    createDistribution(name) {
      const id = `E${String(distributions.size + 1).padStart(13, 'X')}`;
      const fetch = (key: string) => state.buckets.get(name)?.live(key)?.body.toString();
      const distribution = new Distribution(id, account, fetch);
      distributions.set(id, distribution);
      return distribution;
    },
    createUser: async (name, policy, boundary) => identities.createUser(name, { policy, boundary }),
    setUserPolicy(name, policy) {
      check(policy);
      identities.users.get(name)!.policy = policy;
    },
    deleteKeys: (accessKeyId) => identities.deleteKeys(accessKeyId),
    createRole: async (name, role) => identities.createRole(name, role).arn,
    setRolePolicy(name, policy) {
      check(policy);
      identities.role(name).policy = policy;
    },
    setTrust(name, trust) {
      check(trust);
      identities.role(name).trust = trust;
    },
    removeRole: (name) => void identities.roles.delete(identities.role(name).name),
    removeProvider: () => void providers.splice(0),
    expireSessions: () => identities.expireSessions(state.now()),
    clearRequests() {
      requests = [];
    },
    count: (operation) => requests.filter((request) => !operation || request.operation === operation).length,

    async objects(name) {
      const objects = new Map<string, StoredObject>();
      const { isVersioned } = bucket(name);
      for (const key of bucket(name).keys()) {
        const version = bucket(name).live(key);
        if (version) objects.set(key, { body: version.body, headers: objectHeaders(version, isVersioned) });
      }
      return objects;
    },
    async putObject(name, key, body, headers = {}) {
      const content = Buffer.from(body);
      const sent: Record<string, string> = { 'content-md5': md5(content).toString('base64') };
      for (const [header, value] of Object.entries(headers)) sent[header.toLowerCase()] = value;
      const { principal } = identities.credential(ownerKeys.accessKeyId)!;
      const context = requestContext(state, { headers: sent, secure: false, region, principal });
      const target = bucket(name);
      const { policy } = target.options;
      // What a test lays down, no bucket policy of the test forbids.
      target.options.policy = undefined;
      try {
        const call = { state, bucket: target, key, query: new Map(), headers: sent, body: content, principal, context };
        putObject({ ...call, operation: 'PutObject' });
      } finally {
        target.options.policy = policy;
      }
    },
    openUploads: async (name) => [...bucket(name).uploads.values()].map((upload) => upload.key),
    awsEnvironment() {
      if (!hosts) throw new Error("awsEnvironment needs startCloud({ hosts: 'aws' })");
      return hosts.environment;
    },
    async close() {
      faults.tell();
      await Promise.all([...servers.map((server) => server.close()), hosts?.close()]);
      if (!options.github) await github.close();
    },
  };
}

async function listen(handle: (exchange: Exchange) => Promise<void>) {
  const listener: RequestListener = (request, response) => {
    void handle({ request, response, secure: false, connection: request.socket });
  };
  // Longer than any test, or a silent fault would end as an answer of the server.
  const server = createServer({ requestTimeout: 0, keepAliveTimeout: 60_000 }, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
