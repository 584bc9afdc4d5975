import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { PutObjectCommand } from '@aws-sdk/client-s3';
import type { Body } from '../core/model.ts';

/** Bytes of a body that are in memory at once. */
const PIECE = 1024 ** 2;

/** The MD5 of a body of any size, read in pieces. */
export async function digestOfWhole(body: Body): Promise<Buffer> {
  const md5 = createHash('md5');
  for await (const piece of pieces(body)) {
    md5.update(piece);
    body.giveBack(piece);
  }
  return md5.digest();
}

/**
 * Makes one request whose body is streamed, so that a file of any size takes no memory. A body that cannot be read, or has
 * changed, ends the request before its last byte, and is what is thrown.
 */
export async function sendStreamed<T>(
  body: Body,
  signal: AbortSignal,
  send: (stream: Readable, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const unread = new AbortController();
  let reason: Error | undefined;
  const stream = Readable.from(pieces(body), { objectMode: false });
  stream.on('error', (error) => {
    reason ??= error;
    unread.abort();
  });
  try {
    return await send(stream, AbortSignal.any([signal, unread.signal]));
  } catch (error) {
    throw reason ?? error;
  } finally {
    stream.destroy();
  }
}

/**
 * Has the SDK send a stream in place of the command's body. It prints a warning when a request fails whose body is a stream,
 * as it cannot try again itself; nor does it have to.
 */
export function streamInstead(stream: Readable, { middlewareStack }: PutObjectCommand): void {
  middlewareStack.add(
    (next) => (args) => {
      Object.assign(args.request as object, { body: stream });
      return next(args);
    },
    // Behind whatever tries again.
    { step: 'deserialize', priority: 'low', name: 'streamInstead' },
  );
}

async function* pieces(body: Body): AsyncGenerator<Buffer> {
  for (let offset = 0; offset < body.size; offset += PIECE) {
    const piece = await body.read(offset, Math.min(PIECE, body.size - offset));
    if (offset + piece.length === body.size) await body.verify();
    yield piece;
  }
}
