import { createHash, hash } from 'node:crypto';
import { contentFingerprint } from '../core/manifest.ts';
import type { LocalFile } from '../core/model.ts';
import { multipartEtag, pieceSizeFor, type UploadSizes } from '../core/parts.ts';
import type { Digest } from '../core/plan.ts';
import { readSmall, SMALL, withBody } from './body.ts';

/** Small files are read into it one after the other. */
const scratch = Buffer.allocUnsafeSlow(SMALL);

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
): Digest | Promise<Digest> {
  const parts = Number(like?.split('-')[1] ?? 0);
  if (file.size <= SMALL && parts === 0) {
    const content = readSmall(folder, file, scratch);
    return {
      content: contentFingerprint([hash('sha256', content, 'buffer')]),
      etag: like === undefined ? undefined : hash('md5', content),
    };
  }
  const pieceSize = pieceSizeFor(file.size, sizes);
  return withBody(folder, file, async (body) => {
    const whole = createHash('md5');
    const md5s: Buffer[] = [];
    for (let offset = 0; offset < file.size || offset === 0; offset += pieceSize) {
      const content = await body.read(offset, Math.min(pieceSize, file.size - offset));
      if (like !== undefined && parts === 0) whole.update(content);
      if (like !== undefined && parts > 0) md5s.push(hash('md5', content, 'buffer'));
      body.giveBack(content);
    }
    await body.verify();
    return { content: body.content(), etag: etag() };

    function etag(): string | undefined {
      if (like === undefined) return undefined;
      if (parts === 0) return whole.digest('hex');
      return parts === Math.ceil(file.size / pieceSize) ? multipartEtag(md5s) : undefined;
    }
  });
}
