import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, jest, test } from '@jest/globals';
import { type ApplyOptions, deleteStale, errorOf, uploadAll } from '../src/apply.ts';
import { eachOf } from '../src/core/each-of.ts';
import type {
  Body,
  Condition,
  Failure,
  ObjectHeaders,
  ObjectStore,
  Outcome,
  PhaseName,
  Plan,
  Put,
  RemoteObject,
  Upload,
} from '../src/core/model.ts';
import { DeployError } from '../src/errors.ts';

/** A bucket in memory whose call N, counted from 1, fails; every put waits a turn, so that others go on meanwhile. */
class MemoryStore implements ObjectStore {
  readonly objects = new Map<string, Buffer>();
  readonly headers = new Map<string, ObjectHeaders>();
  /** Keys whose headers the store does not change in place. */
  copies = true;
  readonly #failAt: (call: number, key: string) => Error | undefined;
  #calls = 0;

  constructor(
    failAt: (call: number, key: string) => Error | undefined = () => undefined,
    keys: readonly string[] = [],
  ) {
    this.#failAt = failAt;
    for (const key of keys) this.objects.set(key, Buffer.alloc(1));
  }

  async *list(prefix: string): AsyncGenerator<RemoteObject[]> {
    for (const [key, content] of this.objects)
      if (key.startsWith(prefix)) yield [{ key, size: content.length, etag: '', lastModified: 0 }];
  }

  async etag(): Promise<string | undefined> {
    return undefined;
  }

  async get(key: string): Promise<{ body: Uint8Array; etag: string } | undefined> {
    const body = this.objects.get(key);
    return body === undefined ? undefined : { body, etag: etagOf(key) };
  }

  async head(key: string): Promise<ObjectHeaders | undefined> {
    return this.headers.get(key);
  }

  async copyHeaders({ key }: RemoteObject, headers: ObjectHeaders): Promise<string | undefined> {
    const error = this.#failAt(++this.#calls, key);
    await turn();
    if (error !== undefined) throw error;
    if (!this.copies) return undefined;
    this.headers.set(key, headers);
    return `${etagOf(key)}, copied`;
  }

  async put(key: string, body: Body, headers: ObjectHeaders, condition?: Condition): Promise<Put> {
    const error = this.#failAt(++this.#calls, key);
    const content = await body.read(0, body.size);
    await turn();
    if (error !== undefined) throw error;
    const there = this.objects.has(key);
    const met =
      typeof condition === 'object' ? there && condition.etag === etagOf(key) : condition === undefined || !there;
    if (!met) return 'precondition failed';
    this.objects.set(key, content);
    this.headers.set(key, headers);
    return { etag: etagOf(key) };
  }

  async deleteMany(keys: readonly string[]): Promise<Failure[]> {
    const failures: Failure[] = [];
    for (const key of keys) {
      const error = this.#failAt(++this.#calls, key);
      if (error?.message === 'gone') throw error;
      if (error === undefined) this.objects.delete(key);
      else failures.push(failureOf(key, error.message, 'DeleteObjects'));
    }
    return failures;
  }
}

const etagOf = (key: string) => `etag of ${key}`;
const failureOf = (key: string, message: string, operation = 'PutObject', code = 'AccessDenied'): Failure => ({
  key,
  operation,
  code,
  message,
});
const at = (...calls: number[]) => {
  return (call: number) => (calls.includes(call) ? new Error(`call ${call} failed`) : undefined);
};
const object = (key: string): RemoteObject => ({ key, size: 1, etag: etagOf(key), lastModified: 0 });
const upload = (key: string, size = 10): Upload => ({
  file: { path: key, size, inode: 1, modified: 1 },
  key,
  reason: 'new',
  headers: { contentType: 'text/plain' },
});

function planOf(phases: { assets?: string[]; pages?: string[]; 'entry pages'?: string[] }, stale: string[] = []): Plan {
  return {
    phases: (['assets', 'pages', 'entry pages'] as const).map((name) => ({
      name,
      uploads: (phases[name] ?? []).map((key) => upload(key)),
    })),
    deletions: stale.map(object),
    kept: [],
    unchanged: [],
    stale: [],
    revived: [],
    adopted: [],
    verified: true,
  };
}

const STOP = new DeployError('STORE_UNREACHABLE', 'The store is gone.');

const CANCELLED = new DeployError('UPLOAD_FAILED', 'The job was cancelled.');

function options(more: Partial<ApplyOptions> = {}): ApplyOptions {
  return {
    concurrency: 1,
    memory: 1e6,
    threshold: 1e6,
    withBody: (file, use) =>
      use({
        size: file.size,
        read: async (_offset, length) => Buffer.alloc(length, file.path),
        withPart: (_offset, length, usePart) =>
          usePart({ content: Buffer.alloc(length, file.path), sha256: Buffer.alloc(32) }),
        stream: (_offset, length, usePieces) =>
          usePieces(async function* () {
            yield Buffer.alloc(length, file.path);
          }),
        sha256At: () => Buffer.alloc(32),
        giveBack: () => undefined,
        verify: async () => undefined,
        content: () => `content of ${file.path}`,
      }),
    overwrite: true,
    condition: () => undefined,
    mayGoOn: async () => true,
    judge: (error, key) => {
      if (more.signal?.aborted) return { stops: CANCELLED };
      const message = error instanceof Error ? error.message : String(error);
      const failure = failureOf(key, message, 'PutObject', error instanceof DeployError ? error.code : 'AccessDenied');
      return message === 'gone' ? { failure, stops: STOP } : { failure };
    },
    onUploaded: () => undefined,
    onBytes: () => undefined,
    ...more,
  };
}

const many = (count: number, name = 'a') => Array.from({ length: count }, (_, i) => `${name}${i}`);
const having = (more: Partial<Outcome> = {}): Outcome => ({
  uploaded: [],
  existing: [],
  deleted: [],
  failures: [],
  bytesUploaded: 0,
  interrupted: false,
  stopped: undefined,
  ...more,
});

describe('uploads', () => {
  test('go up with their content, phase after phase, and are told', async () => {
    const store = new MemoryStore();
    const plan = planOf({ assets: ['app.js', 'app.css'], pages: ['about.html'], 'entry pages': ['index.html'] });
    const outcome = await uploadAll(plan, store, options());
    expect([...store.objects.keys()]).toEqual(['app.js', 'app.css', 'about.html', 'index.html']);
    expect(store.objects.get('app.js')).toEqual(Buffer.alloc(10, 'app.js'));
    expect(outcome).toMatchObject({ failures: [], deleted: [], bytesUploaded: 40, stopped: undefined });
    expect(outcome.uploaded.map(({ key }) => key)).toEqual([...store.objects.keys()]);
  });

  test('of a phase begin when the one before it is complete, however many may go on at once', async () => {
    const store = new MemoryStore();
    const assetsAtPage: number[] = [];
    const withBody: ApplyOptions['withBody'] = (file, use) => {
      if (file.path.endsWith('.html')) assetsAtPage.push(store.objects.size);
      return options().withBody(file, use);
    };
    await uploadAll(planOf({ assets: many(20), pages: ['b.html'] }), store, options({ concurrency: 64, withBody }));
    expect(assetsAtPage).toEqual([20]);
  });

  test.each([1, 3, 7])('of a phase are finished after call %d failed, and no further phase is begun', async (call) => {
    const store = new MemoryStore(at(call));
    const plan = planOf({ assets: many(7), pages: ['p.html'], 'entry pages': ['index.html'] });
    const outcome = await uploadAll(plan, store, options({ concurrency: 3 }));
    expect(store.objects.size).toBe(6);
    expect([...store.objects.keys()].filter((key) => key.endsWith('.html'))).toEqual([]);
    expect(outcome.failures).toEqual([failureOf(`a${call - 1}`, `call ${call} failed`)]);
    expect(outcome.uploaded).toHaveLength(6);
    expect(outcome.bytesUploaded).toBe(60);
  });

  test('that fail in the last phase are failures too', async () => {
    const outcome = await uploadAll(planOf({ 'entry pages': ['index.html'] }), new MemoryStore(at(1)), options());
    expect(outcome.failures).toHaveLength(1);
    expect(outcome.uploaded).toEqual([]);
  });

  test('stop at once when the failure means the same for all that is left', async () => {
    const store = new MemoryStore((call) => (call === 3 ? new Error('gone') : undefined));
    const outcome = await uploadAll(planOf({ assets: many(100), pages: ['p.html'] }), store, options());
    expect([...store.objects.keys()]).toEqual(['a0', 'a1']);
    expect(outcome.failures).toHaveLength(1);
    expect(outcome.stopped).toBe(STOP);
  });

  test('stop when so many have failed that the rest would as well', async () => {
    const store = new MemoryStore((call) => (call <= 50 ? new Error('no') : undefined));
    const outcome = await uploadAll(planOf({ assets: many(60) }), store, options());
    expect(outcome.failures).toHaveLength(50);
    expect(store.objects.size).toBe(0);
  });

  test('go on below that number', async () => {
    const store = new MemoryStore((call) => (call <= 49 ? new Error('no') : undefined));
    const outcome = await uploadAll(planOf({ assets: many(60) }), store, options());
    expect(outcome.failures).toHaveLength(49);
    expect(store.objects.size).toBe(11);
  });

  test('whose file cannot be read are failures of their key alone', async () => {
    const store = new MemoryStore();
    const withBody: ApplyOptions['withBody'] = (file, use) =>
      file.path === 'a1'
        ? Promise.reject(new DeployError('SOURCE_INVALID', 'a1 changed.'))
        : options().withBody(file, use);
    const outcome = await uploadAll(planOf({ assets: many(3) }), store, options({ withBody }));
    expect(outcome.failures).toEqual([failureOf('a1', 'a1 changed.', 'PutObject', 'SOURCE_INVALID')]);
    expect([...store.objects.keys()]).toEqual(['a0', 'a2']);
  });

  test('of nothing are an outcome of nothing', async () => {
    expect(await uploadAll(planOf({}), new MemoryStore(), options())).toEqual(having());
  });
});

describe('what is stored', () => {
  test('is told with the ETag that the store gave it and the fingerprint of what was read', async () => {
    const { uploaded } = await uploadAll(planOf({ assets: ['a'] }), new MemoryStore(), options());
    expect(uploaded).toEqual([{ ...upload('a'), etag: 'etag of a', content: 'content of a' }]);
  });

  test('has the headers of the plan', async () => {
    const store = new MemoryStore();
    await uploadAll(planOf({ assets: ['a'] }), store, options());
    expect(store.headers.get('a')).toEqual({ contentType: 'text/plain' });
  });
});

describe('other headers', () => {
  const html = { contentType: 'text/html' };
  const change: Upload = { ...upload('a'), reason: 'headers', headers: html, object: object('a'), content: 'known' };
  const plan: Plan = { ...planOf({}), phases: [{ name: 'assets', uploads: [change] }] };
  const unread: ApplyOptions['withBody'] = () => Promise.reject(new Error('the file was read'));

  test('are given to the object that is there, and its content is left as it is', async () => {
    const store = new MemoryStore(undefined, ['a']);
    const before = store.objects.get('a');
    const { uploaded, failures } = await uploadAll(plan, store, options({ withBody: unread }));
    expect(failures).toEqual([]);
    expect(uploaded).toEqual([{ ...change, etag: 'etag of a, copied', content: 'known' }]);
    expect(store.headers.get('a')).toEqual(html);
    expect(store.objects.get('a')).toBe(before);
  });

  test('are put with the content where the store does not copy', async () => {
    const store = new MemoryStore(undefined, ['a']);
    store.copies = false;
    const { uploaded } = await uploadAll(plan, store, options());
    expect(uploaded).toEqual([{ ...change, etag: 'etag of a', content: 'content of a' }]);
    expect(store.headers.get('a')).toEqual(html);
  });

  test('that cannot be given are a failure of the key', async () => {
    const { failures } = await uploadAll(plan, new MemoryStore(at(1), ['a']), options({ withBody: unread }));
    expect(failures).toEqual([failureOf('a', 'call 1 failed')]);
  });

  test('go up with the file where its content is not known', async () => {
    const { content: _, ...unknown } = change;
    const store = new MemoryStore(undefined, ['a']);
    await uploadAll({ ...plan, phases: [{ name: 'assets', uploads: [unknown] }] }, store, options());
    expect(store.objects.get('a')).toEqual(Buffer.alloc(10, 'a'));
  });
});

describe('other headers of large files', () => {
  const large = (key: string): Upload => ({
    ...upload(key, 100),
    reason: 'headers',
    headers: { contentType: 'text/html' },
    object: object(key),
    content: 'known',
  });
  const plan: Plan = { ...planOf({}), phases: [{ name: 'assets', uploads: many(6).map(large) }] };

  /** The greatest number of copies, and of puts, that were under way at once. */
  class Counting extends MemoryStore {
    most = { copies: 0, puts: 0 };
    #now = { copies: 0, puts: 0 };

    override copyHeaders(object: RemoteObject, headers: ObjectHeaders): Promise<string | undefined> {
      return this.#count('copies', () => super.copyHeaders(object, headers));
    }

    override put(key: string, body: Body, headers: ObjectHeaders): Promise<Put> {
      return this.#count('puts', () =>
        body.withPart(0, body.size, async () => {
          await turn();
          return { etag: `${etagOf(key)}, ${headers.contentType}` };
        }),
      );
    }

    async #count<T>(what: 'copies' | 'puts', work: () => Promise<T>): Promise<T> {
      this.most[what] = Math.max(this.most[what], ++this.#now[what]);
      return work().finally(() => this.#now[what]--);
    }
  }

  test('are given to as many objects at once as to small ones: nothing of them is in memory', async () => {
    const store = new Counting();
    const { uploaded } = await uploadAll(plan, store, options({ concurrency: 5, memory: 100, threshold: 10 }));
    expect(uploaded).toHaveLength(6);
    expect(store.most).toEqual({ copies: 5, puts: 0 });
  });

  test('are put in the memory that there is where the store does not copy', async () => {
    const store = new Counting();
    store.copies = false;
    const { uploaded } = await uploadAll(plan, store, options({ concurrency: 5, memory: 100, threshold: 10 }));
    expect(uploaded.map(({ etag }) => etag)).toEqual(many(6).map((key) => `${etagOf(key)}, text/html`));
    expect(store.most.copies).toBe(5);
  });

  test('are given to no further object once the upload has ended', async () => {
    const store = new Counting((call) => (call === 2 ? new Error('gone') : undefined));
    const outcome = await uploadAll(plan, store, options({ concurrency: 1, threshold: 10 }));
    expect(outcome).toMatchObject({ uploaded: [{ key: 'a0' }], stopped: STOP });
    expect([...store.headers.keys()]).toEqual(['a0']);
  });
});

describe('a deploy that overwrites nothing', () => {
  const appending = { overwrite: false, condition: () => 'absent' as const };

  test('leaves alone what somebody else has put meanwhile, says so, and goes on', async () => {
    const store = new MemoryStore(undefined, ['a1', 'index.html']);
    const before = store.objects.get('a1');
    const plan = planOf({ assets: many(3), 'entry pages': ['index.html'] });
    const outcome = await uploadAll(plan, store, options(appending));
    expect(outcome).toMatchObject({
      existing: ['a1', 'index.html'],
      failures: [],
      interrupted: false,
      bytesUploaded: 20,
    });
    expect(outcome.uploaded.map(({ key }) => key)).toEqual(['a0', 'a2']);
    expect(store.objects.get('a1')).toBe(before);
  });

  test('is as far with such a file as with any other', async () => {
    let files = 0;
    await uploadAll(
      planOf({ assets: many(3) }),
      new MemoryStore(undefined, ['a1']),
      options({ ...appending, onUploaded: () => files++ }),
    );
    expect(files).toBe(3);
  });
});

describe('a deploy that another one overtakes', () => {
  const site = planOf({ assets: many(3), pages: ['p.html', 'q.html'], 'entry pages': ['index.html'] });

  test('is asked whether it may go on after its assets, and before entry pages again', async () => {
    const store = new MemoryStore();
    const there: string[][] = [];
    const mayGoOn = async () => there.push([...store.objects.keys()]) > 0;
    await uploadAll(site, store, options({ mayGoOn }));
    expect(there.map((keys) => keys.length)).toEqual([3, 5]);
  });

  test('is asked when there are entry pages alone, and not when there are no pages', async () => {
    let asked = 0;
    const mayGoOn = async () => ++asked > 0;
    await uploadAll(planOf({ assets: ['a'] }), new MemoryStore(), options({ mayGoOn }));
    await uploadAll(planOf({}), new MemoryStore(), options({ mayGoOn }));
    expect(asked).toBe(0);
    await uploadAll(planOf({ 'entry pages': ['index.html'] }), new MemoryStore(), options({ mayGoOn }));
    expect(asked).toBe(1);
  });

  test('puts no page when it may not, and is interrupted, not failed', async () => {
    const store = new MemoryStore();
    const outcome = await uploadAll(site, store, options({ mayGoOn: async () => false }));
    expect([...store.objects.keys()]).toEqual(many(3));
    expect(outcome).toMatchObject({ interrupted: true, failures: [], stopped: undefined, bytesUploaded: 30 });
    expect(errorOf(outcome, site)).toBeUndefined();
  });

  test('puts no page when nobody can say whether it may', async () => {
    const store = new MemoryStore();
    const mayGoOn = () => Promise.reject(new Error('gone'));
    const outcome = await uploadAll(site, store, options({ mayGoOn }));
    expect([...store.objects.keys()]).toEqual(many(3));
    expect(outcome).toMatchObject({ stopped: STOP, uploaded: [{}, {}, {}] });
  });

  test('is not asked when an asset failed', async () => {
    let asked = 0;
    const mayGoOn = async () => ++asked > 0;
    await uploadAll(site, new MemoryStore(at(2)), options({ mayGoOn }));
    expect(asked).toBe(0);
  });

  test('ends at the first page that is not what it saw, and puts no further one', async () => {
    const store = new MemoryStore(undefined, ['p.html']);
    const before = store.objects.get('p.html');
    const seen: PhaseName[] = [];
    const condition = (_upload: Upload, phase: PhaseName): Condition | undefined => {
      seen.push(phase);
      return phase === 'assets' ? undefined : 'absent';
    };
    const outcome = await uploadAll(site, store, options({ condition }));
    expect(outcome).toMatchObject({ interrupted: true, existing: [], failures: [], stopped: undefined });
    expect([...store.objects.keys()].sort()).toEqual(['a0', 'a1', 'a2', 'p.html']);
    expect(store.objects.get('p.html')).toBe(before);
    expect(seen).toEqual(['assets', 'assets', 'assets', 'pages']);
  });

  test('that had a failure as well is failed', async () => {
    const mayGoOn = async () => false;
    const outcome = await uploadAll(site, new MemoryStore(at(1)), options({ mayGoOn }));
    expect(outcome.interrupted).toBe(false);
    expect(errorOf(outcome, site)?.code).toBe('UPLOAD_FAILED');
  });
});

describe('memory', () => {
  /** The greatest number of bytes that were in memory at once. */
  async function peak(sizes: number[], memory: number, more: Partial<ApplyOptions> = {}): Promise<number> {
    let now = 0;
    let most = 0;
    const plan: Plan = {
      ...planOf({}),
      phases: [{ name: 'assets', uploads: sizes.map((size, i) => upload(`a${i}`, size)) }],
    };
    const withBody: ApplyOptions['withBody'] = async (file, use) => {
      now += file.size;
      most = Math.max(most, now);
      const used = await options().withBody(file, use);
      now -= file.size;
      return used;
    };
    const store = new MemoryStore();
    const outcome = await uploadAll(plan, store, options({ concurrency: 64, memory, withBody, ...more }));
    expect(outcome.uploaded).toHaveLength(sizes.length);
    return most;
  }

  test('is bounded, whatever may go on at once', async () => {
    const sizes = Array.from({ length: 40 }, (_, i) => 10 + (i % 7) * 10);
    expect(await peak(sizes, 100)).toBeLessThanOrEqual(100);
  });

  test('is used up', async () => {
    expect(
      await peak(
        many(10).map(() => 25),
        100,
      ),
    ).toBe(100);
  });

  test('has room for one file that never fits, alone', async () => {
    expect(await peak([10, 500, 10], 100)).toBe(500);
  });

  test('has room for empty files', async () => {
    expect(await peak([0, 0, 100, 0, 100], 100)).toBe(100);
  });

  test('is given in order, so that small files do not keep a large one waiting', async () => {
    const begun: number[] = [];
    const withBody: ApplyOptions['withBody'] = (file, use) => {
      begun.push(file.size);
      return options().withBody(file, use);
    };
    await peak([60, 90, 10, 20, 30], 100, { withBody });
    expect(begun).toEqual([60, 90, 10, 20, 30]);
  });

  describe('of parts', () => {
    /** Parts of 10 bytes, four of a file at once; each takes a turn, and the end of an upload another. */
    class InParts extends MemoryStore {
      readonly begun: string[] = [];
      readonly read: string[] = [];
      readonly ended: string[] = [];
      most = 0;
      #now = 0;
      /** Hears of each part when it is sent, counted from 1. */
      readonly #fails: (part: number) => boolean;
      #part = 0;

      constructor(fails: (part: number) => boolean = () => false) {
        super();
        this.#fails = fails;
      }

      override async put(key: string, body: Body): Promise<Put> {
        this.begun.push(key);
        const offsets = Array.from({ length: Math.ceil(body.size / 10) }, (_, i) => i * 10);
        try {
          await eachOf(offsets, 4, (offset) =>
            body.withPart(offset, Math.min(10, body.size - offset), async ({ content }) => {
              if (offset === 0) this.read.push(key);
              this.#now += content.length;
              this.most = Math.max(this.most, this.#now);
              await turn();
              this.#now -= content.length;
              if (this.#fails(++this.#part)) throw new Error('refused');
            }),
          );
          await turn();
        } finally {
          this.ended.push(key);
        }
        return { etag: etagOf(key) };
      }
    }
    function upload(store: InParts, count: number, size: number, memory: number, more: Partial<ApplyOptions> = {}) {
      const plan = planOf({ assets: Array.from({ length: count }, (_, i) => `${i}`) });
      for (const { uploads } of plan.phases) for (const { file } of uploads) Object.assign(file, { size });
      return uploadAll(plan, store, options({ concurrency: 64, memory, threshold: 10, ...more }));
    }

    test('is bounded, and is used up while one file ends and the next begins', async () => {
      const store = new InParts();
      expect((await upload(store, 4, 100, 50)).uploaded).toHaveLength(4);
      expect(store.most).toBe(50);
    });

    test('goes to one file after the other, and the next is read before the one before it has ended', async () => {
      const store = new InParts();
      const order: string[] = [];
      store.read.push = (key) => order.push(`read ${key}`);
      store.ended.push = (key) => order.push(`end ${key}`);
      await upload(store, 3, 100, 50);
      expect(order).toEqual(['read 0', 'read 1', 'end 0', 'read 2', 'end 1', 'end 2']);
    });

    test('is waited for by one file that is begun, while another is read', async () => {
      const store = new InParts();
      const order: string[] = [];
      store.begun.push = (key) => order.push(`begin ${key}`);
      store.read.push = (key) => order.push(`read ${key}`);
      await upload(store, 4, 100, 50);
      expect(order).toEqual(['begin 0', 'begin 1', 'read 0', 'begin 2', 'read 1', 'begin 3', 'read 2', 'read 3']);
    });

    test('goes to no file whose turn comes when the upload has ended', async () => {
      const store = new InParts((part) => part === 10);
      const judge: ApplyOptions['judge'] = (error, key) => ({ ...options().judge(error, key), stops: STOP });
      const outcome = await upload(store, 5, 100, 10, { judge });
      expect(outcome).toMatchObject({ stopped: STOP, failures: [{ key: '0' }], uploaded: [{ key: '1' }] });
      expect({ read: store.read, ended: store.ended }).toEqual({ read: ['0', '1'], ended: ['0', '2', '1'] });
    });

    test('goes to no file whose turn comes when a newer deploy has finished, though it was begun before', async () => {
      let [now, isNewest] = [0, true];
      const clock = jest.spyOn(performance, 'now').mockImplementation(() => now);
      const store = new InParts((part) => {
        if (part === 5) [now, isNewest] = [60_000, false];
        return false;
      });
      const outcome = await upload(store, 4, 100, 50, { mayGoOn: async () => isNewest }).finally(() =>
        clock.mockRestore(),
      );
      expect(outcome).toMatchObject({ interrupted: true, failures: [], uploaded: [{ key: '0' }] });
      expect({ begun: store.begun, read: store.read }).toEqual({ begun: ['0', '1'], read: ['0'] });
      expect(store.ended.toSorted()).toEqual(['0', '1']);
    });

    test('goes to no file whose turn comes when the job is cancelled', async () => {
      const cancel = new AbortController();
      const store = new InParts((part) => {
        if (part === 5) cancel.abort(new Error('cancelled'));
        return part >= 5;
      });
      const outcome = await upload(store, 4, 100, 50, { signal: cancel.signal });
      expect(outcome.stopped).toBe(CANCELLED);
      expect(store.read).toEqual(['0']);
      expect(store.ended.toSorted()).toEqual(['0', '1']);
    });

    test.each([5, 10, 15, 50])('of which there are %d bytes is left by parts that fail', async (memory) => {
      const store = new InParts((part) => part % 3 === 0);
      expect((await upload(store, 6, 100, memory)).failures.length).toBeGreaterThan(0);
      expect(store.ended).toHaveLength(6);
    });
  });

  describe('of streams', () => {
    /** Sends a body piece by piece, and fails at some of the files. */
    class Streaming extends MemoryStore {
      most = 0;
      #now = 0;

      override put(key: string, body: Body): Promise<Put> {
        return body.stream(0, body.size, async (pieces) => {
          this.most = Math.max(this.most, ++this.#now);
          for await (const _ of pieces()) await turn();
          this.#now--;
          if (Number(key) % 4 === 3) throw new Error('refused');
          return { etag: etagOf(key) };
        });
      }
    }

    test('goes to as many files at once as have room for a few pieces, and is given back by those that fail', async () => {
      const store = new Streaming();
      const keys = Array.from({ length: 12 }, (_, i) => `${i}`);
      const plan: Plan = {
        ...planOf({}),
        phases: [{ name: 'assets', uploads: keys.map((key) => upload(key, 100)) }],
      };
      const outcome = await uploadAll(plan, store, options({ concurrency: 64, threshold: 10, memory: 12 * 1024 ** 2 }));
      expect(store.most).toBe(4);
      expect(outcome.uploaded).toHaveLength(9);
      expect(outcome.failures.map(({ key }) => key)).toEqual(['3', '7', '11']);
    });
  });

  test('is given back after a failure', async () => {
    const store = new MemoryStore(at(1, 2, 3));
    const outcome = await uploadAll(planOf({ assets: many(6) }), store, options({ memory: 10, concurrency: 6 }));
    expect(store.objects.size).toBe(3);
    expect(outcome.failures).toHaveLength(3);
  });
});

describe('progress', () => {
  test('hears of every file and byte once', async () => {
    let files = 0;
    let bytes = 0;
    const heard = { onUploaded: () => files++, onBytes: (count: number) => (bytes += count) };
    await uploadAll(planOf({ assets: many(3), pages: ['p'] }), new MemoryStore(), options(heard as never));
    expect({ files, bytes }).toEqual({ files: 4, bytes: 40 });
  });

  test('hears nothing of a file that failed', async () => {
    let files = 0;
    let bytes = 0;
    const heard = { onUploaded: () => files++, onBytes: (count: number) => (bytes += count) };
    await uploadAll(planOf({ assets: many(3) }), new MemoryStore(at(2)), options(heard as never));
    expect({ files, bytes }).toEqual({ files: 2, bytes: 20 });
  });

  test('hears of a file in parts while it goes, and of its bytes once', async () => {
    const heard: number[] = [];
    class InParts extends MemoryStore {
      override async put(key: string, body: Body): Promise<Put> {
        for (const offset of [0, 4, 8]) await body.withPart(offset, Math.min(4, body.size - offset), async () => {});
        return { etag: etagOf(key) };
      }
    }
    const more = { threshold: 4, onBytes: (count: number) => heard.push(count) };
    await uploadAll(planOf({ assets: ['a'] }), new InParts(), options(more));
    expect(heard.slice(0, 3)).toEqual([4, 4, 2]);
    expect(heard.reduce((sum, count) => sum + count)).toBe(10);
  });
});

describe('a job that is cancelled', () => {
  test('begins no further upload, and says what is up', async () => {
    const cancel = new AbortController();
    const store = new MemoryStore();
    const onUploaded = () => cancel.abort(new Error('cancelled'));
    const act = uploadAll(planOf({ assets: many(9) }), store, options({ onUploaded, signal: cancel.signal }));
    expect(await act).toMatchObject({ stopped: CANCELLED, failures: [], deleted: [] });
    expect(store.objects.size).toBe(1);
  });

  test('does not count as failures what the cancelling broke', async () => {
    const cancel = new AbortController();
    const store = new MemoryStore(() => {
      cancel.abort(new Error('cancelled'));
      return new Error('socket hang up');
    });
    const act = uploadAll(planOf({ assets: many(2) }), store, options({ signal: cancel.signal }));
    expect(await act).toMatchObject({ stopped: CANCELLED, failures: [], deleted: [] });
  });

  test('leaves nobody waiting for memory', async () => {
    const cancel = new AbortController();
    const act = uploadAll(
      planOf({ assets: many(9) }),
      new MemoryStore(),
      options({
        concurrency: 9,
        memory: 10,
        signal: cancel.signal,
        onUploaded: () => cancel.abort(new Error('cancelled')),
      }),
    );
    expect(await act).toMatchObject({ stopped: CANCELLED, failures: [], deleted: [] });
  });

  test('deletes nothing', async () => {
    const store = new MemoryStore(undefined, ['old']);
    const signal = AbortSignal.abort(new Error('cancelled'));
    const outcome = await deleteStale(planOf({}, ['old']), having(), store, options({ signal }));
    expect(outcome).toMatchObject({ stopped: CANCELLED, deleted: [] });
    expect([...store.objects.keys()]).toEqual(['old']);
  });

  test('while it deletes is cancelled, not failed', async () => {
    const cancel = new AbortController();
    const store = new MemoryStore(() => {
      cancel.abort(new Error('cancelled'));
      return new Error('gone');
    }, ['old']);
    const act = deleteStale(planOf({}, ['old']), having(), store, options({ signal: cancel.signal }));
    expect(await act).toMatchObject({ stopped: CANCELLED, failures: [], deleted: [] });
  });
});

describe('stale objects', () => {
  test('are deleted, and nothing else', async () => {
    const store = new MemoryStore(undefined, ['old', 'older', 'kept']);
    const outcome = await deleteStale(planOf({}, ['old', 'older']), having({ bytesUploaded: 7 }), store, options());
    expect([...store.objects.keys()]).toEqual(['kept']);
    expect(outcome).toEqual(having({ bytesUploaded: 7, deleted: ['old', 'older'] }));
  });

  test('stay when an upload failed', async () => {
    const store = new MemoryStore(undefined, ['old']);
    const failed = having({ failures: [failureOf('a', 'no')] });
    expect(await deleteStale(planOf({}, ['old']), failed, store, options())).toBe(failed);
    expect([...store.objects.keys()]).toEqual(['old']);
  });

  test('that could not be deleted are failures, the others are not', async () => {
    const store = new MemoryStore(at(2), ['x', 'y', 'z']);
    const outcome = await deleteStale(planOf({}, ['x', 'y', 'z']), having(), store, options());
    expect([...store.objects.keys()]).toEqual(['y']);
    expect(outcome.deleted).toEqual(['x', 'z']);
    expect(outcome.failures.map(({ key }) => key)).toEqual(['y']);
  });

  test('of a store that is gone are not counted as deleted', async () => {
    const store = new MemoryStore(() => new Error('gone'), ['x']);
    const outcome = await deleteStale(planOf({}, ['x']), having(), store, options());
    expect(outcome).toMatchObject({ deleted: [], failures: [{ key: 'x', message: 'gone' }], stopped: STOP });
  });

  test('that are none need no store', async () => {
    const nothing = having();
    const signal = AbortSignal.abort();
    expect(await deleteStale(planOf({}), nothing, new MemoryStore(), options({ signal }))).toBe(nothing);
  });
});

describe('the error of an outcome', () => {
  const plan = planOf({ assets: ['a', 'b'] }, ['old']);

  test('without failures is none', () => {
    expect(errorOf(having(), plan)).toBeUndefined();
  });

  test('that was stopped is what stopped it', () => {
    expect(errorOf(having({ failures: [failureOf('a', 'gone')], stopped: STOP }), plan)).toBe(STOP);
  });

  test.each([
    [
      'an upload',
      failureOf('a', 'PutObject 403'),
      'UPLOAD_FAILED',
      '1 of the uploads failed; the first: a: PutObject 403.',
    ],
    ['a deletion', failureOf('old', 'denied.'), 'DELETE_FAILED', '1 of the deletions failed; the first: old: denied.'],
    [
      'a file that changed',
      failureOf('a', 'a changed.', 'read', 'SOURCE_INVALID'),
      'SOURCE_INVALID',
      '1 of the uploads failed; the first: a: a changed.',
    ],
  ])('with %s that failed', (_what, failure, code, message) => {
    expect(errorOf(having({ failures: [failure] }), plan)).toMatchObject({ code, message });
  });

  test('counts all failures and names the first', () => {
    const failures = [failureOf('b', 'no'), failureOf('a', 'neither')];
    expect(errorOf(having({ failures }), plan)?.message).toBe('2 of the uploads failed; the first: b: no.');
  });

  test('names a hostile key harmlessly', () => {
    const failures = [failureOf('##[stop-commands]x\n::y::', 'no')];
    expect(errorOf(having({ failures }), plan)?.message).toContain('##\\[stop-commands]x\\x0a::y::: no.');
  });
});
