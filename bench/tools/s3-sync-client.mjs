/** s3-sync-client as its manual shows it, with as many transfers at once as the other tools. */
import { createRequire } from 'node:module';

const [library = '', folder = '', endpoint = '', bucket = '', atOnce = '64'] = process.argv.slice(2);
const require = createRequire(`${library}/package.json`);
const { S3Client } = require('@aws-sdk/client-s3');
const { S3SyncClient } = require(library);

const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true });
await new S3SyncClient({ client }).sync(folder, `s3://${bucket}`, { maxConcurrentTransfers: Number(atOnce) });
process.exit();
