import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3';
import type { Pieces } from '../core/model.ts';

/** The MD5 of what is read in pieces. */
export async function md5Of(pieces: Pieces): Promise<Buffer> {
  const md5 = createHash('md5');
  for await (const piece of pieces()) md5.update(piece);
  return md5.digest();
}

/**
 * Makes one request whose body is streamed, so that bytes of any number take no memory. A body that cannot be read, or has
 * changed, ends the request before its last byte, and is what is thrown.
 */
export async function sendStreamed<T>(
  pieces: Pieces,
  signal: AbortSignal,
  send: (stream: Readable, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const end = new AbortController();
  let reason: Error | undefined;
  const stream = new LentBody(pieces);
  stream.on('error', (error) => {
    reason ??= error;
    end.abort();
  });
  try {
    return await send(stream, AbortSignal.any([signal, end.signal]));
  } catch (error) {
    throw reason ?? error;
  } finally {
    // An answer before the last byte: nobody else would end the request, which waits for more.
    if (!stream.isSent) end.abort();
    stream.destroy();
  }
}

/**
 * A body for whoever sends a stream by `pipe`, as the SDK's handler does with every `Readable`; nothing else works. It asks
 * for a piece when the one before it is written: a stream of Node's reads ahead, and what is lent would be used again while
 * it waits to be sent.
 */
class LentBody extends Readable {
  /** All pieces are written. */
  isSent = false;
  readonly #pieces: Pieces;

  constructor(pieces: Pieces) {
    super();
    this.#pieces = pieces;
  }

  override _read(): void {}

  override pipe<T extends NodeJS.WritableStream>(request: T): T {
    this.#writeTo(request).catch((error: Error) => this.destroy(error));
    return request;
  }

  async #writeTo(request: NodeJS.WritableStream): Promise<void> {
    for await (const piece of this.#pieces()) {
      // This try is over: what it still had to read it has read by now, and reads no more.
      if (this.destroyed) return;
      const error = await new Promise((written) => request.write(piece, written));
      // Whoever sends the request hears of it.
      if (error) return;
    }
    this.isSent = true;
    request.end();
  }
}

/**
 * Has the SDK send a stream in place of the command's body. It prints a warning when a request fails whose body is a stream,
 * as it cannot try again itself; nor does it have to.
 */
export function streamInstead(stream: Readable, command: PutObjectCommand | UploadPartCommand): void {
  const { middlewareStack } = command as UploadPartCommand;
  middlewareStack.add(
    (next) => (args) => {
      Object.assign(args.request as object, { body: stream });
      return next(args);
    },
    // Behind whatever tries again.
    { step: 'deserialize', priority: 'low', name: 'streamInstead' },
  );
}
