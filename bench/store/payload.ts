import { createHash, type Hash, hash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Chunks } from './chunks.ts';

const CHECKSUM = 'x-amz-checksum-sha256';
const HEX = /^[0-9a-f]{64}$/;

/** What arrived of a body: nothing of it is kept unless it is asked for. */
export interface Received {
  readonly size: number;
  /** The MD5, hexadecimal; of parts anything that looks like one. */
  readonly etag: string;
  readonly bytes: Buffer | undefined;
  /** It is not what its headers say. */
  readonly wrong: boolean;
}

/** What is made of a body. */
export interface Wanted {
  /** Its bytes. */
  readonly keep: boolean;
  /** Its SHA-256, where that is signed. */
  readonly verify: boolean;
  /** Its MD5, as the ETag of an object that tools compare with. Nobody does with a part, and of 2 GB it takes 2.4 s. */
  readonly md5: boolean;
}

/** A body on its way in. */
export class Payload {
  readonly #headers: Record<string, string>;
  readonly #keep: boolean;
  readonly #makesMd5: boolean;
  readonly #frames: Chunks | undefined;
  readonly #sha256: Hash | undefined;
  readonly #crc: string | undefined;
  readonly #kept: Buffer[] = [];
  #md5: Hash | undefined;
  #first: Buffer | undefined;
  #crcNow = 0;
  #size = 0;

  constructor(headers: Record<string, string>, { keep, verify, md5 }: Wanted) {
    this.#headers = headers;
    this.#keep = keep;
    this.#makesMd5 = md5 || headers['content-md5'] !== undefined;
    const claimed = headers['x-amz-content-sha256'] ?? '';
    if (claimed.startsWith('STREAMING-')) this.#frames = new Chunks();
    const hasChecksum = headers[CHECKSUM] !== undefined || headers['x-amz-trailer'] === CHECKSUM;
    if (hasChecksum || (verify && HEX.test(claimed))) this.#sha256 = createHash('sha256');
    this.#crc = headers['x-amz-checksum-crc32'];
  }

  push(chunk: Buffer): void {
    if (this.#frames === undefined) this.#take(chunk);
    else this.#frames.push(chunk, (data) => this.#take(data));
  }

  #take(data: Buffer): void {
    this.#size += data.length;
    this.#sha256?.update(data);
    if (this.#keep) this.#kept.push(data);
    if (this.#crc !== undefined) this.#crcNow = crc32(data, this.#crcNow);
    if (!this.#makesMd5) return;
    if (this.#first === undefined && this.#md5 === undefined) this.#first = data;
    else {
      this.#md5 ??= createHash('md5').update(this.#first ?? '');
      this.#first = undefined;
      this.#md5.update(data);
    }
  }

  /** Holds the body against its checksum always, which a probe may count on, and against its signature to verify. */
  end(): Received {
    // A small body comes in one piece, for which this is half the price.
    const md5 = this.#md5?.digest('hex') ?? (this.#makesMd5 ? hash('md5', this.#first ?? '') : undefined);
    const claimed = this.#headers['content-md5'];
    const wrong =
      (claimed !== undefined && Buffer.from(claimed, 'base64').toString('hex') !== md5) ||
      (this.#crc !== undefined && Buffer.from(this.#crc, 'base64').toString('hex') !== crcHex(this.#crcNow)) ||
      !this.#isSha256(this.#sha256?.digest());
    const etag = md5 ?? randomBytes(16).toString('hex');
    return { size: this.#size, etag, bytes: this.#keep ? Buffer.concat(this.#kept) : undefined, wrong };
  }

  #isSha256(digest: Buffer | undefined): boolean {
    if (digest === undefined) return true;
    const { 'x-amz-content-sha256': signed = '', [CHECKSUM]: checksum, 'x-amz-trailer': trailer } = this.#headers;
    if (HEX.test(signed) && digest.toString('hex') !== signed) return false;
    const told = trailer === CHECKSUM ? (this.#frames?.trailers[CHECKSUM] ?? '') : checksum;
    return told === undefined || digest.toString('base64') === told;
  }
}

function crcHex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}
