import type { Body, LocalFile } from './model.ts';

export type WithBody = <T>(file: LocalFile, use: (body: Body) => Promise<T>) => Promise<T>;

/** Large files that are sent as a stream at once: each is in memory in a few pieces. */
const STREAMS = 4;

/** Bounds what is in memory of the files that are being put. */
export class BodyRoom {
  readonly #withBody: WithBody;
  readonly #threshold: number;
  readonly #bytes: Room;
  /** Of files that go up in parts one is read at a time; the next begins while the last parts of it are under way. */
  readonly #turns = new Room(1);
  readonly #streams = new Room(STREAMS);

  /** @param threshold bytes; larger files go up in parts, or as a stream. */
  constructor(withBody: WithBody, { memory, threshold }: { readonly memory: number; readonly threshold: number }) {
    this.#withBody = withBody;
    this.#threshold = threshold;
    this.#bytes = new Room(memory);
  }

  /** Waits until there is room for a file, and gives the way to open it. Files that are waited for come in order. */
  async for<T>(file: LocalFile, use: (withBody: WithBody) => Promise<T>): Promise<T> {
    if (file.size <= this.#threshold) return this.#bytes.during(file.size, () => use(this.#withBody));
    const endTurn = await this.#turns.enter(1);
    try {
      return await use((large, useBody) => this.#withLarge(large, endTurn, useBody));
    } finally {
      endTurn();
    }
  }

  #withLarge<T>(file: LocalFile, endTurn: () => void, use: (body: Body) => Promise<T>): Promise<T> {
    return this.#withBody(file, async (body) => {
      let left = body.size;
      const withPart: Body['withPart'] = (offset, length, usePart) =>
        this.#bytes.during(length, () =>
          body.withPart(offset, length, (part) => {
            left -= length;
            if (left <= 0) endTurn();
            return usePart(part);
          }),
        );
      let stream: Promise<() => void> | undefined;
      const read: Body['read'] = async (offset, length) => {
        // It is not read in parts, then: nobody needs to wait for its last one.
        endTurn();
        stream ??= this.#streams.enter(1);
        await stream;
        return body.read(offset, length);
      };
      try {
        return await use(over(body, { read, withPart }));
      } finally {
        (await stream)?.();
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
