import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { AccessKeys } from '../test-cloud.ts';
import { cephConfig } from './config.ts';
import { call, type Daemon, freePorts, requireCeph, startDaemon } from './daemon.ts';

/** A running cluster, bare: daemons, and the two programs that administer it. */
export interface Cluster {
  readonly endpoint: string;
  readonly folder: string;
  readonly osd: Daemon;
  /** Runs radosgw-admin and answers its stdout. */
  admin(...args: string[]): Promise<string>;
  /** Changes a setting of the gateway while it runs. */
  configure(name: string, value: string | number): Promise<void>;
  stop(): Promise<void>;
}

export interface ClusterOptions {
  region: string;
  /** Tenant of every user and role: a number of twelve digits makes ARNs look like those of AWS. */
  tenant: string;
  /** The user that owns the buckets and may administer the others. */
  owner: { name: string; keys: AccessKeys };
  /** Through which the gateway fetches the keys of token issuers. */
  proxy: string;
}

/** Starts monitor, OSD and gateway in a new temporary folder. It takes a few seconds and about 130 MB. */
export async function startCluster({ region, tenant, owner, proxy }: ClusterOptions): Promise<Cluster> {
  await requireCeph();
  const folder = await mkdtemp(path.join(tmpdir(), 's3-deploy-ceph-'));
  const daemons: Daemon[] = [];
  const stop = async () => {
    await Promise.all(daemons.map((daemon) => daemon.stop()));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const [monitorPort, gatewayPort] = (await freePorts(2)) as [number, number];
    const fsid = randomUUID();
    const config = path.join(folder, 'ceph.conf');
    await writeFile(config, cephConfig({ folder, fsid, monitorPort, gatewayPort }));
    for (const name of ['mon', 'osd', 'rgw']) await mkdir(path.join(folder, name));
    const admin = (...args: string[]) => call('radosgw-admin', ['-c', config, '-n', 'client.rgw', ...args]);

    await startMonitor();
    const osd = await startOsd();
    daemons.push(osd);
    // The user comes before the zone group: making it creates the default zone, which `zonegroup get` does not.
    await admin('user', 'create', ...identity(tenant, owner.name), ...keys(owner.keys), `--caps=${CAPS}`);
    await nameRegion(config, region, admin);
    const endpoint = `http://127.0.0.1:${gatewayPort}`;
    daemons.push(
      startDaemon('radosgw', ['-f', '-c', config, '-n', 'client.rgw'], {
        http_proxy: proxy,
        https_proxy: proxy,
        no_proxy: '127.0.0.1,localhost',
      }),
    );
    await answering(endpoint);
    const configure = async (name: string, value: string | number) => {
      await call('ceph', ['--admin-daemon', `${folder}/client.rgw.asok`, 'config', 'set', name, String(value)]);
    };
    return { endpoint, folder, osd, admin, configure, stop };

    async function startMonitor(): Promise<void> {
      const map = path.join(folder, 'monmap');
      const address = `[v2:127.0.0.1:${monitorPort}]`;
      const form = ['--create', '--fsid', fsid, '--addv', 'a', address, '--set-min-mon-release', 'pacific'];
      await call('monmaptool', [...form, map]);
      await call('ceph-mon', ['-c', config, '--id', 'a', '--mkfs', '--monmap', map]);
      daemons.push(startDaemon('ceph-mon', ['-f', '-c', config, '--id', 'a']));
    }

    async function startOsd(): Promise<Daemon> {
      const uuid = randomUUID();
      await call('ceph', ['-c', config, '--connect-timeout', '30', 'osd', 'new', uuid, '0']);
      await call('ceph-osd', ['-c', config, '-i', '0', '--mkfs', '--osd-uuid', uuid]);
      return startDaemon('ceph-osd', ['-f', '-c', config, '-i', '0']);
    }
  } catch (error) {
    await stop();
    throw error;
  }
}

const CAPS = 'oidc-provider=*;roles=*;user-policy=*;buckets=*;users=*';

/** Arguments of radosgw-admin that name a user. */
export const identity = (tenant: string, name: string) => [
  `--tenant=${tenant}`,
  `--uid=${name}`,
  `--display-name=${name}`,
];

/** Arguments of radosgw-admin that set a user's keys. */
export const keys = ({ accessKeyId, secretAccessKey }: AccessKeys) => [
  `--access-key=${accessKeyId}`,
  `--secret-key=${secretAccessKey}`,
];

/** The region's name is that of the zone group in the API. */
async function nameRegion(config: string, region: string, admin: Cluster['admin']): Promise<void> {
  const zonegroup = JSON.parse(await admin('zonegroup', 'get'));
  const renamed = JSON.stringify({ ...zonegroup, api_name: region });
  await call('radosgw-admin', ['-c', config, '-n', 'client.rgw', 'zonegroup', 'set'], renamed);
}

async function answering(endpoint: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const up = await fetch(endpoint, { signal: AbortSignal.timeout(5_000) }).then(
      () => true,
      () => false,
    );
    if (up) return;
    if (Date.now() > deadline) throw new Error(`The gateway at ${endpoint} did not come up within a minute.`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
