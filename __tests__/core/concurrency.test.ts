import { describe, expect, test } from '@jest/globals';
import { Concurrency } from '../../src/core/concurrency.ts';

/** A store as a simulation sees it: how long an answer takes with so many under way, or that it is too much. */
type Store = (underWay: number, nth: number) => number | 'too much';

interface Course {
  /** The limit after each answer. */
  readonly limits: number[];
  readonly refused: number;
  /** Answers in a second, over the last third. */
  readonly rate: number;
}

/** From 0.9 to 1.1, the same in every run. */
const jitter = (nth: number) => 0.9 + (((nth * 7919) % 101) / 101) * 0.2;

/** Puts so many small files as there is room for them; one that is refused waits in its place, and is put again. */
function simulate(store: Store, answers: number, concurrency = new Concurrency()): Course {
  const events: { at: number; kind: 'answer' | 'again'; took: number }[] = [];
  const limits: number[] = [];
  let [now, begun, serving, asked, refused, begunThird] = [0, 0, 0, 0, 0, 0];
  const ask = () => {
    const took = store(serving + 1, asked++);
    if (took === 'too much') {
      refused++;
      concurrency.throttled();
      events.push({ at: now + 250 * jitter(asked), kind: 'again', took: 0 });
    } else {
      serving++;
      events.push({ at: now + took, kind: 'answer', took });
    }
  };
  while (limits.length < answers) {
    for (; begun < concurrency.limit; begun++) ask();
    const event = events.sort((a, b) => b.at - a.at).pop();
    if (event === undefined) throw new Error('nothing goes on');
    now = event.at;
    if (event.kind === 'again') {
      ask();
      continue;
    }
    begun--;
    serving--;
    concurrency.heard(event.took);
    limits.push(concurrency.limit);
    if (limits.length === Math.floor((answers * 2) / 3)) begunThird = now;
  }
  return { limits, refused, rate: answers / 3 / ((now - begunThird) / 1000) };
}

const last = ({ limits }: Course, share = 0.3) => limits.slice(Math.floor(limits.length * (1 - share)));
const mean = (numbers: number[]) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
describe('the number of requests at once', () => {
  test('begins boldly', () => {
    expect(new Concurrency().limit).toBe(64);
  });

  test('grows to the most with a store that has no trouble', () => {
    const course = simulate((_, nth) => 30 * jitter(nth), 2000);
    expect(course.limits.at(-1)).toBe(128);
    expect(course.limits.indexOf(128)).toBeLessThan(500);
  });

  test.each([12, 20, 40, 80, 100])('settles near what a store takes that refuses more than %d', (most) => {
    const course = simulate((underWay, nth) => (underWay > most ? 'too much' : 30 * jitter(nth)), 6000);
    // Who waits to put again what was refused counts too, and is no load.
    expect(mean(last(course))).toBeGreaterThan(most * 0.9);
    expect(mean(last(course))).toBeLessThan(most * 2.5);
    // Nearly all that could be had is had.
    expect(course.rate).toBeGreaterThan(0.9 * (most / 0.03));
    expect(course.refused).toBeLessThan(6000 * 0.18);
  });

  test('is never below the least, whatever a store refuses', () => {
    const course = simulate((underWay, nth) => (underWay > 2 || nth % 3 === 0 ? 'too much' : 30), 2000);
    expect(Math.min(...course.limits)).toBe(8);
  });

  test('is halved once for all that a store refuses at the same time', () => {
    const concurrency = new Concurrency();
    for (let i = 0; i < 40; i++) concurrency.throttled();
    expect(concurrency.limit).toBe(32);
    // Those that were under way when it was halved are none of the next window's.
    for (let i = 0; i < 24; i++) concurrency.heard(30);
    for (let i = 0; i < 8; i++) concurrency.throttled();
    expect(concurrency.limit).toBe(32);
    concurrency.throttled();
    expect(concurrency.limit).toBe(16);
  });

  test.each([10, 20])('stands by its number where a store refuses one in %d, however few are under way', (nth) => {
    const course = simulate((_, asked) => (asked % nth === 0 ? 'too much' : 30 * jitter(asked)), 10_000);
    expect(Math.min(...course.limits)).toBe(64);
  });

  test('is not misled by answers that take few milliseconds, now and then some more', () => {
    const course = simulate((_, nth) => (nth % 50 === 0 ? 100 : 1), 10_000);
    expect(Math.min(...course.limits)).toBe(64);
    expect(course.limits.at(-1)).toBe(128);
  });

  test('recovers from a bad minute', () => {
    const concurrency = new Concurrency();
    simulate((underWay) => (underWay > 2 ? 'too much' : 30), 500, concurrency);
    expect(concurrency.limit).toBeLessThan(20);
    const after = simulate((_, nth) => 30 * jitter(nth), 10_000, concurrency);
    expect(after.limits.at(-1)).toBe(128);
  });

  test.each([70, 90])('does not go on growing where answers only wait for each other from %d on', (knee) => {
    const course = simulate((underWay, nth) => 30 * Math.max(1, underWay / knee) ** 3 * jitter(nth), 6000);
    expect(mean(last(course))).toBeGreaterThan(knee * 0.8);
    expect(mean(last(course))).toBeLessThan(knee * 1.4);
  });

  test('shrinks where a store becomes much slower under it', () => {
    const concurrency = new Concurrency();
    simulate(() => 30, 1000, concurrency);
    expect(concurrency.limit).toBe(128);
    const course = simulate((underWay) => 3 * underWay, 3000, concurrency);
    expect(Math.min(...course.limits)).toBeLessThan(64);
    expect(course.limits.at(-1)).toBeGreaterThanOrEqual(8);
  });

  test('comes to terms with a path that has become slower for good', () => {
    const concurrency = new Concurrency();
    simulate(() => 20, 1000, concurrency);
    const course = simulate((_, nth) => 200 * jitter(nth), 20_000, concurrency);
    expect(course.limits.at(-1)).toBeGreaterThanOrEqual(64);
  });

  test('is a whole number from 8 to 128, whatever is heard', () => {
    const concurrency = new Concurrency();
    for (const ms of [0, 1e9, Number.MIN_VALUE, 0, 0, 1e-9, 1e12]) {
      for (let i = 0; i < 300; i++) {
        if (i % 7 === 0) concurrency.throttled();
        concurrency.heard(ms);
        expect(concurrency.limit).toBe(Math.round(concurrency.limit));
        expect(concurrency.limit).toBeGreaterThanOrEqual(8);
        expect(concurrency.limit).toBeLessThanOrEqual(128);
      }
    }
  });
});
