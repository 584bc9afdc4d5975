import { hash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { contentFingerprint } from '../core/manifest.ts';
import type { Body, BodyPart, LocalFile, Pieces } from '../core/model.ts';
import { plain } from '../core/text.ts';
import { DeployError } from '../errors.ts';
import { Buffers } from './buffers.ts';
import { LargeBody } from './large-body.ts';
import { isAsScanned } from './scan.ts';

/** A pipe that has taken a file's place must not be waited for, nor a link followed. */
const READ = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;

const buffers = new Buffers();

/** Read at once: for one so small, the calls of an asynchronous read cost more than it does. */
export const SMALL = 1024 ** 2;

/**
 * Opens a file of the source, uses it, and closes it again.
 * @throws DeployError SOURCE_INVALID when it is not the file that was scanned, or ends before its size.
 */
export async function withBody<T>(folder: string, file: LocalFile, use: (body: Body) => Promise<T>): Promise<T> {
  if (file.size <= SMALL) {
    const buffer = buffers.take(file.size);
    const result = await use(bodyOf(readSmall(folder, file, buffer)));
    // Not after a failure: a request that was given up may not have let go of it.
    buffers.giveBack(buffer);
    return result;
  }
  const handle = await open(join(folder, file.path), READ).catch((error: Error) => {
    throw unreadable(file, error);
  });
  try {
    const verify = async () => {
      if (!isAsScanned(file, await handle.stat())) throw changed(file);
    };
    await verify();
    return await use(
      new LargeBody(
        {
          handle,
          size: file.size,
          changed: () => changed(file),
          unreadable: (error) => unreadable(file, error),
          verify,
        },
        buffers,
      ),
    );
  } finally {
    await handle.close();
  }
}

/**
 * Reads a small file whole, into a buffer that is large enough.
 * @throws DeployError SOURCE_INVALID when it is not the file that was scanned.
 */
export function readSmall(folder: string, file: LocalFile, into: Buffer): Buffer {
  let descriptor: number | undefined;
  try {
    descriptor = openUnnoted(`${folder}/${file.path}`);
    for (let done = 0; done < file.size; ) {
      const count = readSync(descriptor, into, done, file.size - done, null);
      if (count === 0) throw changed(file);
      done += count;
    }
    // Size and time are those of the scan: it is the file that was scanned, and nobody has written to it since.
    if (!isAsScanned(file, fstatSync(descriptor))) throw changed(file);
    return into.subarray(0, file.size);
  } catch (error) {
    throw error instanceof DeployError ? error : unreadable(file, error as Error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** With no note of it, until a file is met that is somebody else's. */
let flags = READ | (constants.O_NOATIME ?? 0);

/** Opens a file to be read without a note of when that was, a write to the disk for each: Linux lets its owner ask for that. */
function openUnnoted(path: string): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    if (flags === READ || (error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
    flags = READ;
    return openSync(path, flags);
  }
}

/** A body that is in memory, of a single piece. */
export function bodyOf(content: Buffer): Body {
  return new SmallBody(content);
}

class SmallBody implements Body {
  readonly #content: Buffer;
  readonly #sha256: Buffer;

  constructor(content: Buffer) {
    this.#content = content;
    this.#sha256 = hash('sha256', content, 'buffer');
  }

  get size(): number {
    return this.#content.length;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    return this.#content.subarray(offset, offset + length);
  }

  withPart<T>(offset: number, length: number, use: (part: BodyPart) => Promise<T>): Promise<T> {
    if (length === this.size) return use({ content: this.#content, sha256: this.#sha256 });
    const content = this.#content.subarray(offset, offset + length);
    return use({ content, sha256: hash('sha256', content, 'buffer') });
  }

  stream<T>(offset: number, length: number, use: (pieces: Pieces) => Promise<T>): Promise<T> {
    const piece = this.#content.subarray(offset, offset + length);
    return use(async function* () {
      yield piece;
    });
  }

  sha256At(): Buffer {
    return this.#sha256;
  }

  giveBack(): void {}

  async verify(): Promise<void> {}

  content(): string {
    return contentFingerprint([this.#sha256]);
  }
}

function unreadable(file: LocalFile, error: Error): DeployError {
  return new DeployError('SOURCE_INVALID', `${plain(file.path)} cannot be read: ${plain(error.message)}.`, {
    hint: 'Every file of source-dir must be readable until the deploy is over.',
    cause: error,
  });
}

function changed(file: LocalFile): DeployError {
  return new DeployError('SOURCE_INVALID', `${plain(file.path)} changed while it was being deployed.`, {
    hint: 'Nothing may write to source-dir during the deploy: wait for the build to end before this step.',
  });
}
