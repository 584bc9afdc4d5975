import {
  GetBucketNotificationConfigurationCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
} from '@aws-sdk/client-s3';
import type { Prober } from './prober.ts';

/** What a bucket keeps, or tells others, of every object; undefined where it may not be asked. */
export interface Settings {
  readonly versioned: boolean | undefined;
  readonly objectLock: boolean | undefined;
  readonly notifies: boolean | undefined;
}

/** Asks the bucket what it would keep of a probe. */
export async function readSettings(prober: Prober): Promise<Settings> {
  const { s3, bucket } = prober;
  const [versioning, lock, notification] = await Promise.all([
    prober.try('GetBucketVersioning', (options) => s3.send(new GetBucketVersioningCommand(bucket), options)),
    prober.try(
      'GetObjectLockConfiguration',
      (options) => s3.send(new GetObjectLockConfigurationCommand(bucket), options),
      { allowing: ['ObjectLockConfigurationNotFoundError', 'ObjectLockConfigurationNotFound'] },
    ),
    prober.try('GetBucketNotificationConfiguration', (options) =>
      s3.send(new GetBucketNotificationConfigurationCommand(bucket), options),
    ),
  ]);
  const {
    TopicConfigurations = [],
    QueueConfigurations = [],
    LambdaFunctionConfigurations = [],
    EventBridgeConfiguration,
  } = notification.answer ?? {};
  const listeners = TopicConfigurations.length + QueueConfigurations.length + LambdaFunctionConfigurations.length;
  return {
    // Suspended versioning keeps a marker of what is deleted.
    versioned: versioning.answer === undefined ? undefined : versioning.answer.Status !== undefined,
    objectLock:
      lock.verdict.result !== 'allowed'
        ? undefined
        : lock.answer?.ObjectLockConfiguration?.Rule?.DefaultRetention !== undefined,
    notifies: notification.answer === undefined ? undefined : listeners > 0 || EventBridgeConfiguration !== undefined,
  };
}
