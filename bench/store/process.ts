/**
 * The store's process, so that what a tool costs is not hidden by what its store costs. Started by `startStore`, told what
 * to do by messages.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { FromStore, StoreSettings, ToStore } from '../store.ts';
import { Connection } from './connection.ts';
import { Pace } from './pace.ts';
import { LightS3 } from './s3.ts';

const { tls, pace: how, verify } = JSON.parse(process.env.BENCH_STORE ?? '{}') as StoreSettings;
const pace = new Pace(how);
const s3 = new LightS3(pace, verify);
let cpuBefore = process.cpuUsage();

const accept = (socket: Socket) => {
  new Connection(socket, (head) => s3.begin(head));
};
const server =
  tls === undefined ? createServer({ noDelay: true }, accept) : createTlsServer({ ...tls, noDelay: true }, accept);
server.on('tlsClientError', () => undefined);
server.listen(0, '127.0.0.1', () => tell({ port: (server.address() as AddressInfo).port }));

process.on('message', (message: ToStore) => {
  if (message.say === 'clear') {
    s3.objects.clear();
    s3.uploads.clear();
  } else if (message.say === 'save') s3.objects.save(message.name);
  else if (message.say === 'restore') s3.objects.restore(message.name);
  else if (message.say === 'pace') pace.set(message.pace);
  const { user, system } = process.cpuUsage(cpuBefore);
  tell({
    counts: s3.counts,
    objects: s3.objects.size,
    openUploads: s3.uploads.size,
    cpu: (user + system) / 1e6,
  });
  if (message.say !== 'clear' && message.say !== 'count') return;
  s3.counts = {};
  cpuBefore = process.cpuUsage();
});
process.on('disconnect', () => process.exit());

function tell(message: FromStore): void {
  process.send?.(message);
}
