/** PUTs buffers as the SDK does by default; prints microseconds of processor time a PUT. */
import { Agent } from 'node:http';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { makeBuffers, measurePuts } from './loop.mjs';

const [endpoint = '', number = '0', bytes = '0', atOnce = '64'] = process.argv.slice(2);
const s3 = new S3Client({
  endpoint,
  region: 'us-east-1',
  forcePathStyle: true,
  requestHandler: new NodeHttpHandler({ httpAgent: new Agent({ keepAlive: true, maxSockets: Number(atOnce) }) }),
});
const buffers = makeBuffers(Number(bytes));
const headers = { ContentType: 'text/html; charset=utf-8', CacheControl: 'public, max-age=0, must-revalidate' };

await measurePuts(Number(number), async (keys) => {
  const rest = [...keys].values();
  await Promise.all(
    Array.from({ length: Number(atOnce) }, async () => {
      for (const Key of rest) {
        await s3.send(new PutObjectCommand({ Bucket: 'bench', Key, Body: buffers(), ...headers }));
      }
    }),
  );
});
