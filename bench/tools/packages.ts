import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where peers from npm are, apart from what the project depends on. */
const FOLDER = join(import.meta.dirname, '..', '..', '.cache', 'bench');
const PEERS = ['s3-sync-client@4.3.1', 'gatsby-plugin-s3@0.4.1', '@aws-sdk/abort-controller@3.374.0'];

/** The folder of a peer's package. */
export function packageFolder(name: string): string {
  return join(FOLDER, 'node_modules', name);
}

/** The version of a peer; undefined where it is not installed. */
export function packageVersion(name: string): string | undefined {
  const file = join(packageFolder(name), 'package.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')).version as string) : undefined;
}

/** Installs the peers from npm. Without what they take for granted: gatsby itself, and the SDK that is here already. */
export function installPeers(): void {
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(join(FOLDER, 'package.json'), '{ "private": true }\n');
  const quietly = ['--no-audit', '--no-fund', '--ignore-scripts', '--legacy-peer-deps', '--loglevel=error'];
  const { status } = spawnSync('npm', ['install', ...quietly, ...PEERS], { cwd: FOLDER, stdio: 'inherit' });
  if (status !== 0) throw new Error(`npm could not install ${PEERS.join(', ')}.`);
}
