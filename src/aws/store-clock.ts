/** The clock of the store, as far as its answers tell: what two runners' clocks say cannot be compared. */
export class StoreClock {
  #ahead = 0;

  /** Learns from a Date header; the first one is as good as any. */
  read(date: string | undefined): void {
    const time = Date.parse(date ?? '');
    if (this.#ahead === 0 && !Number.isNaN(time)) this.#ahead = time - Date.now();
  }

  /** A time of this machine, in milliseconds since the epoch, as the store would tell it; within a second or so. */
  atStore(time: number): number {
    return time + (Math.abs(this.#ahead) < NOISE_MS ? 0 : this.#ahead);
  }
}

/** A Date header has whole seconds, and has been on the way. */
const NOISE_MS = 5_000;
