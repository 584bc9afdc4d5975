import { Readable } from 'node:stream';
import { HttpRequest } from '@smithy/core/protocols';
import { NodeHttpHandler } from '@smithy/node-http-handler';

/** Bytes that are written at once. */
const PIECE = 256 * 1024;

type Handle = NodeHttpHandler['handle'];

/**
 * Sends a large body piece by piece, as fast as it is taken: what is written at once is encrypted at once, so a part of 8 MiB
 * would be in memory twice. To the SDK it is a buffer all the same, which it may send again.
 */
export class PiecewiseHandler extends NodeHttpHandler {
  override async handle(...[request, options]: Parameters<Handle>): ReturnType<Handle> {
    const { body } = request;
    if (!Buffer.isBuffer(body) || body.length <= PIECE) return super.handle(request, options);
    const stream = Readable.from(piecesOf(body), { objectMode: false });
    const end = new AbortController();
    const giveUp = () => {
      // An answer before the last byte: nobody else would end the request, which waits for more.
      if (!stream.readableEnded) end.abort();
      stream.destroy();
    };
    const signals = [end.signal, options?.abortSignal].filter((signal) => signal instanceof AbortSignal);
    try {
      const sent = Object.assign(HttpRequest.clone(request), { body: stream });
      const result = await super.handle(sent, { ...options, abortSignal: AbortSignal.any(signals) });
      (result.response.body as Readable).once('close', giveUp);
      return result;
    } catch (error) {
      giveUp();
      throw error;
    }
  }
}

function* piecesOf(body: Buffer): Generator<Buffer> {
  for (let at = 0; at < body.length; at += PIECE) yield body.subarray(at, at + PIECE);
}
