import { createHash } from 'node:crypto';

/** An upload in parts that is open. */
export interface Upload {
  readonly key: string;
  readonly headers: Record<string, string>;
  readonly parts: Map<number, { readonly size: number; readonly etag: string }>;
}

/** Uploads in parts, until they are completed or aborted. */
export class Uploads {
  readonly #open = new Map<string, Upload>();
  #number = 0;

  get size(): number {
    return this.#open.size;
  }

  begin(key: string, headers: Record<string, string>): string {
    const id = `upload-${++this.#number}`;
    this.#open.set(id, { key, headers, parts: new Map() });
    return id;
  }

  get(id: string): Upload | undefined {
    return this.#open.get(id);
  }

  abort(id: string): boolean {
    return this.#open.delete(id);
  }

  clear(): void {
    this.#open.clear();
  }

  /** Closes an upload: size and ETag of the whole, which is the MD5 of the parts' ETags and their number. */
  complete(id: string): { size: number; etag: string; upload: Upload } | undefined {
    const upload = this.#open.get(id);
    if (upload === undefined) return undefined;
    this.#open.delete(id);
    const parts = [...upload.parts].sort(([a], [b]) => a - b).map(([, part]) => part);
    const md5 = createHash('md5');
    for (const part of parts) md5.update(part.etag, 'hex');
    const size = parts.reduce((sum, part) => sum + part.size, 0);
    return { size, etag: `${md5.digest('hex')}-${parts.length}`, upload };
  }
}
