import { join } from 'node:path';
import { AT_ONCE, toolOf } from './tool.ts';

/** The loop over PutObject of the AWS SDK that people write by hand: it knows nothing and uploads all. */
export const sdkLoop = toolOf(
  { name: 'SDK loop', version: 'SDK v3', from: 'npm ci' },
  ({ workspace, store, bucket }) => ({
    file: process.execPath,
    args: [
      join(import.meta.dirname, 'sdk-loop.mjs'),
      join(workspace, 'public'),
      store.endpoint,
      bucket,
      String(AT_ONCE),
    ],
  }),
);
