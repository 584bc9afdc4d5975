import { randomBytes } from 'node:crypto';

type Section = Record<string, string | number | boolean>;

export interface ConfigOptions {
  folder: string;
  fsid: string;
  monitorPort: number;
  gatewayPort: number;
  /** More settings for the gateway. */
  gateway?: Section;
}

/**
 * A ceph.conf for one monitor, one OSD that keeps everything in memory and one gateway, all of it on 127.0.0.1 and
 * below `folder`. Found by trial with Ceph 16.2; what is not obvious has its reason beside it.
 */
export function cephConfig({ folder, fsid, monitorPort, gatewayPort, gateway }: ConfigOptions): string {
  const quiet = Object.fromEntries(LOUD.map((name) => [`debug_${name}`, '0/0']));
  const sections: Record<string, Section> = {
    global: {
      fsid,
      mon_host: `v2:127.0.0.1:${monitorPort}`,
      public_addr: '127.0.0.1',
      cluster_addr: '127.0.0.1',
      ms_bind_port_min: 21_000,
      ms_bind_port_max: 29_000,
      ms_bind_msgr1: false,
      auth_cluster_required: 'none',
      auth_service_required: 'none',
      auth_client_required: 'none',
      run_dir: folder,
      admin_socket: `${folder}/$name.asok`,
      log_file: `${folder}/$name.log`,
      crash_dir: folder,
      ms_crc_data: false,
      ms_crc_header: false,
      osd_pool_default_size: 1,
      osd_pool_default_min_size: 1,
      osd_pool_default_pg_num: 1,
      osd_pool_default_pg_autoscale_mode: 'off',
      osd_crush_chooseleaf_type: 0,
      mon_allow_pool_size_one: true,
      mon_max_pg_per_osd: 1000,
      rgw_rados_pool_pg_num_min: 1,
      ...quiet,
    },
    'mon.a': {
      mon_data: `${folder}/mon`,
      paxos_propose_interval: 0.01,
      paxos_min_wait: 0.01,
      mon_osd_min_in_ratio: 0,
      // Or the monitor stops itself on a disk that is nearly full.
      mon_data_avail_crit: 0,
      mon_data_avail_warn: 0,
    },
    'osd.0': {
      osd_data: `${folder}/osd`,
      osd_objectstore: 'memstore',
      memstore_device_bytes: 4 * 1024 ** 3,
      osd_enable_op_tracker: false,
      osd_op_num_shards: 2,
    },
    'client.rgw': {
      // Its default is "secure", which without authentication hangs for ever.
      ms_mon_client_mode: 'crc',
      // Without tcp_nodelay every small request waits for a delayed ACK.
      rgw_frontends: `beast endpoint=127.0.0.1:${gatewayPort} tcp_nodelay=1`,
      rgw_data: `${folder}/rgw`,
      rgw_enable_apis: 's3, sts, iam, admin',
      rgw_s3_auth_use_sts: true,
      rgw_sts_key: randomBytes(8).toString('hex'),
      rgw_override_bucket_index_max_shards: 1,
      rgw_run_sync_thread: false,
      rgw_thread_pool_size: 64,
      rgw_max_concurrent_requests: MAX_REQUESTS,
      rgw_crypt_require_ssl: false,
      rgw_crypt_s3_kms_backend: 'testing',
      rgw_crypt_s3_kms_encryption_keys: `${KMS_KEY}=${randomBytes(32).toString('base64')}`,
      // The issuer's certificate is our own.
      rgw_verify_ssl: false,
      ...gateway,
    },
  };
  return Object.entries(sections)
    .map(([name, section]) => `[${name}]\n${lines(section)}\n`)
    .join('\n');
}

/** Requests at once before the gateway answers SlowDown. */
export const MAX_REQUESTS = 4096;
/** The one KMS key there is. */
export const KMS_KEY = 'testkey-1';

const LOUD = ['ms', 'mon', 'paxos', 'osd', 'rgw', 'civetweb', 'rados', 'objecter', 'monc', 'auth', 'crush', 'asok'];

function lines(section: Section): string {
  return Object.entries(section)
    .map(([name, value]) => `${name} = ${value}`)
    .join('\n');
}
