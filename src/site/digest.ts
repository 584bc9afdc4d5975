import { createHash, hash } from 'node:crypto';
import { pieceFingerprint } from '../core/manifest.ts';
import type { LocalFile } from '../core/model.ts';
import { multipartEtag, partSizeFor, type UploadSizes } from '../core/parts.ts';
import type { ContentDigest } from '../core/plan.ts';
import { readSmall, SMALL, withBody } from './body.ts';

/** Small files are read into it one after the other. */
const scratch = Buffer.allocUnsafeSlow(SMALL);

/** `contentFingerprint` of a small file; undefined for another. */
export function fingerprintOf(folder: string, file: LocalFile): string | undefined {
  return file.size > SMALL ? undefined : pieceFingerprint(readSmall(folder, file, scratch));
}

/**
 * What decides whether an object holds these bytes: the content's fingerprint, and the ETag that S3 would give it, in the
 * form of `like`: the MD5, or for an upload in parts (`…-7`) the MD5 of the parts' MD5s. There is no ETag without `like`,
 * nor when the number of parts is not the one that we would make, so that nothing can be told.
 */
export function digestOf(
  folder: string,
  file: LocalFile,
  like: string | undefined,
  sizes: UploadSizes,
): ContentDigest | Promise<ContentDigest> {
  const parts = Number(like?.split('-')[1] ?? 0);
  if (file.size <= SMALL && parts === 0) {
    const content = readSmall(folder, file, scratch);
    return { content: pieceFingerprint(content), etag: like === undefined ? undefined : hash('md5', content) };
  }
  const partSize = partSizeFor(file.size, sizes);
  const pieceSize = parts > 0 ? partSize : Math.max(1, file.size);
  const tells = like !== undefined && (parts === 0 || parts === Math.ceil(file.size / partSize));
  return withBody(folder, file, async (body) => {
    const md5s: Buffer[] = [];
    for (let start = 0; start < file.size || start === 0; start += pieceSize) {
      const end = Math.min(start + pieceSize, file.size);
      const md5 = createHash('md5');
      for (let offset = start; offset < end || offset === 0; offset += SMALL) {
        const content = await body.read(offset, Math.min(SMALL, end - offset));
        if (tells) md5.update(content);
        body.giveBack(content);
      }
      md5s.push(md5.digest());
    }
    await body.verify();
    const etag = parts > 0 ? multipartEtag(md5s) : md5s[0]?.toString('hex');
    return { content: body.content(), etag: tells ? etag : undefined };
  });
}
