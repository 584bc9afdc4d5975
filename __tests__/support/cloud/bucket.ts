import { randomBytes } from 'node:crypto';
import type { PolicyDocument } from '../test-cloud.ts';
import type { Checksum, ChecksumAlgorithm } from './checksums.ts';
import type { Quirks } from './quirks.ts';

export interface BucketOptions {
  /** The cloud's region unless given. */
  region?: string | undefined;
  versioning?: boolean;
  /** Buckets since April 2023 refuse ACLs; `true` makes one that takes them. */
  acls?: boolean;
  policy?: PolicyDocument | undefined;
  /** Denials say "Access Denied" and no more, as they do across organisations. */
  bareDenials?: boolean;
  /** ARN or id of the KMS key that encrypts objects which ask for nothing else. */
  kmsKey?: string | undefined;
  /** The store behaves otherwise than AWS. */
  quirks?: Quirks | undefined;
  /** EventBridge hears of every event. */
  notifies?: boolean;
  /** Who asks for something has to say that he pays for it. */
  requesterPays?: boolean;
  /** Default retention of an Object Lock; the bucket is then versioned. */
  objectLock?: { mode: 'GOVERNANCE' | 'COMPLIANCE'; days: number } | undefined;
}

/** One version of an object; the only one, with id `null`, in a bucket without versioning. */
export interface Version {
  key: string;
  id: string;
  body: Buffer;
  /** With its quotes. */
  etag: string;
  /** Milliseconds since the epoch, whole seconds as S3 has it. */
  modified: number;
  /** What a GET answers of what the PUT sent, by lower-case name. */
  headers: Record<string, string>;
  tags: [string, string][];
  checksum?: Checksum | undefined;
  kmsKey?: string | undefined;
  lockedUntil?: number | undefined;
  isMarker: boolean;
}

export interface Part {
  number: number;
  body: Buffer;
  etag: string;
  modified: number;
  checksum?: Checksum | undefined;
}

export interface Upload {
  id: string;
  key: string;
  /** ARN of who began it: he may abort it whatever his policies say. */
  initiator: string;
  begun: number;
  checksum?: { algorithm: ChecksumAlgorithm; type: Checksum['type'] } | undefined;
  parts: Map<number, Part>;
  /** What the object will be but for its content. */
  object: Pick<Version, 'headers' | 'tags' | 'kmsKey'>;
}

/** Where a UTF-16 unit stands in the order of UTF-8 bytes: surrogates come after everything else. */
const rank = (unit: number) => (unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit);

/** Compares keys as S3 does, by their UTF-8 bytes. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

export const newId = () => randomBytes(24).toString('base64url');

/** What a bucket holds. It decides nothing about who may do what. */
export class Bucket {
  readonly name: string;
  readonly uploads = new Map<string, Upload>();
  options: BucketOptions;
  readonly #versions = new Map<string, Version[]>();
  #sorted: string[] | undefined;

  constructor(name: string, options: BucketOptions = {}) {
    this.name = name;
    this.options = options;
  }

  get isVersioned(): boolean {
    return this.options.versioning === true || this.options.objectLock !== undefined;
  }

  /** The object that a GET without a version finds; it may be a delete marker. */
  current(key: string): Version | undefined {
    return this.#versions.get(key)?.[0];
  }

  /** The same, but a delete marker is nothing. */
  live(key: string): Version | undefined {
    const version = this.current(key);
    return version?.isMarker ? undefined : version;
  }

  version(key: string, id: string): Version | undefined {
    return this.#versions.get(key)?.find((version) => version.id === id);
  }

  /** Newest first. */
  versions(key: string): readonly Version[] {
    return this.#versions.get(key) ?? [];
  }

  /** Stores a version on top of the others, or in place of the only one. */
  put(version: Omit<Version, 'id'>): Version {
    const stored: Version = { ...version, id: this.isVersioned ? newId() : 'null' };
    const older = this.#versions.get(version.key);
    if (!older) this.#sorted = undefined;
    this.#versions.set(version.key, [stored, ...(older ?? []).filter(({ id }) => id !== stored.id)]);
    return stored;
  }

  /** Deletes the object; with versioning, hides it behind a delete marker, which is answered. */
  delete(key: string, modified: number): Version | undefined {
    if (this.isVersioned) {
      return this.put({ key, body: Buffer.alloc(0), etag: '', modified, headers: {}, tags: [], isMarker: true });
    }
    this.deleteVersion(key, 'null');
    return undefined;
  }

  /** Deletes one version for good, and answers it. */
  deleteVersion(key: string, id: string): Version | undefined {
    const versions = this.#versions.get(key) ?? [];
    const found = versions.find((version) => version.id === id);
    const rest = versions.filter((version) => version !== found);
    if (rest.length > 0) this.#versions.set(key, rest);
    else if (this.#versions.delete(key)) this.#sorted = undefined;
    return found;
  }

  /** Every key that has a version, in S3's order. */
  keys(): readonly string[] {
    this.#sorted ??= [...this.#versions.keys()].sort(compareKeys);
    return this.#sorted;
  }
}
