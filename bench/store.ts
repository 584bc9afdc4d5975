import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { onCores } from './machine.ts';
import type { PaceSettings } from './store/pace.ts';

/** How a store is started. */
export interface StoreSettings {
  readonly pace: PaceSettings;
  /** Holds bodies against the SHA-256 that signs them too, not against their checksum alone. */
  readonly verify: boolean;
  readonly tls?: { readonly cert: string; readonly key: string };
}

export type ToStore =
  | { readonly say: 'clear' | 'count' }
  | { readonly say: 'save' | 'restore'; readonly name: string }
  | { readonly say: 'pace'; readonly pace: PaceSettings };
export type FromStore = { readonly port: number } | Omit<Counted, 'requests'>;

/** What was asked of a store since it was last counted or cleared, what that cost it, and what it holds. */
export interface Counted {
  readonly requests: number;
  /** By operation; `BadDigest` and `SlowDown` count answers. */
  readonly counts: Record<string, number>;
  readonly objects: number;
  /** Uploads in parts that nobody has completed or aborted. */
  readonly openUploads: number;
  /** Seconds of the store's own processor time. */
  readonly cpu: number;
}

/** A store that runs. */
export interface Store {
  readonly port: number;
  readonly endpoint: string;
  /** A file with its certificate; undefined without TLS. */
  readonly authority: string | undefined;
  clear(): Promise<Counted>;
  count(): Promise<Counted>;
  /** Remembers the objects under a name. */
  save(name: string): Promise<Counted>;
  restore(name: string): Promise<Counted>;
  setPace(pace: PaceSettings): Promise<Counted>;
  close(): Promise<void>;
}

/** Counts that are not of requests. */
const ANSWERS = new Set(['BadDigest', 'SlowDown']);

/** Starts a store in a process of its own, on these cores. Its certificate goes into the folder. */
export async function startStore(
  folder: string,
  { tls, cores, ...settings }: { pace: PaceSettings; verify: boolean; tls: boolean; cores: string | undefined },
): Promise<Store> {
  const certificate = tls ? await makeCertificate() : undefined;
  const authority = certificate === undefined ? undefined : join(folder, 'authority.pem');
  if (authority !== undefined && certificate !== undefined) writeFileSync(authority, certificate.cert);
  const script = join(import.meta.dirname, 'store', 'process.ts');
  const [file = '', ...args] = onCores(cores, [process.execPath, '--disable-warning=ExperimentalWarning', script]);
  const child = spawn(file, args, {
    env: { ...process.env, BENCH_STORE: JSON.stringify({ ...settings, ...(certificate && { tls: certificate }) }) },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  const ask = async (message: ToStore): Promise<Counted> => {
    child.send(message);
    const [counted] = (await once(child, 'message')) as [Omit<Counted, 'requests'>];
    const requests = Object.entries(counted.counts).reduce((sum, [name, n]) => (ANSWERS.has(name) ? sum : sum + n), 0);
    return { ...counted, requests };
  };
  return {
    port,
    endpoint: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    authority,
    clear: () => ask({ say: 'clear' }),
    count: () => ask({ say: 'count' }),
    save: (name) => ask({ say: 'save', name }),
    restore: (name) => ask({ say: 'restore', name }),
    setPace: (pace) => ask({ say: 'pace', pace }),
    close: async () => {
      child.disconnect();
      await once(child, 'exit');
    },
  };
}

/** For the loopback address, and for AWS's names in the one region. */
const NAMES = ['*.amazonaws.com', '*.s3.amazonaws.com', '*.us-east-1.amazonaws.com', '*.s3.us-east-1.amazonaws.com'];

async function makeCertificate(): Promise<{ cert: string; key: string }> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: '127.0.0.1' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(Date.now() - 86_400_000),
    extensions: [
      { name: 'basicConstraints', cA: true },
      {
        name: 'subjectAltName',
        altNames: [{ type: 7, ip: '127.0.0.1' }, ...NAMES.map((value) => ({ type: 2 as const, value }))],
      },
    ],
  });
  return { cert, key };
}
