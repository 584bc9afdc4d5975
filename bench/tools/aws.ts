import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { behindShim, versionOf } from '../programs.ts';
import { AT_ONCE, type Tool, toolOf } from './tool.ts';

const version = versionOf('aws', ['--version']);

/** `aws s3 sync` as people run it: ten requests at once. */
export const awsSync = awsCli('aws s3 sync', '');
export const awsTuned = awsCli('aws s3 sync (64)', `s3 =\n  max_concurrent_requests = ${AT_ONCE}\n`);

function awsCli(name: string, settings: string): Tool {
  return toolOf({ name, version, from: 'pip install awscli' }, ({ workspace, store, bucket }) => {
    const config = join(workspace, 'aws.ini');
    writeFileSync(config, `[default]\nregion = us-east-1\n${settings}`);
    const target = [`s3://${bucket}`, '--endpoint-url', store.endpoint];
    return {
      file: behindShim('aws'),
      args: ['s3', 'sync', join(workspace, 'public'), ...target, '--only-show-errors'],
      env: { AWS_CONFIG_FILE: config, AWS_CA_BUNDLE: store.authority },
    };
  });
}
