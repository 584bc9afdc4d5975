import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { contentFingerprint, FINGERPRINT_CHUNK } from '../core/manifest.ts';
import type { Body, LocalFile } from '../core/model.ts';
import { plain } from '../core/text.ts';
import { DeployError } from '../errors.ts';
import { versionOf } from './scan.ts';

/** A pipe that has taken a file's place must not be waited for, nor a link followed. */
const READ = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;

/**
 * Opens a file of the source, uses it, and closes it again.
 * @throws DeployError SOURCE_INVALID when it is not the file that was scanned, or ends before its size.
 */
export async function withBody<T>(folder: string, file: LocalFile, use: (body: Body) => Promise<T>): Promise<T> {
  const handle = await open(join(folder, file.path), READ).catch((error: Error) => {
    throw new DeployError('SOURCE_INVALID', `${plain(file.path)} cannot be read: ${plain(error.message)}.`, {
      hint: 'Every file of source-dir must be readable until the deploy is over.',
      cause: error,
    });
  });
  try {
    const verify = async () => {
      if (versionOf(await handle.stat({ bigint: true })) !== file.version) throw changed(file);
    };
    await verify();
    const digests: Buffer[] = [];
    const read = async (offset: number, length: number) => {
      const content = await readExactly(handle, file, offset, length);
      digestInto(digests, offset, content);
      return content;
    };
    return await use({ size: file.size, read, verify, content: () => contentFingerprint(digests) });
  } finally {
    await handle.close();
  }
}

/** Digests what was read, piece by piece; parts begin where a piece does. */
function digestInto(digests: Buffer[], offset: number, content: Buffer): void {
  for (let at = 0; at < content.length || (at === 0 && offset === 0); at += FINGERPRINT_CHUNK) {
    const piece = content.subarray(at, at + FINGERPRINT_CHUNK);
    digests[(offset + at) / FINGERPRINT_CHUNK] = createHash('sha256').update(piece).digest();
  }
}

async function readExactly(handle: FileHandle, file: LocalFile, offset: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(buffer, done, length - done, offset + done);
    if (bytesRead === 0) throw changed(file);
    done += bytesRead;
  }
  return buffer;
}

function changed(file: LocalFile): DeployError {
  return new DeployError('SOURCE_INVALID', `${plain(file.path)} changed while it was being deployed.`, {
    hint: 'Nothing may write to source-dir during the deploy: wait for the build to end before this step.',
  });
}
