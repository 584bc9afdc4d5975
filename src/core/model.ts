import type { DeployError } from '../errors.ts';

/** The nouns. Sizes are bytes, times are milliseconds. */

/** A file of the build output, as it was when the source was scanned. */
export interface LocalFile {
  /** Relative to the source, `/`-separated. */
  readonly path: string;
  readonly size: number;
  /** Device, inode, size and times at the scan: another value at upload time means that the file changed. */
  readonly version: string;
}

export interface RemoteObject {
  readonly key: string;
  readonly size: number;
  /** Without its quotes. */
  readonly etag: string;
}

/** The headers that an object is stored and served with. */
export interface ObjectHeaders {
  readonly contentType: string;
  readonly cacheControl?: string;
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

/** `unverified`: the object may be the same, but its ETag cannot tell (it is no MD5, or one of parts of another size). */
export type Reason = 'new' | 'content' | 'unverified';

export interface Upload {
  readonly file: LocalFile;
  readonly key: string;
  readonly reason: Reason;
  readonly headers: ObjectHeaders;
}

export type PhaseName = 'assets' | 'pages' | 'entry pages';

export interface Phase {
  readonly name: PhaseName;
  readonly uploads: readonly Upload[];
}

export interface Kept {
  readonly key: string;
  /** `delete off`: nobody asked for deletions. */
  readonly why: 'delete off';
}

export interface Plan {
  /** In the order they are applied; one begins when the one before it is complete. */
  readonly phases: readonly Phase[];
  readonly deletions: readonly RemoteObject[];
  readonly kept: readonly Kept[];
  readonly unchanged: number;
}

/** What an upload reads from: bytes at a place, and word that the file is still the one that was scanned. */
export interface Body {
  readonly size: number;
  read(offset: number, length: number): Promise<Buffer>;
  /** @throws DeployError SOURCE_INVALID when the file has changed since the scan. */
  verify(): Promise<void>;
}

/** One thing that went wrong with one key, for the report; all of it is safe to print. */
export interface Failure {
  readonly key: string;
  readonly operation: string;
  readonly code: string;
  readonly message: string;
}

export interface Outcome {
  readonly uploaded: readonly Upload[];
  readonly deleted: readonly string[];
  readonly failures: readonly Failure[];
  readonly bytesUploaded: number;
  /** Why the run could not go on, where it is more than single keys. */
  readonly stopped: DeployError | undefined;
}

/** What a deploy needs of a bucket, and nothing wider. */
export interface ObjectStore {
  /** Every object below the prefix, in the order of the store. */
  list(prefix: string): AsyncIterable<RemoteObject>;
  /** Stores a body whole or not at all; resolves once the store has confirmed the very bytes. */
  put(key: string, body: Body, headers: ObjectHeaders): Promise<void>;
  /** Deletes keys; answers those that are still there, with the reason. */
  deleteMany(keys: readonly string[]): Promise<Failure[]>;
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
