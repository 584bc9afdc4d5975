import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generate } from 'selfsigned';

/** How the store of a bench answers; milliseconds that a request and a page of a listing take. */
export interface StoreSettings {
  readonly ms: number;
  readonly listMs: number;
  /** Holds bodies against their x-amz-content-sha256 too, not against their Content-MD5 alone. */
  readonly verify: boolean;
  readonly tls?: { readonly cert: string; readonly key: string };
}

export type ToStore = { readonly say: 'clear' | 'count' };
export type FromStore =
  | { readonly port: number }
  | { readonly counts: Record<string, number>; readonly objects: number };

/** What was asked of a store since it was last asked, and what it holds. */
export interface Counted {
  readonly requests: number;
  readonly counts: Record<string, number>;
  readonly objects: number;
}

/** A store that runs. */
export interface Store {
  readonly endpoint: string;
  /** A file with its certificate; undefined without TLS. */
  readonly authority: string | undefined;
  clear(): Promise<Counted>;
  count(): Promise<Counted>;
  close(): Promise<void>;
}

/** Starts a store in a process of its own. Its certificate goes into the folder. */
export async function startStore(
  folder: string,
  { tls, ...settings }: { ms: number; listMs: number; verify: boolean; tls: boolean },
): Promise<Store> {
  const certificate = tls ? await makeCertificate() : undefined;
  const authority = certificate === undefined ? undefined : join(folder, 'authority.pem');
  if (authority !== undefined && certificate !== undefined) writeFileSync(authority, certificate.cert);
  const child = fork(join(import.meta.dirname, 'server.ts'), {
    env: { ...process.env, BENCH_STORE: JSON.stringify({ ...settings, ...(certificate && { tls: certificate }) }) },
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  const ask = async (message: ToStore): Promise<Counted> => {
    child.send(message);
    const [{ counts, objects }] = (await once(child, 'message')) as [Omit<Counted, 'requests'>];
    return { counts, objects, requests: Object.values(counts).reduce((sum, n) => sum + n, 0) };
  };
  return {
    endpoint: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    authority,
    clear: () => ask({ say: 'clear' }),
    count: () => ask({ say: 'count' }),
    close: async () => {
      child.disconnect();
      await once(child, 'exit');
    },
  };
}

async function makeCertificate(): Promise<{ cert: string; key: string }> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: '127.0.0.1' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
    ],
  });
  return { cert, key };
}
