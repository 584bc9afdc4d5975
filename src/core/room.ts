import type { Body, LocalFile } from './model.ts';

export type WithBody = <T>(file: LocalFile, use: (body: Body) => Promise<T>) => Promise<T>;

/** Large files that are sent as a stream at once: each is in memory in a few pieces. */
const STREAMS = 4;

/** Bounds what is in memory of the files that are being put. */
export class BodyRoom {
  readonly #withBody: WithBody;
  readonly #threshold: number;
  readonly #bytes: Room;
  /** Large files that are not read yet: of the next one the store is told while the one before it is read. */
  readonly #unread = new Room(2);
  /** Of files that go up in parts one is read at a time; the next is while the last parts of it are under way. */
  readonly #turns = new Room(1);
  readonly #streams = new Room(STREAMS);

  /** @param threshold bytes; larger files go up in parts, or as a stream. */
  constructor(withBody: WithBody, { memory, threshold }: { readonly memory: number; readonly threshold: number }) {
    this.#withBody = withBody;
    this.#threshold = threshold;
    this.#bytes = new Room(memory);
  }

  /** Waits until a file may be begun, and gives the way to open it. Files that are waited for come in order. */
  async for<T>(file: LocalFile, use: (withBody: WithBody) => Promise<T>): Promise<T> {
    if (file.size <= this.#threshold) return this.#bytes.during(file.size, () => use(this.#withBody));
    const isRead = await this.#unread.enter(1);
    try {
      return await use((large, useBody) => this.#withLarge(large, isRead, useBody));
    } finally {
      isRead();
    }
  }

  #withLarge<T>(file: LocalFile, isRead: () => void, use: (body: Body) => Promise<T>): Promise<T> {
    return this.#withBody(file, async (body) => {
      let left = body.size;
      const held: { turn?: Promise<() => void>; stream?: Promise<() => void> } = {};
      const withPart: Body['withPart'] = async (offset, length, usePart) => {
        held.turn ??= this.#turns.enter(1);
        const endTurn = await held.turn;
        return this.#bytes.during(length, () =>
          body.withPart(offset, length, (part) => {
            left -= length;
            if (left <= 0) {
              endTurn();
              isRead();
            }
            return usePart(part);
          }),
        );
      };
      const read: Body['read'] = async (offset, length) => {
        isRead();
        held.stream ??= this.#streams.enter(1);
        await held.stream;
        return body.read(offset, length);
      };
      try {
        return await use(over(body, { read, withPart }));
      } finally {
        (await held.turn)?.();
        (await held.stream)?.();
      }
    });
  }
}

/** A body that does something else in place of some of it. */
export function over(body: Body, instead: Partial<Body>): Body {
  return {
    size: body.size,
    read: (offset, length) => body.read(offset, length),
    withPart: (offset, length, use) => body.withPart(offset, length, use),
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

  async during<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    const leave = await this.enter(bytes);
    try {
      return await work();
    } finally {
      leave();
    }
  }

  /** @returns what leaves it again; only the first call does. */
  async enter(bytes: number): Promise<() => void> {
    const asked = Math.min(bytes, this.#size);
    if (this.#waiting.length > 0 || this.#taken + asked > this.#size) {
      await new Promise<void>((enter) => this.#waiting.push({ bytes: asked, enter }));
    } else {
      this.#taken += asked;
    }
    let left = false;
    return () => {
      if (!left) this.#leave(asked);
      left = true;
    };
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
