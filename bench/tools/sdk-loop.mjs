/** The loop that people write by hand: read a file, PutObject, so many at once. Plain JavaScript, which starts as theirs does. */
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { join } from 'node:path';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';

const [folder = '', endpoint = '', bucket = '', atOnce = '64'] = process.argv.slice(2);
const agent = { keepAlive: true, maxSockets: Number(atOnce) };
const s3 = new S3Client({
  endpoint,
  region: 'us-east-1',
  forcePathStyle: true,
  requestHandler: new NodeHttpHandler({ httpAgent: new HttpAgent(agent), httpsAgent: new HttpsAgent(agent) }),
});
const files = readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name));
const rest = files.values();
await Promise.all(
  Array.from({ length: Number(atOnce) }, async () => {
    for (const file of rest) {
      const Key = file.slice(folder.length + 1);
      await s3.send(
        new PutObjectCommand({ Bucket: bucket, Key, Body: await readFile(file), ContentType: 'text/html' }),
      );
    }
  }),
);
process.exit();
