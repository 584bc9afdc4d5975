import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { contentFingerprint, FINGERPRINT_CHUNK } from '../core/manifest.ts';
import type { Body, BodyPart } from '../core/model.ts';
import type { Buffers } from './buffers.ts';

/** Bytes that are read, and digested while the processor has them at hand: a MiB costs 0.95 ms so, and 1.2 in a piece of 8. */
const READ = 512 * 1024;

/** A file that is open. */
export interface OpenFile {
  readonly handle: FileHandle;
  readonly size: number;
  /** The error for a file that is not the one that was scanned. */
  changed(): Error;
  /** See `Body`. */
  verify(): Promise<void>;
}

/** The body of a file that is not read at once. */
export class LargeBody implements Body {
  readonly size: number;
  readonly #file: OpenFile;
  readonly #buffers: Buffers;
  readonly #lent = new WeakMap<Buffer, Buffer>();
  readonly #fingerprint: Fingerprint;
  #reading: Promise<unknown> = Promise.resolve();

  constructor(file: OpenFile, buffers: Buffers) {
    this.size = file.size;
    this.#file = file;
    this.#buffers = buffers;
    this.#fingerprint = new Fingerprint(file.size);
  }

  async read(offset: number, length: number): Promise<Buffer> {
    return this.#inTurn(offset, length, undefined);
  }

  async withPart<T>(offset: number, length: number, use: (part: BodyPart) => Promise<T>): Promise<T> {
    // Of a part that is a piece of the fingerprint there is one digest to make, not two.
    const isPiece = this.#fingerprint.isPiece(offset, length);
    const digest = isPiece ? undefined : createHash('sha256');
    const content = await this.#inTurn(offset, length, digest);
    const result = await use({ content, sha256: digest?.digest() ?? this.#fingerprint.digestAt(offset) });
    // Not after a failure: a request that was given up may not have let go of it.
    this.giveBack(content);
    return result;
  }

  giveBack(content: Buffer): void {
    const buffer = this.#lent.get(content);
    if (buffer !== undefined) this.#buffers.giveBack(buffer);
    this.#lent.delete(content);
  }

  verify(): Promise<void> {
    return this.#file.verify();
  }

  content(): string {
    return this.#fingerprint.whole();
  }

  /** One after another, in the order in which they are asked for: it is that of the digest, and of the disk. */
  #inTurn(offset: number, length: number, digest: Hash | undefined): Promise<Buffer> {
    const reading = this.#reading.then(() => this.#read(offset, length, digest));
    this.#reading = reading.catch(() => undefined);
    return reading;
  }

  async #read(offset: number, length: number, digest: Hash | undefined): Promise<Buffer> {
    const buffer = this.#buffers.take(length);
    const content = buffer.subarray(0, length);
    for (let done = 0; done < length; ) {
      const at = offset + done;
      const most = Math.min(READ, length - done, FINGERPRINT_CHUNK - (at % FINGERPRINT_CHUNK));
      const { bytesRead } = await this.#file.handle.read(buffer, done, most, at);
      if (bytesRead === 0) throw this.#file.changed();
      const bytes = content.subarray(done, done + bytesRead);
      this.#fingerprint.update(at, bytes);
      digest?.update(bytes);
      done += bytesRead;
    }
    this.#lent.set(content, buffer);
    return content;
  }
}

/** Digests the pieces of a content as they are read; one may be read again, but is then begun again. */
class Fingerprint {
  readonly #size: number;
  readonly #digests: Buffer[] = [];
  #piece = createHash('sha256');
  #next = 0;

  constructor(size: number) {
    this.#size = size;
  }

  isPiece(offset: number, length: number): boolean {
    return offset % FINGERPRINT_CHUNK === 0 && length === Math.min(FINGERPRINT_CHUNK, this.#size - offset);
  }

  /** @param bytes of one piece. */
  update(offset: number, bytes: Buffer): void {
    if (offset % FINGERPRINT_CHUNK === 0) {
      this.#piece = createHash('sha256');
      this.#next = offset;
    }
    if (offset !== this.#next) return;
    this.#piece.update(bytes);
    this.#next += bytes.length;
    if (this.#next % FINGERPRINT_CHUNK !== 0 && this.#next !== this.#size) return;
    this.#digests[Math.floor(offset / FINGERPRINT_CHUNK)] = this.#piece.digest();
    this.#next = Number.NaN;
  }

  /** The digest of the piece that begins here. */
  digestAt(offset: number): Buffer {
    const digest = this.#digests[offset / FINGERPRINT_CHUNK];
    if (digest === undefined) throw new Error('the piece was not read');
    return digest;
  }

  whole(): string {
    const count = Math.ceil(this.#size / FINGERPRINT_CHUNK);
    return contentFingerprint(Array.from({ length: count }, (_, piece) => this.digestAt(piece * FINGERPRINT_CHUNK)));
  }
}
