import { createHash } from 'node:crypto';
import type { LocalFile } from '../core/model.ts';
import { multipartEtag, partSizeFor, type UploadSizes } from '../core/parts.ts';
import { withBody } from './body.ts';

const CHUNK = 1024 ** 2;

/**
 * The ETag that S3 gives these bytes, in the form of `like`: the MD5, or for an upload in parts (`…-7`) the MD5 of the
 * parts' MD5s. Undefined when the number of parts is not the one that we would make, so that nothing can be told.
 */
export async function etagOf(
  folder: string,
  file: LocalFile,
  like: string,
  sizes: UploadSizes,
): Promise<string | undefined> {
  const parts = Number(like.split('-')[1] ?? 0);
  const size = partSizeFor(file.size, sizes);
  if (parts > 0 && parts !== Math.ceil(file.size / size)) return undefined;
  const md5s = await md5sOf(folder, file, parts > 0 ? size : Math.max(1, file.size));
  return parts > 0 ? multipartEtag(md5s) : md5s[0]?.toString('hex');
}

/** The MD5 of each piece of a file, read in small chunks. */
function md5sOf(folder: string, file: LocalFile, pieceSize: number): Promise<Buffer[]> {
  return withBody(folder, file, async (body) => {
    const md5s: Buffer[] = [];
    for (let start = 0; start < file.size || md5s.length === 0; start += pieceSize) {
      const end = Math.min(start + pieceSize, file.size);
      const hash = createHash('md5');
      for (let offset = start; offset < end; offset += CHUNK) {
        hash.update(await body.read(offset, Math.min(CHUNK, end - offset)));
      }
      md5s.push(hash.digest());
    }
    await body.verify();
    return md5s;
  });
}
