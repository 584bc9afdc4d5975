import type { Pace } from './retry.ts';

/** A set of credentials as it was issued. */
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

/** Who credentials belong to. */
export interface Identity {
  readonly arn: string;
  readonly account: string;
}

/** Credentials are fetched anew this long before they run out, or after four fifths of a short life. */
const EARLY_MS = 5 * 60_000;
const SHARE = 0.8;
/** A store may not know credentials yet that were issued a moment ago. */
const FRESH_MS = 5_000;

/** Who a run is: credentials that are fetched anew when they run out, each masked before anybody gets them. */
export class Session {
  /** For the log: `role arn:aws:iam::…:role/deploy through OIDC`. */
  readonly description: string;
  /** For a sentence about its policy: `the role arn:…`. */
  readonly holder: string;
  /** Undefined where nothing tells: keys of an S3-compatible store without an STS. */
  identity: Identity | undefined;
  readonly #fetch: () => Promise<Credentials>;
  readonly #renewable: boolean;
  readonly #mask: (secret: string) => void;
  readonly #pace: Pace;
  #current: Promise<Credentials> | undefined;
  #renewing = false;
  #issuedAt = 0;
  #renewAt = 0;

  constructor(
    { description, holder }: { description: string; holder: string },
    source: { fetch: () => Promise<Credentials>; renewable: boolean },
    mask: (secret: string) => void,
    pace: Pace,
  ) {
    this.description = description;
    this.holder = holder;
    this.#fetch = source.fetch;
    this.#renewable = source.renewable;
    this.#mask = mask;
    this.#pace = pace;
  }

  /**
   * The current credentials, for the SDK. They are handed out as about to expire, so that the SDK asks for every call
   * and the decision when to renew is made in one place.
   */
  readonly credentials = async (): Promise<Credentials> => {
    const credentials = await this.#get();
    return { ...credentials, expiration: new Date() };
  };

  /**
   * Renews credentials that a call, begun at `begunAt`, was told have expired. Many callers cause one renewal, and one
   * that comes after it finds it done. Answers whether to call again.
   */
  async renew(begunAt: number): Promise<boolean> {
    if (!this.#renewable) return false;
    if (begunAt >= this.#issuedAt && !this.#renewing) this.#renewAt = 0;
    await this.#get();
    return true;
  }

  /** True while a store may not know these credentials yet. */
  isFresh(): boolean {
    return this.#renewable && this.#pace.now() - this.#issuedAt < FRESH_MS;
  }

  #get(): Promise<Credentials> {
    if (this.#current === undefined || this.#pace.now() >= this.#renewAt) {
      this.#renewAt = Number.POSITIVE_INFINITY;
      this.#renewing = true;
      this.#current = this.#fetch()
        .then(
          (credentials) => this.#issued(credentials),
          (error: unknown) => {
            this.#current = undefined;
            throw error;
          },
        )
        .finally(() => {
          this.#renewing = false;
        });
    }
    return this.#current;
  }

  #issued(credentials: Credentials): Credentials {
    for (const secret of [credentials.secretAccessKey, credentials.sessionToken, credentials.accessKeyId]) {
      if (secret) this.#mask(secret);
    }
    this.#issuedAt = this.#pace.now();
    if (credentials.expiration !== undefined && this.#renewable) {
      const life = credentials.expiration.getTime() - Date.now();
      this.#renewAt = this.#issuedAt + Math.max(life - EARLY_MS, life * SHARE);
    }
    return credentials;
  }
}
