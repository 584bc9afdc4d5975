import { describe, expect, test } from '@jest/globals';
import { ServiceError } from '../../src/aws/failure.ts';
import { type Pace, type RetryOptions, withRetry } from '../../src/aws/retry.ts';
import { misbehaved, type ServiceFailure } from '../../src/core/explain.ts';
import { DeployError } from '../../src/errors.ts';

/** A clock that a test turns: sleeping moves it on. */
class Clock implements Pace {
  time = 1_000_000;
  readonly slept: number[] = [];
  readonly #random: number;

  constructor(random = 1) {
    this.#random = random;
  }

  now = () => this.time;
  random = () => this.#random;
  sleep = async (ms: number, signal?: AbortSignal) => {
    signal?.throwIfAborted();
    this.slept.push(ms);
    this.time += ms;
  };
}

const answer = (name: string, httpStatusCode: number, headers: Record<string, string> = {}) =>
  Object.assign(new Error(name), { name, $metadata: { httpStatusCode }, $response: { headers } });
const network = () => Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });

/** Calls something that fails with `errors`, one after the other, and then succeeds. */
async function call(errors: unknown[], clock = new Clock(), options: RetryOptions = {}) {
  let calls = 0;
  const result = await withRetry(
    'PutObject',
    async () => {
      const error = errors[calls++];
      if (error !== undefined) throw error;
      return 'stored';
    },
    clock,
    () => options,
  ).catch((error: unknown) => error);
  return { result, calls, slept: clock.slept };
}

/** Calls something that fails for ever. */
const callForEver = (error: unknown, clock = new Clock(), options: RetryOptions = {}) =>
  call(new Array(10_000).fill(error), clock, options);

test('what succeeds is called once and waits for nothing', async () => {
  expect(await call([])).toEqual({ result: 'stored', calls: 1, slept: [] });
});

describe('what passes is called again until it succeeds', () => {
  test.each([
    ['SlowDown', answer('SlowDown', 503), [500, 1000]],
    ['429', answer('Busy', 429), [500, 1000]],
    ['InternalError', answer('InternalError', 500), [100, 200]],
    ['502', answer('Bad Gateway', 502), [100, 200]],
    ['409 OperationAborted', answer('OperationAborted', 409), [100, 200]],
    ['BadDigest', answer('BadDigest', 400), [100, 200]],
    ['no answer', network(), [200, 400]],
    ['an answer that is not S3', new ServiceError(misbehaved('PutObject', 'HTML')), [100, 200]],
  ])('%s', async (_what, error, delays) => {
    expect(await call([error, error])).toEqual({ result: 'stored', calls: 3, slept: delays });
  });
});

describe('what will not pass is not called again', () => {
  test.each([
    ['a denial', answer('AccessDenied', 403)],
    ['a wrong key', answer('InvalidAccessKeyId', 403)],
    ['a wrong secret', answer('SignatureDoesNotMatch', 403)],
    ['an expired token', answer('ExpiredToken', 400)],
    ['a missing bucket', answer('NoSuchBucket', 404)],
    ['another region', answer('PermanentRedirect', 301)],
    ['a bad request', answer('MalformedXML', 400)],
    ['something the store does not know', answer('NotImplemented', 501)],
  ])('%s', async (_what, error) => {
    const { result, calls, slept } = await call([error]);
    expect(result).toBeInstanceOf(ServiceError);
    expect({ calls, slept }).toEqual({ calls: 1, slept: [] });
  });
});

describe('the waiting', () => {
  test('grows to a ceiling, and ends with the budget from the first failure on', async () => {
    const clock = new Clock();
    const { result, slept } = await callForEver(answer('SlowDown', 503), clock);
    expect(result).toMatchObject({ failure: { code: 'SlowDown', status: 503, operation: 'PutObject' } });
    expect(slept.slice(0, 7)).toEqual([500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
    expect(clock.time - 1_000_000).toBeGreaterThan(60_000);
    expect(clock.time - 1_000_000).toBeLessThanOrEqual(90_000);
  });

  test('counts the time that the calls take', async () => {
    const clock = new Clock();
    let calls = 0;
    const slow = async () => {
      calls++;
      clock.time += 30_000;
      throw network();
    };
    await expect(withRetry('PutObject', slow, clock)).rejects.toBeInstanceOf(ServiceError);
    expect(calls).toBe(4);
  });

  test('does not count a first call that was long', async () => {
    const clock = new Clock();
    let calls = 0;
    const slow = async () => {
      if (calls++ > 0) return 'stored';
      clock.time += 600_000;
      throw network();
    };
    expect(await withRetry('PutObject', slow, clock)).toBe('stored');
  });

  test('is jittered over its whole range, so that a fleet spreads', async () => {
    const error = answer('SlowDown', 503);
    expect((await call([error, error], new Clock(0.5))).slept).toEqual([250, 500]);
    expect((await call([error, error], new Clock(0))).slept).toEqual([0, 0]);
  });

  test.each([
    ['is as long as the store asks', '3', [3000]],
    ['is not longer than is sensible', '86400', [15_000]],
    ['is ours when the store asks for less', '0.1', [500]],
    ['is ours when the store asks with a date', 'Wed, 21 Oct 2026 07:28:00 GMT', [500]],
    ['is ours when the store asks for less than nothing', '-5', [500]],
  ])('%s', async (_what, retryAfter, delays) => {
    expect((await call([answer('SlowDown', 503, { 'retry-after': retryAfter })])).slept).toEqual(delays);
  });

  test('is told, before it begins', async () => {
    const told: [ServiceFailure['code'], number, number][] = [];
    const clock = new Clock();
    const onRetry = ({ code }: ServiceFailure, delay: number) => told.push([code, delay, clock.slept.length]);
    await call([answer('SlowDown', 503), network()], clock, { onRetry });
    expect(told).toEqual([
      ['SlowDown', 500, 0],
      ['ConnectionRefused', 200, 1],
    ]);
  });
});

test('a store that has never answered is asked seven times when it refuses connections, one that has for the whole budget', async () => {
  const refused = () => Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  expect((await callForEver(refused())).calls).toBe(7);
  expect((await callForEver(refused(), new Clock(), { hasAnswered: () => true })).calls).toBeGreaterThan(7);
});

test('a broken proxy is asked eight times', async () => {
  const { calls, result } = await callForEver(new ServiceError(misbehaved('PutObject', 'HTML')));
  expect(calls).toBe(8);
  expect(result).toMatchObject({ failure: { code: 'StoreMisbehaved' } });
});

test('a clock that is wrong is asked six times: the SDK corrects it after the first answer, if it can be corrected', async () => {
  expect((await callForEver(answer('RequestTimeTooSkewed', 403))).calls).toBe(6);
});

test('nothing is tried again once that would undo what another has done', async () => {
  const answers = [true, true, false];
  const mayRetry = async () => answers.shift() ?? true;
  const { calls, result, slept } = await callForEver(answer('SlowDown', 503), new Clock(), { mayRetry });
  expect([calls, slept.length]).toEqual([3, 3]);
  expect(result).toMatchObject({ failure: { code: 'SlowDown' } });
});

describe('where everything goes wrong a little', () => {
  const html = new ServiceError(misbehaved('PutObject', 'HTML'));
  test('each kind of failure is counted, and waited for, by itself', async () => {
    const errors = [html, network(), answer('SlowDown', 503), html, network(), answer('SlowDown', 503)];
    expect((await call(errors)).slept).toEqual([100, 200, 500, 200, 400, 1000]);
  });

  test('what may be asked again a few times is not spent by failures of another kind', async () => {
    const others = new Array(8).fill(answer('InternalError', 500));
    const skewed = answer('RequestTimeTooSkewed', 403);
    expect((await call([...others, html, html, skewed, skewed, html], new Clock(0.1))).result).toBe('stored');
    const again = async ({ code }: ServiceFailure, nth: number) =>
      code === 'ExpiredToken' && nth <= 3 ? 0 : undefined;
    const expired = answer('ExpiredToken', 400);
    const { result } = await call([...others, expired, html, expired, html, expired], new Clock(0.1), { again });
    expect(result).toBe('stored');
  });

  test('a call is told how many before it were not answered', async () => {
    const told: number[] = [];
    const errors = [network(), answer('SlowDown', 503), network()];
    await withRetry(
      'PutObject',
      async (unanswered) => {
        told.push(unanswered);
        const error = errors[told.length - 1];
        if (error !== undefined) throw error;
      },
      new Clock(),
    );
    expect(told).toEqual([0, 1, 1, 2]);
  });
});

test('a store that never sleeps a budget away still ends', async () => {
  // With no jitter at all nothing is waited for: the calls themselves must use the budget up.
  const clock = new Clock(0);
  let calls = 0;
  const busy = async () => {
    calls++;
    clock.time += 1000;
    throw answer('SlowDown', 503);
  };
  await expect(withRetry('PutObject', busy, clock)).rejects.toBeInstanceOf(ServiceError);
  expect(calls).toBeLessThanOrEqual(92);
});

test('a code that is an answer here is not called again, however it looks', async () => {
  const { calls, result } = await call([answer('ConditionalRequestConflict', 409)], new Clock(), {
    expect: ['ConditionalRequestConflict'],
  });
  expect(calls).toBe(1);
  expect(result).toMatchObject({ failure: { code: 'ConditionalRequestConflict' } });
});

test('a budget of its own ends the retries sooner', async () => {
  const clock = new Clock();
  await callForEver(answer('SlowDown', 503), clock, { budgetMs: 10_000 });
  expect(clock.time - 1_000_000).toBeLessThanOrEqual(10_000);
  expect(clock.slept.length).toBeGreaterThan(2);
});

test('a refusal that may pass is called again as long as the caller says', async () => {
  const again = async ({ code }: ServiceFailure, attempt: number) =>
    code === 'AccessDenied' && attempt <= 2 ? 700 * attempt : undefined;
  expect((await callForEver(answer('AccessDenied', 403), new Clock(), { again })).slept).toEqual([700, 1400]);
  expect((await callForEver(answer('NoSuchBucket', 404), new Clock(), { again })).slept).toEqual([]);
});

test('an error of our own comes through as it is, at once', async () => {
  const ours = new DeployError('SOURCE_INVALID', 'a.html changed while it was being deployed.');
  const { result, calls } = await call([ours]);
  expect(result).toBe(ours);
  expect(calls).toBe(1);
});

describe('a run that is cancelled', () => {
  test('calls nothing again', async () => {
    const cancel = new AbortController();
    let calls = 0;
    const cancelled = async () => {
      calls++;
      cancel.abort(new Error('cancelled'));
      throw network();
    };
    const act = withRetry('PutObject', cancelled, new Clock(), () => ({ signal: cancel.signal }));
    await expect(act).rejects.toThrow('cancelled');
    expect(calls).toBe(1);
  });

  test('waits no longer', async () => {
    const cancel = new AbortController();
    const onRetry = () => cancel.abort(new Error('cancelled'));
    const { result, calls } = await call([network(), network()], new Clock(), { signal: cancel.signal, onRetry });
    expect(result).toMatchObject({ message: 'cancelled' });
    expect(calls).toBe(1);
  });
});

test('what is thrown in the end holds nothing of the SDK error', async () => {
  const leaky = Object.assign(answer('AccessDenied', 403), { 'Token-0': 'session-token', CanonicalRequest: 'PUT /' });
  const { result } = await call([leaky]);
  expect(JSON.stringify(result, Object.getOwnPropertyNames(result))).not.toContain('session-token');
  expect(result).not.toHaveProperty('cause');
});

describe('a call that must be finished when the job is cancelled', () => {
  test('is retried for a few seconds more, and no longer', async () => {
    const cancelled = new AbortController();
    cancelled.abort();
    const clock = new Clock();
    const { calls, result } = await callForEver(answer('SlowDown', 503), clock, { hurry: cancelled.signal });
    expect(calls).toBeGreaterThan(1);
    expect(result).toMatchObject({ failure: { code: 'SlowDown' } });
    expect(clock.time - 1_000_000).toBeLessThanOrEqual(4_000);
  });

  test('is retried as any other while the job goes on', async () => {
    const clock = new Clock();
    await callForEver(answer('SlowDown', 503), clock, { hurry: new AbortController().signal });
    expect(clock.time - 1_000_000).toBeGreaterThan(60_000);
  });
});
