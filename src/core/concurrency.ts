/** Begins boldly: no store has trouble with so many, and a site of a few thousand files is up before anything is learned. */
const FIRST = 64;
const LEAST = 8;
/** Beyond it a single process is the limit, and each connection costs memory on both sides. */
const MOST = 128;
/** Answers that take longer than this much of the quickest window's say that more at once only wait for each other. */
const SLOWER = 1.5;
const MUCH_SLOWER = 2.5;
/** What is remembered of the quickest fades by this with each window of few: a path or a store may change. */
const FADE = 1.02;
/** With more, it may be their number that makes them slow, and to get used to that would be to grow for ever. */
const FEW = 32;

/**
 * How many requests to have under way at once. It grows while answers come as quickly as ever, shrinks a little when they
 * do not, and is halved when the store says that it is too much. Looked at once for as many answers as are under way.
 */
export class Concurrency {
  #limit = FIRST;
  #quickest = Number.POSITIVE_INFINITY;
  #answers = 0;
  #sum = 0;
  #throttled = false;
  #hasBackedOff = false;

  get limit(): number {
    return this.#limit;
  }

  /** Learns how many milliseconds an answer to a small request took. */
  heard(ms: number): void {
    this.#answers++;
    this.#sum += ms;
    if (this.#answers >= this.#limit) this.#look(this.#sum / this.#answers);
  }

  /** The store has said that it is too much. */
  throttled(): void {
    // Once: those under way at the same time say the same.
    if (!this.#throttled) this.#set(this.#limit / 2);
    this.#throttled = true;
    this.#hasBackedOff = true;
  }

  #look(mean: number): void {
    this.#quickest = Math.min(mean, this.#quickest * (this.#limit <= FEW ? FADE : 1));
    if (!this.#throttled && mean <= this.#quickest * SLOWER) {
      this.#set(this.#limit + (this.#hasBackedOff ? 2 : this.#limit / 4));
    } else if (!this.#throttled && mean > this.#quickest * MUCH_SLOWER) {
      this.#set(this.#limit * 0.9);
      this.#hasBackedOff = true;
    }
    this.#throttled = false;
    this.#answers = 0;
    this.#sum = 0;
  }

  #set(limit: number): void {
    this.#limit = Math.min(MOST, Math.max(LEAST, Math.round(limit)));
  }
}
