import { cpSync, mkdirSync, mkdtempSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A workspace on disk with a build output in `public`. */
export class Site {
  readonly workspace = mkdtempSync(join(tmpdir(), 's3-deploy-site-'));

  constructor(files: Record<string, string | Uint8Array> = {}) {
    mkdirSync(join(this.workspace, 'public'));
    for (const [path, content] of Object.entries(files)) this.write(path, content);
  }

  /** Writes a file of the build; its times become those of `date`, if given. */
  write(path: string | Buffer, content: string | Uint8Array, date?: Date): void {
    const file = Buffer.isBuffer(path) ? Buffer.concat([Buffer.from(this.at('')), path]) : this.at(path);
    if (typeof file === 'string') mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    if (date !== undefined) utimesSync(file, date, date);
  }

  /** A file of zeros that takes no room on the disk. */
  sparse(path: string, bytes: number): void {
    this.write(path, '');
    truncateSync(this.at(path), bytes);
  }

  copyFrom(folder: string): void {
    cpSync(folder, this.at('.'), { recursive: true });
  }

  remove(path: string): void {
    rmSync(this.at(path), { recursive: true });
  }

  at(path: string): string {
    // Not `join`, to which a name of blanks or dots is not what it is to the file system.
    return `${this.workspace}/public/${path}`;
  }

  dispose(): void {
    rmSync(this.workspace, { recursive: true, force: true });
  }
}
