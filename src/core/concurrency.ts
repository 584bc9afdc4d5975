/** Begins boldly: no store has trouble with so many, and a site of a few thousand files is up before anything is learned. */
const FIRST = 64;
const LEAST = 8;
/** Beyond it a single process is the limit, and each connection costs memory on both sides. */
const MOST = 128;
/** With more than this part refused, there are too many at once. */
const TOO_MANY_REFUSED = 1 / 4;
/** With less than this part refused, there may be more at once: a store under load refuses one now and then. */
const FEW_REFUSED = 1 / 16;
/** Answers that take longer than this much of the quickest window's say that more at once only wait for each other. */
const SLOWER = 1.5;
/** Answers as quick as this are none the slower for their number: what they take beyond their path is taken by chance. */
const QUICK_MS = 20;
const MUCH_SLOWER = 2.5;
/** What is remembered of the quickest fades by this with each window of few: a path or a store may change. */
const FADE = 1.02;
/** With more, it may be their number that makes them slow, and to get used to that would be to grow for ever. */
const FEW = 32;

/**
 * How many requests to have under way at once. It grows while answers come as quickly as ever, shrinks a little when they
 * do not, and is halved when the store says of many that it is too much. Looked at once for as many as are under way.
 */
export class Concurrency {
  #limit = FIRST;
  #quickest = Number.POSITIVE_INFINITY;
  /** How many were under way when this window began: what comes back first are those. */
  #window = FIRST;
  #answers = 0;
  #sum = 0;
  #refused = 0;
  #hasBackedOff = false;

  get limit(): number {
    return this.#limit;
  }

  /** Learns how many milliseconds an answer to a small request took. */
  heard(ms: number): void {
    this.#answers++;
    this.#sum += ms;
    this.#count();
  }

  /** The store has said that it is too much. */
  throttled(): void {
    const most = this.#window * TOO_MANY_REFUSED;
    // Once: those under way at the same time say the same.
    if (this.#refused <= most && this.#refused + 1 > most) this.#set(this.#limit / 2);
    this.#refused++;
    this.#count();
  }

  #count(): void {
    if (this.#answers + this.#refused < this.#window) return;
    if (this.#answers > 0) this.#look(this.#sum / this.#answers, this.#refused / this.#window);
    this.#window = this.#limit;
    this.#answers = 0;
    this.#sum = 0;
    this.#refused = 0;
  }

  #look(mean: number, refused: number): void {
    this.#quickest = Math.min(mean, this.#quickest * (this.#limit <= FEW ? FADE : 1));
    const usual = Math.max(QUICK_MS, this.#quickest);
    if (refused > TOO_MANY_REFUSED) this.#hasBackedOff = true;
    else if (mean > usual * MUCH_SLOWER) {
      this.#set(this.#limit * 0.9);
      this.#hasBackedOff = true;
    } else if (refused <= FEW_REFUSED && mean <= usual * SLOWER) {
      this.#set(this.#limit + (this.#hasBackedOff ? 2 : this.#limit / 4));
    }
  }

  #set(limit: number): void {
    this.#limit = Math.min(MOST, Math.max(LEAST, Math.round(limit)));
  }
}
