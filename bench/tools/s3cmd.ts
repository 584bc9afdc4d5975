import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { versionOf } from '../programs.ts';
import { toolOf } from './tool.ts';

export const s3cmd = toolOf(
  { name: 's3cmd', version: versionOf('s3cmd', ['--version']), from: 'apt install s3cmd' },
  ({ workspace, store, bucket }) => {
    const { host } = new URL(store.endpoint);
    const config = join(workspace, 's3cmd.ini');
    const secure = store.authority === undefined ? 'False' : 'True';
    writeFileSync(config, `[default]\nhost_base = ${host}\nhost_bucket = ${host}\nuse_https = ${secure}\n`);
    const authority = store.authority === undefined ? [] : ['--ca-certs', store.authority];
    const site = [`${join(workspace, 'public')}/`, `s3://${bucket}/`];
    return { file: 's3cmd', args: ['sync', '--config', config, ...site, '--quiet', '--no-progress', ...authority] };
  },
);
