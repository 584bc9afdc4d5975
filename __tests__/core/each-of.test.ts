import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { eachOf } from '../../src/core/each-of.ts';

/** Work that begins and ends when the test says so. */
class Desk {
  readonly begun: number[] = [];
  readonly #open = new Map<number, PromiseWithResolvers<void>>();

  readonly work = (item: number): Promise<void> => {
    this.begun.push(item);
    const task = Promise.withResolvers<void>();
    this.#open.set(item, task);
    return task.promise;
  };

  async finish(item: number, error?: Error): Promise<void> {
    const task = this.#open.get(item);
    if (error === undefined) task?.resolve();
    else task?.reject(error);
    await turn();
  }
}

const settled = async (promise: Promise<void>): Promise<string> => {
  const state = await Promise.race([
    promise.then(
      () => 'done',
      (error: Error) => error.message,
    ),
    turn('under way'),
  ]);
  return state;
};

test('no more are under way than are allowed, and they begin in order', async () => {
  const desk = new Desk();
  const all = eachOf([1, 2, 3, 4, 5], 2, desk.work);
  expect(desk.begun).toEqual([1, 2]);
  await desk.finish(2);
  expect(desk.begun).toEqual([1, 2, 3]);
  await desk.finish(1);
  await desk.finish(3);
  expect(desk.begun).toEqual([1, 2, 3, 4, 5]);
  expect(await settled(all)).toBe('under way');
  await desk.finish(4);
  await desk.finish(5);
  expect(await settled(all)).toBe('done');
});

test('after an error nothing is begun, what is under way is awaited, and the first error is thrown', async () => {
  const desk = new Desk();
  const all = eachOf([1, 2, 3, 4], 3, desk.work);
  await desk.finish(2, new Error('second'));
  expect(await settled(all)).toBe('under way');
  await desk.finish(1, new Error('first'));
  expect(await settled(all)).toBe('under way');
  await desk.finish(3);
  expect(desk.begun).toEqual([1, 2, 3]);
  expect(await settled(all)).toBe('second');
});

test('an error that is undefined is an error', async () => {
  await expect(eachOf([1], 1, () => Promise.reject(undefined))).rejects.toBeUndefined();
});

test('work that throws at once ends it as well', async () => {
  const seen: number[] = [];
  const act = eachOf([1, 2, 3], 1, (item) => {
    seen.push(item);
    if (item === 2) throw new Error('at once');
    return Promise.resolve();
  });
  await expect(act).rejects.toThrow('at once');
  expect(seen).toEqual([1, 2]);
});

test('nothing to do is done', async () => {
  await expect(eachOf([], 4, () => Promise.reject(new Error('never')))).resolves.toBeUndefined();
});

test('items are taken when their turn comes, so that endless ones take no memory', async () => {
  let made = 0;
  function* endless() {
    for (;;) yield ++made;
  }
  await expect(
    eachOf(endless(), 2, (item) => (item === 50 ? Promise.reject(new Error('enough')) : Promise.resolve())),
  ).rejects.toThrow('enough');
  expect(made).toBeLessThan(60);
});

describe('with a limit that changes', () => {
  test('more are begun when it has grown, at the next end of one', async () => {
    const desk = new Desk();
    const atOnce = { limit: 1 };
    const all = eachOf([1, 2, 3, 4, 5], atOnce, desk.work);
    expect(desk.begun).toEqual([1]);
    atOnce.limit = 3;
    await desk.finish(1);
    expect(desk.begun).toEqual([1, 2, 3, 4]);
    for (const item of [2, 3, 4, 5]) await desk.finish(item);
    expect(await settled(all)).toBe('done');
  });

  test('none is begun until fewer are under way than it is now', async () => {
    const desk = new Desk();
    const atOnce = { limit: 4 };
    const all = eachOf([1, 2, 3, 4, 5, 6], atOnce, desk.work);
    atOnce.limit = 2;
    await desk.finish(1);
    await desk.finish(2);
    expect(desk.begun).toEqual([1, 2, 3, 4]);
    await desk.finish(3);
    expect(desk.begun).toEqual([1, 2, 3, 4, 5]);
    for (const item of [4, 5, 6]) await desk.finish(item);
    expect(await settled(all)).toBe('done');
  });

  test.each([0, -1, 0.5, Number.NaN])('of %d everything is done all the same, one by one', async (limit) => {
    let [underWay, most] = [0, 0];
    const done: number[] = [];
    await eachOf([1, 2, 3], { limit }, async (item) => {
      most = Math.max(most, ++underWay);
      await turn();
      underWay--;
      done.push(item);
    });
    expect([done, most]).toEqual([[1, 2, 3], 1]);
  });

  test('everything is begun once, in order, never with more under way than it was at some time', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(40),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
        async (count, limits) => {
          const begun: number[] = [];
          let [underWay, most, asked] = [0, 0, 0];
          const atOnce = {
            get limit() {
              return limits[asked++ % limits.length] ?? 1;
            },
          };
          const items = Array.from({ length: count }, (_, i) => i);
          await eachOf(items, atOnce, async (item) => {
            begun.push(item);
            most = Math.max(most, ++underWay);
            for (let i = 0; i < item % 4; i++) await Promise.resolve();
            underWay--;
          });
          expect(begun).toEqual(items);
          expect(underWay).toBe(0);
          expect(most).toBeLessThanOrEqual(Math.max(...limits));
        },
      ),
    );
  });
});
