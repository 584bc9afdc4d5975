import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Call } from './call.ts';
import { s3Error } from './errors.ts';

export const CHECKSUM_ALGORITHMS = ['crc32', 'crc32c', 'crc64nvme', 'sha1', 'sha256'] as const;
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];

export interface Checksum {
  algorithm: ChecksumAlgorithm;
  /** Base64; ends in `-N` when it was made of the checksums of N parts. */
  value: string;
  type: 'FULL_OBJECT' | 'COMPOSITE';
}

const CRC32C = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0x82f63b78 ^ (c >>> 1) : c >>> 1;
  return c;
});

function crc32c(data: Uint8Array): number {
  let c = 0xffffffff;
  for (let i = 0; i < data.length; i++) c = CRC32C[(c ^ data[i]!) & 0xff]! ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

// 64 bits as two halves: BigInt is some fifty times slower. The polynomial is 0xad93d23594c93659, reflected.
const CRC64_HIGH = new Uint32Array(256);
const CRC64_LOW = new Uint32Array(256);
for (let n = 0; n < 256; n++) {
  let crc = BigInt(n);
  for (let k = 0; k < 8; k++) crc = crc & 1n ? 0x9a6c9329ac4bc9b5n ^ (crc >> 1n) : crc >> 1n;
  CRC64_HIGH[n] = Number(crc >> 32n);
  CRC64_LOW[n] = Number(crc & 0xffffffffn);
}

function crc64nvme(data: Uint8Array): Buffer {
  let high = 0xffffffff;
  let low = 0xffffffff;
  for (let i = 0; i < data.length; i++) {
    const n = (low ^ data[i]!) & 0xff;
    low = ((low >>> 8) | (high << 24)) ^ CRC64_LOW[n]!;
    high = (high >>> 8) ^ CRC64_HIGH[n]!;
  }
  const out = Buffer.alloc(8);
  out.writeUInt32BE(~high >>> 0, 0);
  out.writeUInt32BE(~low >>> 0, 4);
  return out;
}

function uint32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value);
  return out;
}

/** The checksum's bytes, as they stand base64-encoded in `x-amz-checksum-*`. */
export function digest(algorithm: ChecksumAlgorithm, data: Uint8Array): Buffer {
  if (algorithm === 'crc32') return uint32(crc32(data));
  if (algorithm === 'crc32c') return uint32(crc32c(data));
  if (algorithm === 'crc64nvme') return crc64nvme(data);
  return createHash(algorithm).update(data).digest();
}

export const md5 = (data: Uint8Array) => createHash('md5').update(data).digest();

/** Holds Content-MD5 against the body, in a store that looks at it. */
export function checkContentMd5({ headers, body, bucket }: Pick<Call, 'headers' | 'body' | 'bucket'>): void {
  const given = headers['content-md5'];
  if (given === undefined || bucket.options.quirks?.contentMd5 === 'ignored') return;
  if (!/^[A-Za-z0-9+/]{22}==$/.test(given)) throw s3Error('InvalidDigest', { 'Content-MD5': given });
  const computed = md5(body).toString('base64');
  if (computed !== given) throw s3Error('BadDigest', { ExpectedDigest: given, CalculatedDigest: computed });
}

/**
 * Holds the one `x-amz-checksum-*` of a request, header or trailer, against the body, and answers it. Undefined when
 * there is none.
 */
export function checkChecksum(headers: Record<string, string>, body: Buffer): Checksum | undefined {
  const given = CHECKSUM_ALGORITHMS.filter((algorithm) => headers[`x-amz-checksum-${algorithm}`] !== undefined);
  if (given.length > 1) {
    const message = 'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.';
    throw s3Error('InvalidRequest', {}, message);
  }
  const [algorithm] = given;
  if (!algorithm) {
    // The SDK announces MD5 as well, and sends it as Content-MD5.
    if ((headers['x-amz-sdk-checksum-algorithm'] ?? 'MD5') === 'MD5') return undefined;
    const message =
      'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.';
    throw s3Error('InvalidRequest', {}, message);
  }
  const value = headers[`x-amz-checksum-${algorithm}`]!;
  const computed = digest(algorithm, body);
  if (Buffer.from(value, 'base64').length !== computed.length) {
    throw s3Error('InvalidRequest', {}, `Value for x-amz-checksum-${algorithm} header is invalid.`);
  }
  if (computed.toString('base64') !== value) {
    const message = `The ${algorithm.toUpperCase()} you specified did not match the calculated checksum.`;
    throw s3Error('BadDigest', {}, message);
  }
  return { algorithm, value, type: 'FULL_OBJECT' };
}
