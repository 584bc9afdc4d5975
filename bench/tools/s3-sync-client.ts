import { join } from 'node:path';
import { packageFolder, packageVersion } from './packages.ts';
import { AT_ONCE, toolOf } from './tool.ts';

const NAME = 's3-sync-client';

export const s3SyncClient = toolOf(
  { name: NAME, version: packageVersion(NAME), from: 'npm run bench -- --install' },
  ({ workspace, store, bucket }) => ({
    file: process.execPath,
    args: [
      join(import.meta.dirname, 's3-sync-client.mjs'),
      packageFolder(NAME),
      join(workspace, 'public'),
      store.endpoint,
      bucket,
      String(AT_ONCE),
    ],
  }),
);
