import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
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
