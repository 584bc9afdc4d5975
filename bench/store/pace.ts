/** How fast a store answers; milliseconds. */
export interface PaceSettings {
  /** A request. */
  readonly ms: number;
  /** A page of a listing. */
  readonly listMs: number;
  /** Requests a second, above which the rest is refused with 503 SlowDown. */
  readonly perSecond?: number;
  /** Requests that are worked on at once; the rest waits for its turn, so that latency grows with load. */
  readonly slots?: number;
}

/** A store that refuses needs not a second's worth at once: S3 counts in shorter spans too. */
const BURST_SECONDS = 0.1;

/** When requests are answered, and which are refused. */
export class Pace {
  #settings: PaceSettings;
  #tokens = 0;
  #filledAt = 0;
  /** When each slot is free again; ascending. */
  #freeAt: number[] = [];

  constructor(settings: PaceSettings) {
    this.#settings = settings;
    this.set(settings);
  }

  set(settings: PaceSettings): void {
    this.#settings = settings;
    this.#tokens = (settings.perSecond ?? 0) * BURST_SECONDS;
    this.#filledAt = performance.now();
    this.#freeAt = new Array(settings.slots ?? 0).fill(0);
  }

  /** Whether a request that has come is refused. */
  refuses(): boolean {
    const { perSecond } = this.#settings;
    if (perSecond === undefined) return false;
    const now = performance.now();
    const filled = this.#tokens + ((now - this.#filledAt) / 1000) * perSecond;
    this.#tokens = Math.min(perSecond * BURST_SECONDS, filled);
    this.#filledAt = now;
    if (this.#tokens < 1) return true;
    this.#tokens--;
    return false;
  }

  /** Milliseconds until a request that has come is answered. */
  delay(isPage: boolean): number {
    const ms = isPage ? this.#settings.listMs : this.#settings.ms;
    if (this.#freeAt.length === 0) return ms;
    const now = performance.now();
    const answered = Math.max(now, this.#freeAt.shift() ?? 0) + ms;
    this.#freeAt.push(answered);
    return answered - now;
  }
}
