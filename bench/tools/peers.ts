import { awsSync, awsTuned } from './aws.ts';
import { gatsby } from './gatsby.ts';
import { rclone } from './rclone.ts';
import { s3SyncClient } from './s3-sync-client.ts';
import { s3cmd } from './s3cmd.ts';
import { sdkLoop } from './sdk.ts';
import type { Tool } from './tool.ts';

/** Tools that do what ours does, whether they are here or not. */
export const ALL_PEERS: readonly Tool[] = [rclone, awsSync, awsTuned, s3cmd, s3SyncClient, gatsby, sdkLoop];
