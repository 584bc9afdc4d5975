import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageFolder, packageVersion } from './packages.ts';
import { AT_ONCE, toolOf } from './tool.ts';

const NAME = 'gatsby-plugin-s3';

/** Its deploy command, which needs of gatsby only the files that a build leaves for it. */
export const gatsby = toolOf(
  { name: NAME, version: packageVersion(NAME), from: 'npm run bench -- --install' },
  ({ workspace, store }) => {
    const cache = join(workspace, '.cache');
    mkdirSync(cache, { recursive: true });
    const config = {
      // No name for a host, so that it goes into the path.
      bucketName: 'BENCH_SITE',
      region: 'us-east-1',
      customAwsEndpointHostname: store.endpoint,
      enableS3StaticWebsiteHosting: false,
      removeNonexistentObjects: false,
      parallelLimit: AT_ONCE,
      acl: null,
    };
    writeFileSync(join(cache, 's3.config.json'), JSON.stringify(config));
    writeFileSync(join(cache, 's3.params.json'), '{}');
    writeFileSync(join(cache, 's3.routingRules.json'), '[]');
    return {
      file: process.execPath,
      args: ['--no-deprecation', join(packageFolder(NAME), 'bin.js'), 'deploy', '--yes'],
      env: { CI: 'true', AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE: '1' },
      cwd: workspace,
    };
  },
);
