import type { DeployError } from '../errors.ts';

/** The nouns. Sizes are bytes, times are milliseconds. */

/** A file of the build output, as it was when the source was scanned. */
export interface LocalFile {
  /** Relative to the source, `/`-separated. */
  readonly path: string;
  readonly size: number;
  readonly inode: number;
  /** When it was last written, in milliseconds, to the microsecond: not now what it was means that the file changed. */
  readonly modified: number;
}

export interface RemoteObject {
  readonly key: string;
  readonly size: number;
  /** Without its quotes. */
  readonly etag: string;
  /** When it was last written, by the clock of the store; milliseconds since the epoch. */
  readonly lastModified: number;
}

/** The headers that an object is stored and served with. */
export interface ObjectHeaders {
  readonly contentType: string;
  readonly cacheControl?: string;
  readonly contentDisposition?: string;
  readonly contentEncoding?: string;
  readonly contentLanguage?: string;
  /** As an HTTP date. */
  readonly expires?: string;
  /** User metadata, by name without `x-amz-meta-`, in lower case. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** What every object is stored with, sent as given; the bucket's defaults where absent. */
export interface StorageOptions {
  readonly acl?: string;
  readonly storageClass?: string;
  readonly encryption?: string;
  /** Id or ARN of a KMS key. */
  readonly kmsKeyId?: string;
  readonly tags?: readonly (readonly [key: string, value: string])[];
}

/**
 * `headers`: the content is there, with other headers. `unverified`: the object may be the same, but nothing tells: its
 * ETag is no MD5, or one of parts of another size.
 */
export type Reason = 'new' | 'content' | 'headers' | 'unverified';

export interface Upload {
  readonly file: LocalFile;
  readonly key: string;
  readonly reason: Reason;
  readonly headers: ObjectHeaders;
  /** What is there now. */
  readonly object?: RemoteObject;
  /** `contentFingerprint` of the file, where it was read already. */
  readonly content?: string;
}

/** An upload that is in the bucket. */
export interface Stored extends Upload {
  /** The ETag that the store gave it. */
  readonly etag: string;
  /** `contentFingerprint`. */
  readonly content: string;
}

export type PhaseName = 'assets' | 'pages' | 'entry pages';

export interface Phase {
  readonly name: PhaseName;
  readonly uploads: readonly Upload[];
}

/** An object that is as it should be. */
export interface Unchanged extends RemoteObject {
  /** What was found out about it, for the manifest; absent where that is what is remembered. */
  readonly found?: {
    /** `contentFingerprint`. */
    readonly content: string;
    /** `headersFingerprint`; undefined where nobody knows them. */
    readonly headers: string | undefined;
  };
}

/** An object that the source does not have. */
export interface Kept {
  readonly key: string;
  readonly why: 'delete off' | 'not ours' | 'excluded' | 'grace' | 'exists';
}

export interface Plan {
  /** In the order they are applied; one begins when the one before it is complete. */
  readonly phases: readonly Phase[];
  readonly deletions: readonly RemoteObject[];
  readonly kept: readonly Kept[];
  readonly unchanged: readonly Unchanged[];
  /** Every object that the source does not have, and since when; for the manifest. */
  readonly stale: readonly Stale[];
  /** Unchanged keys that were stale for an earlier deploy, which may be deleting them at this moment. */
  readonly revived: readonly string[];
  /** Unchanged keys that nobody remembered: a deploy that was cut off may have put them, and a CDN not have heard of it. */
  readonly adopted: readonly string[];
  /** Objects are written, or were found that the manifest cannot speak of: it is to be newer than they are. */
  readonly verified: boolean;
}

export interface Stale {
  readonly object: RemoteObject;
  /** Seconds since the epoch. */
  readonly since: number;
}

/** What an upload reads from: bytes at a place, and word that the file is still the one that was scanned. */
export interface Body {
  readonly size: number;
  /** Lends bytes at a place. What is read is digested meanwhile, so all of it is to be read in its order. */
  read(offset: number, length: number): Promise<Buffer>;
  /** Lends bytes that one request sends, and their digest, until `use` is done with them. In order, as `read`. */
  withPart<T>(offset: number, length: number, use: (part: BodyPart) => Promise<T>): Promise<T>;
  /** Lends a stretch bit by bit, however often it is asked for, until `use` is done with it. */
  stream<T>(offset: number, length: number, use: (pieces: Pieces) => Promise<T>): Promise<T>;
  /** The SHA-256 of a piece of the fingerprint, by where it begins, once it was read. */
  sha256At(offset: number): Buffer;
  /** Takes back what `read` has lent, once nobody looks at it any more: the buffer is used again. */
  giveBack(content: Buffer): void;
  /** @throws DeployError SOURCE_INVALID when the file has changed since the scan. */
  verify(): Promise<void>;
  /** `contentFingerprint` of what was read, once all of it was. */
  content(): string;
}

/** Reads a stretch from its beginning, in pieces of `STREAM_PIECE` each of which is lent until the next one is asked for. */
export type Pieces = () => AsyncIterable<Buffer>;

/** Bytes of a body, as one request sends them. */
export interface BodyPart {
  readonly content: Buffer;
  readonly sha256: Buffer;
}

/** One thing that went wrong with one key, for the report; all of it is safe to print. */
export interface Failure {
  readonly key: string;
  readonly operation: string;
  readonly code: string;
  readonly message: string;
}

export interface Outcome {
  readonly uploaded: readonly Stored[];
  /** Keys that were there already, in a deploy that overwrites nothing. */
  readonly existing: readonly string[];
  readonly deleted: readonly string[];
  readonly failures: readonly Failure[];
  readonly bytesUploaded: number;
  /** Stopped between two phases, because another deploy has finished meanwhile. */
  readonly interrupted: boolean;
  /** Why the run could not go on, where it is more than single keys. */
  readonly stopped: DeployError | undefined;
}

/** The result of a write that was made on a condition. */
export type Put = { readonly etag: string } | 'precondition failed';

/**
 * On which condition an object is written: that nothing is there, or that it is still the one with this ETag. But for
 * plain `absent`, it is as good when these very bytes are there already.
 */
export type Condition = 'absent' | 'absent or same' | { readonly etag: string };

/** What a deploy needs of a bucket, and nothing wider. */
export interface ObjectStore {
  /**
   * Every object below the prefix, page by page in any order; one may come twice. A long listing goes faster when it is
   * told which keys to expect, in their order.
   */
  list(prefix: string, expected?: readonly string[]): AsyncIterable<readonly RemoteObject[]>;
  /** An object's content, and its ETag; undefined when there is none. */
  get(key: string): Promise<{ body: Uint8Array; etag: string } | undefined>;
  /** The ETag of an object; undefined when there is none, or when it cannot be had. */
  etag(key: string): Promise<string | undefined>;
  /** The headers of an object; undefined when they cannot be had. */
  head(key: string): Promise<ObjectHeaders | undefined>;
  /** Stores a body whole or not at all; resolves once the store has confirmed the very bytes. */
  put(key: string, body: Body, headers: ObjectHeaders, condition?: Condition): Promise<Put>;
  /** Gives an object other headers and leaves its content; answers its new ETag, or undefined where it cannot. */
  copyHeaders(object: RemoteObject, headers: ObjectHeaders): Promise<string | undefined>;
  /**
   * Deletes keys; answers those that are still there, with the reason.
   * @param mayGoOn asked before anything is tried again: a newer deploy may have found a use for what is left.
   */
  deleteMany(keys: readonly string[], mayGoOn?: () => Promise<boolean>): Promise<Failure[]>;
}

/** One permission that the inputs imply, and what the store said when it was tried. */
export interface Check {
  /** The IAM action: `s3:PutObject`. */
  readonly action: string;
  /** The ARN that a policy must name. */
  readonly resource: string;
  readonly result: 'allowed' | 'denied' | 'unknown';
  /** False where a deploy goes on without: a denial is then worth knowing, and no failure. */
  readonly required: boolean;
  /** The call and its answer: `PutObject 403 AccessDenied`. */
  readonly evidence: string;
  /** Why a result is unknown, or who denied. */
  readonly why?: string;
  /** Who denied, where the store says so: the kind of policy, and whether it does so explicitly or by saying nothing. */
  readonly deniedBy?: { readonly policy: string; readonly explicit: boolean };
  readonly status?: number;
  readonly requestId?: string;
}

export type CacheControl =
  | { readonly kind: 'auto' }
  | { readonly kind: 'none' }
  | { readonly kind: 'all'; value: string };

/** `max-delete`: a number of objects, or a percentage of those below the prefix. */
export type DeleteLimit = { readonly kind: 'count'; value: number } | { readonly kind: 'percent'; value: number };
