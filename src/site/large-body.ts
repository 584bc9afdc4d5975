import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { contentFingerprint, FINGERPRINT_CHUNK } from '../core/manifest.ts';
import type { Body, BodyPart, Pieces } from '../core/model.ts';
import { STREAM_PIECE } from '../core/parts.ts';
import type { Buffers } from './buffers.ts';

/** Bytes that are read, and digested while the processor has them at hand: a MiB costs 0.95 ms so, and 1.2 in a piece of 8. */
const READ = 512 * 1024;

/** A file that is open. */
export interface OpenFile {
  readonly handle: FileHandle;
  readonly size: number;
  /** The error for a file that is not the one that was scanned. */
  changed(): Error;
  /** The error for a file that cannot be read. */
  unreadable(error: Error): Error;
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

  async stream<T>(offset: number, length: number, use: (pieces: Pieces) => Promise<T>): Promise<T> {
    return use(() => this.#pieces(offset, offset + length));
  }

  sha256At(offset: number): Buffer {
    return this.#fingerprint.digestAt(offset);
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

  async *#pieces(from: number, to: number): AsyncGenerator<Buffer> {
    for (let at = from; at < to; at += STREAM_PIECE) {
      const piece = await this.read(at, Math.min(STREAM_PIECE, to - at));
      // What takes the bytes has not got all of them yet, and takes nothing then.
      if (at + STREAM_PIECE >= to) await this.verify();
      yield piece;
      this.giveBack(piece);
    }
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
      const { bytesRead } = await this.#file.handle.read(buffer, done, most, at).catch((error: Error) => {
        throw this.#file.unreadable(error);
      });
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

/** Digests the pieces of a content as they are read, several at once; one may be read again, from its beginning. */
class Fingerprint {
  readonly #size: number;
  readonly #digests: Buffer[] = [];
  /** What is read of pieces that are not complete yet. */
  readonly #begun = new Map<number, { readonly hash: Hash; next: number }>();

  constructor(size: number) {
    this.#size = size;
  }

  isPiece(offset: number, length: number): boolean {
    return offset % FINGERPRINT_CHUNK === 0 && length === Math.min(FINGERPRINT_CHUNK, this.#size - offset);
  }

  /** @param bytes of one piece. */
  update(offset: number, bytes: Buffer): void {
    const piece = Math.floor(offset / FINGERPRINT_CHUNK);
    if (offset % FINGERPRINT_CHUNK === 0) this.#begun.set(piece, { hash: createHash('sha256'), next: offset });
    const begun = this.#begun.get(piece);
    if (begun?.next !== offset) return;
    begun.hash.update(bytes);
    begun.next += bytes.length;
    if (begun.next % FINGERPRINT_CHUNK !== 0 && begun.next !== this.#size) return;
    this.#digests[piece] = begun.hash.digest();
    this.#begun.delete(piece);
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
