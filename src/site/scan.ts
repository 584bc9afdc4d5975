import { accessSync, constants, lstatSync, readdirSync, type Stats, statSync } from 'node:fs';
import { bundledFolders } from '../core/content-hash.ts';
import type { SourceFilter } from '../core/globs.ts';
import { isOwnPath, keyProblem, type Prefix, toKey } from '../core/key.ts';
import type { LocalFile } from '../core/model.ts';
import { plain } from '../core/text.ts';
import { DeployError } from '../errors.ts';

/** What a source folder holds. */
export interface Source {
  /** In the order of their keys. */
  readonly files: readonly LocalFile[];
  /** The key of each. */
  readonly keys: readonly string[];
  /** Symbolic links, which are never followed: one can point to the checkout's token. */
  readonly links: number;
  /** Paths that `include` and `exclude` do not take. */
  readonly excluded: number;
  /** Paths that the built-in list of secrets and version control files leaves out. */
  readonly leftOut: number;
  /** Folders that a bundler has written: see `bundledFolders`. */
  readonly bundled: ReadonlySet<string>;
}

/** A source without files. */
export const NO_SOURCE: Source = { files: [], keys: [], links: 0, excluded: 0, leftOut: 0, bundled: new Set() };

/**
 * Reads a source folder; its files come in the order of their keys. Names are read byte by byte, since one that is not
 * UTF-8 would be mangled as a string.
 * @throws DeployError SOURCE_INVALID for a missing folder, a socket, pipe or device, a name that S3 cannot hold, or a
 * file or folder that cannot be read.
 */
export function scanSource(folder: string, filter: SourceFilter, prefix: Prefix): Source {
  const source = { ...NO_SOURCE, files: [] as LocalFile[], keys: [] as string[] };
  const root = `${Buffer.from(folder).toString('latin1')}/`;
  /** @param directory its bytes as latin1: the path below the source, empty or with a slash at its end. */
  const walk = (directory: string): void => {
    const { names, links } = namesIn(onDisk(root + directory));
    source.links += links;
    for (const own of names) {
      const name = directory + own;
      const path = toPath(name);
      if (own.endsWith('/')) {
        // What is left out need not be readable.
        if (isReadable(onDisk(root + name)) || filter(`${path}-`) === 'taken') walk(name);
        else source.excluded++;
      } else {
        const verdict = isOwnPath(path) ? 'left out' : filter(path);
        if (verdict === 'excluded') source.excluded++;
        else if (verdict === 'left out') source.leftOut++;
        else {
          const key = toKey(prefix, path);
          source.files.push(toFile(onDisk(root + name), name, path, key));
          source.keys.push(key);
        }
      }
    }
  };
  checkFolder(folder);
  try {
    walk('');
  } catch (error) {
    throw asSourceError(error, folder);
  }
  return { ...source, bundled: bundledFolders(source.files.map(({ path }) => path)) };
}

/** What a folder holds beside links, in the order of keys: folders have a slash at their end, `a.b` comes before `a/`. */
function namesIn(folder: string | Buffer): { names: readonly string[]; links: number } {
  const entries = readdirSync(folder, { withFileTypes: true, encoding: 'latin1' });
  const names: string[] = [];
  for (const entry of entries)
    if (!entry.isSymbolicLink()) names.push(entry.isDirectory() ? `${entry.name}/` : entry.name);
  return { names: names.sort(), links: entries.length - names.length };
}

/** A path whose bytes are given as latin1, as the file system takes it. */
function onDisk(bytes: string): string | Buffer {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1');
}

function toPath(name: string): string {
  return isAscii(name) ? name : Buffer.from(name, 'latin1').toString('utf8');
}

function isAscii(text: string): boolean {
  return !/[^\x00-\x7f]/.test(text);
}

/** Whether anything is at the place of the source. */
export function sourceExists(folder: string): boolean {
  return statSync(folder, { throwIfNoEntry: false }) !== undefined;
}

function checkFolder(folder: string): void {
  const stats = statSync(folder, { throwIfNoEntry: false });
  if (stats?.isDirectory()) return;
  const problem = stats === undefined ? 'does not exist' : 'is not a folder';
  throw new DeployError('SOURCE_INVALID', `source-dir: ${plain(folder)} ${problem}.`, {
    hint: 'Give the folder that the build writes to, relative to the workspace, and run the build before this step.',
  });
}

function isReadable(location: string | Buffer): boolean {
  try {
    accessSync(location, constants.R_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function toFile(location: string | Buffer, name: string, path: string, key: string): LocalFile {
  if (path !== name && !Buffer.from(path).equals(Buffer.from(name, 'latin1'))) {
    throw new DeployError('SOURCE_INVALID', `The name of ${plain(name)} is not UTF-8.`, {
      hint: 'Rename it: keys in S3 are UTF-8.',
    });
  }
  const stats = lstatSync(location);
  if (!stats.isFile()) {
    throw new DeployError('SOURCE_INVALID', `${plain(path)} is a socket, pipe or device, not a file.`, {
      hint: 'Remove it from source-dir, or exclude it.',
    });
  }
  // Nearly all files are for everybody to read, and one call less for each is a tenth of the scan.
  if ((stats.mode & ANYBODY_READS) !== ANYBODY_READS) accessSync(location, constants.R_OK);
  const problem = keyProblem(key);
  if (problem !== undefined) {
    throw new DeployError('SOURCE_INVALID', `${plain(path)} cannot be a key: ${problem}.`, {
      hint: 'Rename it, or exclude it.',
    });
  }
  return { path, size: stats.size, inode: stats.ino, modified: stats.mtimeMs };
}

const ANYBODY_READS = 0o444;

/** Whether a file is the one that was scanned, and nobody has written, replaced or truncated it since. */
export function isAsScanned({ size, inode, modified }: LocalFile, stats: Stats): boolean {
  return stats.size === size && stats.ino === inode && stats.mtimeMs === modified;
}

function asSourceError(error: unknown, folder: string): unknown {
  if (error instanceof DeployError) return error;
  const { message } = error as Error;
  return new DeployError('SOURCE_INVALID', `${plain(folder)} cannot be read: ${plain(message)}.`, {
    hint: 'Every file of source-dir must be readable; exclude what is not part of the site.',
    cause: error,
  });
}
