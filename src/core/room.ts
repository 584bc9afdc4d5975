import type { Body, LocalFile } from './model.ts';

export type WithBody = <T>(file: LocalFile, use: (body: Body) => Promise<T>) => Promise<T>;

/** Bytes in memory of what is sent as a stream: a piece that is read, and what TLS and the socket have of the one before. */
const STREAM = 3 * 1024 ** 2;

/** A file may be opened, and read, until it is left. */
export interface Admission {
  readonly withBody: WithBody;
  leave(): void;
}

/** Bounds what is in memory of the files that are being put. */
export class BodyRoom {
  readonly #withBody: WithBody;
  readonly #threshold: number;
  readonly #bytes: Room;
  /** Large files that are not read yet: of the next one the store is told while the one before it is read. */
  readonly #unread = new Room(2);
  /** One of them is read at a time; the next is when the last stretch of it has found room. */
  readonly #turns = new Room(1);

  /** @param threshold bytes; larger files go up in parts, or as a stream. */
  constructor(withBody: WithBody, { memory, threshold }: { readonly memory: number; readonly threshold: number }) {
    this.#withBody = withBody;
    this.#threshold = threshold;
    this.#bytes = new Room(memory);
  }

  /**
   * Waits until a file may be begun. Files that are waited for come in order.
   * @param mayRead asked of a large file when its turn has come, before any of it is read; what it throws the body throws.
   */
  async enter(file: LocalFile, mayRead: () => Promise<void>): Promise<Admission> {
    if (file.size <= this.#threshold) return { withBody: this.#withBody, leave: await this.#bytes.enter(file.size) };
    const isRead = await this.#unread.enter(1);
    return { withBody: (large, use) => this.#withLarge(large, { mayRead, isRead }, use), leave: isRead };
  }

  #withLarge<T>(file: LocalFile, { mayRead, isRead }: Reading, use: (body: Body) => Promise<T>): Promise<T> {
    return this.#withBody(file, (body) => {
      let turn: Promise<void> | undefined;
      let endTurn = () => {};
      const takeTurn = async () => {
        const leave = await this.#turns.enter(1);
        endTurn = () => {
          leave();
          isRead();
        };
        await mayRead();
      };
      /** Waits for room for a stretch, of which so many bytes will be in memory. */
      const lend = async <R>(end: number, bytes: number, useStretch: () => Promise<R>) => {
        try {
          turn ??= takeTurn();
          await turn;
          const leave = await this.#bytes.enter(bytes);
          if (end >= body.size) endTurn();
          return await useStretch().finally(leave);
        } catch (error) {
          // Whatever becomes of this file, the next one need not wait for it.
          endTurn();
          throw error;
        }
      };
      return use(
        over(body, {
          withPart: (offset, length, usePart) =>
            lend(offset + length, length, () => body.withPart(offset, length, usePart)),
          stream: (offset, length, usePieces) =>
            lend(offset + length, STREAM, () => body.stream(offset, length, usePieces)),
        }),
      );
    });
  }
}

interface Reading {
  mayRead(): Promise<void>;
  /** All of the file has found room, or it is given up. */
  isRead(): void;
}

/** A body that does something else in place of some of it. */
export function over(body: Body, instead: Partial<Body>): Body {
  return {
    size: body.size,
    read: (offset, length) => body.read(offset, length),
    withPart: (offset, length, use) => body.withPart(offset, length, use),
    stream: (offset, length, use) => body.stream(offset, length, use),
    sha256At: (offset) => body.sha256At(offset),
    giveBack: (content) => body.giveBack(content),
    verify: () => body.verify(),
    content: () => body.content(),
    ...instead,
  };
}

/** Bounds what is taken: it is entered while there is room, in order; what never fits enters alone. */
class Room {
  readonly #size: number;
  #taken = 0;
  readonly #waiting: { bytes: number; enter: () => void }[] = [];

  constructor(size: number) {
    this.#size = size;
  }

  /**
   * Both who waited and who need not go on one microtask later, so that nobody overtakes.
   * @returns what leaves it again; only the first call does.
   */
  enter(bytes: number): Promise<() => void> {
    const asked = Math.min(bytes, this.#size);
    let left = false;
    const leave = () => {
      if (!left) this.#leave(asked);
      left = true;
    };
    if (this.#waiting.length > 0 || this.#taken + asked > this.#size) {
      return new Promise((resolve) => this.#waiting.push({ bytes: asked, enter: () => resolve(leave) }));
    }
    this.#taken += asked;
    return Promise.resolve(leave);
  }

  #leave(bytes: number): void {
    this.#taken -= bytes;
    for (
      let next = this.#waiting[0];
      next !== undefined && this.#taken + next.bytes <= this.#size;
      next = this.#waiting[0]
    ) {
      this.#taken += next.bytes;
      this.#waiting.shift();
      next.enter();
    }
  }
}
