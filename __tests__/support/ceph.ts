import { randomBytes } from 'node:crypto';
import { identity, keys, startCluster } from './ceph/cluster.ts';
import { MAX_REQUESTS } from './ceph/config.ts';
import { Iam } from './ceph/iam.ts';
import { startIssuerProxy } from './ceph/issuer-proxy.ts';
import { BucketOwner } from './ceph/owner.ts';
import { SignedClient } from './ceph/signed-request.ts';
import { type GitHub, startGitHub } from './github.ts';
import { handedOut } from './secrets.ts';
import type { AccessKeys, PolicyDocument, TestCloud } from './test-cloud.ts';

const ACCOUNT = '123456789012';
const REGION = 'eu-central-1';
const OWNER = 'owner';

/** A Ceph cluster of one's own, with the faults that a real server can be made to have. */
export interface Ceph extends TestCloud {
  readonly github: GitHub;
  /** Secret keys of users and tokens of jobs, handed out so far. What STS hands out is not seen here. */
  readonly secrets: readonly string[];
  /** The gateway answers SlowDown to what exceeds this many requests at once; without a number, the limit is lifted. */
  throttle(requests?: number): Promise<void>;
  /** Stops the disk, so that requests hang; `continueOsd` lets them go on. */
  stopOsd(): void;
  continueOsd(): void;
  /** A suspended user's requests are refused with UserSuspended until `false` is given. */
  suspendUser(name: string, suspended?: boolean): Promise<void>;
  /** Buckets of the owner hold no more than this; QuotaExceeded is the answer beyond. `undefined` lifts it. */
  setQuota(bytes: number | undefined): Promise<void>;
}

/**
 * Starts a throwaway Ceph: S3, IAM, and STS that takes GitHub's tokens. Needs Debian's or Ubuntu's packages, see
 * `requireCeph`. Its issuer is the real one by name, served by the test's own key.
 */
export async function startCeph(): Promise<Ceph> {
  const github = await startGitHub({ account: ACCOUNT });
  const proxy = await startIssuerProxy(github);
  const owner = { name: OWNER, keys: newKeys() };
  const cluster = await startCluster({ region: REGION, tenant: ACCOUNT, owner, proxy: proxy.url }).catch(
    async (error) => {
      await Promise.all([proxy.close(), github.close()]);
      throw error;
    },
  );
  const client = new SignedClient(cluster.endpoint, owner.keys, REGION);
  const iam = new Iam(client, ACCOUNT);
  const buckets = new BucketOwner(client);
  await iam.createOpenIdProvider(github.issuer, 'sts.amazonaws.com');
  const secretKeys = [owner.keys.secretAccessKey];
  const policies = new Map<string, PolicyDocument>();
  const givePolicy = async (user: string, policy: PolicyDocument) => {
    policies.set(user, policy);
    await iam.putUserPolicy(user, policy);
  };
  // radosgw-admin writes a user back without its policy, so every change of a user ends with this.
  const changeUser = async (user: string, ...args: string[]) => {
    await cluster.admin(...args, `--tenant=${ACCOUNT}`, `--uid=${user}`);
    const policy = policies.get(user);
    if (policy) await iam.putUserPolicy(user, policy);
  };
  // An object belongs to whoever put it, as in AWS's old days; here the owner of the buckets is to see everything.
  await givePolicy(OWNER, { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 's3:*', Resource: '*' }] });

  return {
    name: 'ceph',
    s3Endpoint: cluster.endpoint,
    stsEndpoint: cluster.endpoint,
    region: REGION,
    account: ACCOUNT,
    github,
    get secrets() {
      return [...secretKeys, ...github.issued, ...github.requestTokens];
    },
    createBucket: (name) => buckets.createBucket(name),
    setBucketPolicy: (name, policy) => buckets.setPolicy(name, policy),
    objects: (bucket) => buckets.objects(bucket),
    openUploads: (bucket) => buckets.openUploads(bucket),
    putObject: (bucket, key, body, headers) => buckets.putObject(bucket, key, body, headers),
    createRole: (name, { trust, policy }) => iam.createRole(name, trust, policy),
    async createUser(name, policy) {
      const made = newKeys();
      secretKeys.push(made.secretAccessKey);
      await cluster.admin('user', 'create', ...identity(ACCOUNT, name), ...keys(made));
      if (policy) await givePolicy(name, policy);
      return made;
    },
    throttle: (requests = MAX_REQUESTS) => cluster.configure('rgw_max_concurrent_requests', requests),
    stopOsd: () => cluster.osd.kill('SIGSTOP'),
    continueOsd: () => cluster.osd.kill('SIGCONT'),
    suspendUser: (name, suspended = true) => changeUser(name, 'user', suspended ? 'suspend' : 'enable'),
    async setQuota(bytes) {
      const quota = ['--quota-scope=user', `--max-size=${bytes ?? -1}`];
      await changeUser(OWNER, 'quota', 'set', ...quota);
      await changeUser(OWNER, 'quota', bytes === undefined ? 'disable' : 'enable', '--quota-scope=user');
    },
    async close() {
      client.close();
      await cluster.stop();
      await Promise.all([proxy.close(), github.close()]);
    },
  };
}

function newKeys(): AccessKeys {
  const secretAccessKey = randomBytes(30).toString('base64');
  handedOut.add('a secret key', secretAccessKey);
  return { accessKeyId: `AKIA${randomBytes(8).toString('hex').toUpperCase()}`, secretAccessKey };
}
