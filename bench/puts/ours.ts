/** PUTs buffers through the product's object store; prints microseconds of processor time a PUT. */
import { Caller } from '../../src/aws/caller.ts';
import { createS3 } from '../../src/aws/clients.ts';
import { S3ObjectStore } from '../../src/aws/object-store.ts';
import { StoreKnowledge } from '../../src/aws/store-knowledge.ts';
import { profileOf } from '../../src/core/capabilities.ts';
import { eachOf } from '../../src/core/each-of.ts';
import { DEFAULT_PART } from '../../src/core/parts.ts';
import { bodyOf } from '../../src/site/body.ts';
import { makeBuffers, measurePuts } from './loop.mjs';

const [endpoint = '', number = '0', bytes = '0', atOnce = '64'] = process.argv.slice(2);
const credentials = async () => ({
  accessKeyId: process.env.AWS_ACCESS_KEY_ID ?? '',
  secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY ?? '',
});
const pace = {
  now: () => performance.now(),
  sleep: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)),
  random: Math.random,
};
const caller = new Caller(pace);
const s3 = createS3({ region: 'us-east-1', endpoint, forcePathStyle: true }, credentials, caller.connections);
const store = new S3ObjectStore(s3, caller, {
  credentials,
  bucket: 'bench',
  isAws: true,
  sizes: { threshold: DEFAULT_PART, part: DEFAULT_PART, mostParts: 10_000 },
  storage: {},
  knowledge: new StoreKnowledge(profileOf(undefined), () => {}),
});
const buffers = makeBuffers(Number(bytes));
const headers = { contentType: 'text/html; charset=utf-8', cacheControl: 'public, max-age=0, must-revalidate' };

await measurePuts(Number(number), (keys: Iterable<string>) =>
  eachOf([...keys], Number(atOnce), async (key) => {
    await store.put(key, bodyOf(buffers()), headers);
  }),
);
