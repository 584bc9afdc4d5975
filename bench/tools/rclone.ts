import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { versionOf } from '../programs.ts';
import { AT_ONCE, toolOf } from './tool.ts';

/** As its own manual advises for many small files. */
const TUNED = '--checksum --fast-list --s3-no-head --s3-no-check-bucket --exclude .s3-deploy/**'.split(' ');

export const rclone = toolOf(
  { name: 'rclone', version: versionOf('rclone', ['version']), from: 'apt install rclone' },
  ({ workspace, store, bucket }) => {
    const config = join(workspace, 'rclone.conf');
    const settings = [
      '[bench]',
      'type = s3',
      'provider = Other',
      'env_auth = true',
      'region = us-east-1',
      `endpoint = ${store.endpoint}`,
      'list_url_encode = true',
    ];
    writeFileSync(config, `${settings.join('\n')}\n`);
    const atOnce = ['--transfers', String(AT_ONCE), '--checkers', String(AT_ONCE)];
    const authority = store.authority === undefined ? [] : ['--ca-cert', store.authority];
    return {
      file: 'rclone',
      args: [
        'sync',
        join(workspace, 'public'),
        `bench:${bucket}`,
        '--config',
        config,
        ...TUNED,
        ...atOnce,
        ...authority,
      ],
    };
  },
);
