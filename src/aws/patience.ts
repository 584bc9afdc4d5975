/** The least that an answer to a small request is waited for. */
const LEAST_MS = 2_000;
const MOST_MS = 15_000;
/** So many times as long as the slowest of the latest answers took is longer than any will take. */
const MARGIN = 4;
/** What each answer leaves of the memory of the slowest before it. */
const DECAY = 0.95;
/** 64 small requests at once share a line of 4 Mbit/s. */
const BYTES_PER_MS = 8;
/** Timers of one length cost less than those of as many as there are files. */
const STEP_MS = 100;

/**
 * How long the answer to a small request is waited for before it is asked for again. S3 answers one in a fraction of a
 * second, and one that is late is likely to be answered at once on another path, see
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html. A store that is merely slow
 * must be heard: each call after an unanswered one is waited for twice as long, and all once it is known to be slow.
 */
export class Patience {
  #slowestMs = 0;

  /** Learns how long an answer took. */
  heard(ms: number): void {
    this.#slowestMs = Math.max(ms, this.#slowestMs * DECAY);
  }

  /** Milliseconds to wait for an answer to a request of so many bytes, after so many that were not answered. */
  waitFor(bytes: number, unanswered: number): number {
    const usual = Math.min(MOST_MS, Math.max(LEAST_MS, MARGIN * this.#slowestMs));
    return Math.ceil((usual * 2 ** unanswered + bytes / BYTES_PER_MS) / STEP_MS) * STEP_MS;
  }
}
