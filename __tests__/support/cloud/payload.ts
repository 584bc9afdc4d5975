import type { IncomingMessage } from 'node:http';
import { s3Error } from './errors.ts';
import { sha256 } from './sigv4.ts';

/** The whole body as it was sent; rejects when the client goes away before its end. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}

/**
 * Takes the `aws-chunked` framing off a body: `<hex length>\r\n<bytes>\r\n …0\r\n<trailers>\r\n`.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
 */
function decodeChunks(raw: Buffer): { body: Buffer; trailers: Record<string, string> } {
  const chunks: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = raw.indexOf('\r\n', at);
    const size = /^([0-9a-f]+)(?:;.*)?$/i.exec(raw.toString('latin1', at, lineEnd))?.[1];
    if (lineEnd < 0 || size === undefined) throw s3Error('IncompleteBody');
    const length = Number.parseInt(size, 16);
    at = lineEnd + 2;
    if (length === 0) break;
    if (at + length + 2 > raw.length) throw s3Error('IncompleteBody');
    chunks.push(raw.subarray(at, at + length));
    at += length + 2;
  }
  const trailers: Record<string, string> = {};
  for (const line of raw.toString('latin1', at).split('\r\n')) {
    const [name = '', ...value] = line.split(':');
    if (name) trailers[name.trim().toLowerCase()] = value.join(':').trim();
  }
  return { body: Buffer.concat(chunks), trailers };
}

/**
 * The content of a body, held against `x-amz-content-sha256` and the announced lengths, with the trailers that came
 * after it. Throws S3's error for what does not fit.
 */
export function openPayload(
  raw: Buffer,
  headers: Record<string, string>,
): { body: Buffer; trailers: Record<string, string> } {
  const announced = headers['x-amz-content-sha256'];
  if (announced === undefined || announced === 'UNSIGNED-PAYLOAD') return { body: raw, trailers: {} };
  if (announced === 'STREAMING-UNSIGNED-PAYLOAD-TRAILER') {
    const { body, trailers } = decodeChunks(raw);
    const length = headers['x-amz-decoded-content-length'];
    if (length === undefined) throw s3Error('MissingContentLength');
    if (Number(length) !== body.length) throw s3Error('IncompleteBody');
    const promised = (headers['x-amz-trailer'] ?? '').split(',').map((name) => name.trim().toLowerCase());
    if (promised.some((name) => name && trailers[name] === undefined)) {
      throw s3Error('InvalidRequest', {}, 'The value specified in the x-amz-trailer header is not supported');
    }
    return { body, trailers };
  }
  if (!/^[0-9a-f]{64}$/.test(announced)) {
    const message =
      'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER or a valid sha256 value.';
    throw s3Error('InvalidArgument', { ArgumentName: 'x-amz-content-sha256', ArgumentValue: announced }, message);
  }
  const computed = sha256(raw);
  if (computed !== announced) {
    throw s3Error('XAmzContentSHA256Mismatch', {
      ClientComputedContentSHA256: announced,
      S3ComputedContentSHA256: computed,
    });
  }
  return { body: raw, trailers: {} };
}
