import type { UploadPartCommand } from '@aws-sdk/client-s3';
import type { Pieces } from '../core/model.ts';
import { STREAM_PIECE } from '../core/parts.ts';
import { setHeaders } from './checksum.ts';

const NAME = 'x-amz-checksum-sha256';
const BYTES_OF_SHA256 = 32;

/**
 * A body with its SHA-256 behind it, so that it need not be read before it is sent: each piece is framed by its length.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
 * @param sha256 of all pieces, once they were read.
 */
export function withTrailer(pieces: Pieces, sha256: () => Buffer): Pieces {
  return async function* () {
    let end = '';
    for await (const piece of pieces()) {
      yield Buffer.from(`${end}${piece.length.toString(16)}\r\n`, 'latin1');
      yield piece;
      end = '\r\n';
    }
    yield Buffer.from(`${end}${trailer(sha256())}`, 'latin1');
  };
}

/** Announces a body of `withTrailer`. @param length bytes of the content. */
export function announceTrailer(length: number, command: UploadPartCommand): void {
  setHeaders(command, {
    'content-encoding': 'aws-chunked',
    'content-length': String(framedLength(length)),
    'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
    'x-amz-decoded-content-length': String(length),
    'x-amz-trailer': NAME,
  });
}

function framedLength(length: number): number {
  const frame = (bytes: number) => `${bytes.toString(16)}\r\n\r\n`.length;
  const [whole, rest] = [Math.floor(length / STREAM_PIECE), length % STREAM_PIECE];
  const frames = whole * frame(STREAM_PIECE) + (rest > 0 ? frame(rest) : 0);
  return length + frames + trailer(Buffer.alloc(BYTES_OF_SHA256)).length;
}

function trailer(sha256: Buffer): string {
  return `0\r\n${NAME}:${sha256.toString('base64')}\r\n\r\n`;
}
