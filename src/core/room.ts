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
  /** One of them is read at a time; the next is while the last parts of it are under way. */
  readonly #turns = new Room(1);

  /** @param threshold bytes; larger files go up in parts, or as a stream. */
  constructor(withBody: WithBody, { memory, threshold }: { readonly memory: number; readonly threshold: number }) {
    this.#withBody = withBody;
    this.#threshold = threshold;
    this.#bytes = new Room(memory);
  }

  /** Waits until a file may be begun. Files that are waited for come in order. */
  async enter(file: LocalFile): Promise<Admission> {
    if (file.size <= this.#threshold) return { withBody: this.#withBody, leave: await this.#bytes.enter(file.size) };
    const leave = await this.#unread.enter(1);
    return { withBody: (large, use) => this.#withLarge(large, leave, use), leave };
  }

  #withLarge<T>(file: LocalFile, isRead: () => void, use: (body: Body) => Promise<T>): Promise<T> {
    return this.#withBody(file, async (body) => {
      let left = body.size;
      let turn: Promise<() => void> | undefined;
      /** Waits for room for a stretch, of which so many bytes will be in memory. */
      const enter = async (length: number, bytes: number) => {
        turn ??= this.#turns.enter(1);
        const endTurn = await turn;
        const leave = await this.#bytes.enter(bytes);
        left -= length;
        if (left <= 0) {
          endTurn();
          isRead();
        }
        return leave;
      };
      const withPart: Body['withPart'] = async (offset, length, usePart) => {
        const leave = await enter(length, length);
        return body.withPart(offset, length, usePart).finally(leave);
      };
      const stream: Body['stream'] = async (offset, length, usePieces) => {
        const leave = await enter(length, STREAM);
        return body.stream(offset, length, usePieces).finally(leave);
      };
      try {
        return await use(over(body, { stream, withPart }));
      } finally {
        (await turn)?.();
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
