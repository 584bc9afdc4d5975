import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import type { Exchange } from './exchange.ts';

/** A TLS server that answers for AWS's host names to child processes that are told so. */
export interface AwsHosts {
  environment: Record<string, string>;
  close(): Promise<void>;
}

/** A wildcard stands for one label, so that each region needs names of its own. */
const REGIONS =
  'us-east-1 us-east-2 us-west-1 us-west-2 ca-central-1 sa-east-1 eu-west-1 eu-west-2 eu-west-3 eu-central-1 eu-central-2 eu-north-1 eu-south-1 ap-south-1 ap-southeast-1 ap-southeast-2 ap-northeast-1 ap-northeast-2';

const NAMES = [
  'amazonaws.com',
  '*.amazonaws.com',
  '*.s3.amazonaws.com',
  ...REGIONS.split(' ').flatMap((region) => [`*.${region}.amazonaws.com`, `*.s3.${region}.amazonaws.com`]),
];

/** The preload that sends a child's connections for `*.amazonaws.com` here and lets no other leave the machine. */
const PRELOAD = new URL('./aws-hosts.mjs', import.meta.url).href;

/** Starts the TLS server with a certificate of its own on a free port of 127.0.0.1. */
export async function startAwsHosts(handle: (exchange: Exchange) => Promise<void>): Promise<AwsHosts> {
  const pem = await generate([{ name: 'commonName', value: 'amazonaws.com' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(Date.now() - 86_400_000),
    extensions: [{ name: 'subjectAltName', altNames: NAMES.map((value) => ({ type: 2 as const, value })) }],
  });
  const connections = new Map<number | undefined, Socket>();
  const server = createServer({ key: pem.private, cert: pem.cert, requestTimeout: 0 }, (request, response) => {
    const connection = connections.get(request.socket.remotePort) ?? request.socket;
    void handle({ request, response, secure: true, connection });
  });
  server.on('connection', (socket: Socket) => {
    const { remotePort } = socket;
    connections.set(remotePort, socket);
    socket.once('close', () => connections.delete(remotePort));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const folder = await mkdtemp(join(tmpdir(), 'aws-hosts-'));
  const certificate = join(folder, 'certificate.pem');
  await writeFile(certificate, pem.cert);
  return {
    environment: {
      NODE_OPTIONS: `--import=${PRELOAD}`,
      NODE_EXTRA_CA_CERTS: certificate,
      AWS_HOSTS_PORT: String((server.address() as AddressInfo).port),
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
      await rm(folder, { recursive: true });
    },
  };
}
