import { type AtOnce, eachOf } from './core/each-of.ts';
import type { Body, Condition, Failure, ObjectStore, Outcome, PhaseName, Plan, Stored, Upload } from './core/model.ts';
import { type Admission, BodyRoom, over, type WithBody } from './core/room.ts';
import { plain } from './core/text.ts';
import { DeployError } from './errors.ts';

/** What applying a plan needs of the world. */
export interface ApplyOptions {
  /** Files under way at once. */
  readonly concurrency: AtOnce;
  /** Bytes in memory at once. */
  readonly memory: number;
  /** Bytes; a larger file goes up in parts, or as a stream. */
  readonly threshold: number;
  readonly signal?: AbortSignal | undefined;
  /** On which condition an upload of a phase is put. */
  condition(upload: Upload, phase: PhaseName): Condition | undefined;
  /** What is there already is left alone; otherwise an unmet condition means that somebody else deploys. */
  readonly overwrite: boolean;
  /** Pages are deleted before what they name. */
  isPage?(key: string): boolean;
  readonly withBody: WithBody;
  /** Asked before pages go up, and now and then while anything does; false ends the upload. */
  mayGoOn(): Promise<boolean>;
  /** Says what a thrown error means for a key, and whether it means the same for all that is left. */
  judge(error: unknown, key: string): Verdict;
  /** Hears of each file, and of bytes, that are up. */
  onUploaded(): void;
  onBytes(count: number): void;
}

export interface Verdict {
  /** Absent where the key did nothing wrong: the job was cancelled. */
  readonly failure?: Failure;
  /** The run cannot go on: the credentials have expired, the store is gone, the job is cancelled. */
  readonly stops?: DeployError | undefined;
}

/** Milliseconds after which is asked again whether another deploy has finished meanwhile. */
const ASK_AGAIN_MS = 5_000;
/** After so many failed keys the rest of a phase would fail as well. */
const MOST_FAILURES = 50;
/** Ends a file that is begun, but not read yet, when the upload has ended. */
const OVER = new Error('the upload has ended');

/**
 * Uploads phase by phase, each begun when the one before it is complete, so that a page goes live after everything it
 * names. After a failure the phase is finished, unless the failure stops the run, and no further phase is begun.
 */
export async function uploadAll(plan: Plan, store: ObjectStore, options: ApplyOptions): Promise<Outcome> {
  const uploaded: Stored[] = [];
  const existing: string[] = [];
  const failures: Failure[] = [];
  let stopped: DeployError | undefined;
  let interrupted = false;
  let bytesUploaded = 0;
  const room = new BodyRoom(options.withBody, options);

  const fail = (error: unknown, key: string): void => {
    const { failure, stops } = options.judge(error, key);
    if (failure !== undefined) failures.push(failure);
    stopped ??= stops;
  };

  let askedAt = performance.now();
  let asking: Promise<void> | undefined;
  const ask = async (key: string): Promise<void> => {
    try {
      if (!(await options.mayGoOn())) interrupted = true;
    } catch (error) {
      fail(error, key);
    }
    askedAt = performance.now();
    asking = undefined;
  };
  const isTimeToAsk = () => performance.now() - askedAt > ASK_AGAIN_MS;
  const askToGoOn = (key: string): Promise<void> => {
    asking ??= ask(key);
    return asking;
  };

  /** Whether nothing has happened that ends the upload. */
  const goesOn = (): boolean => {
    if (stopped !== undefined || interrupted || failures.length >= MOST_FAILURES) return false;
    options.signal?.throwIfAborted();
    return true;
  };

  /** @throws OVER when something has. */
  const checkAgain = async (key: string): Promise<void> => {
    if (isTimeToAsk()) await askToGoOn(key);
    if (!goesOn()) throw OVER;
  };

  const note = (upload: Upload, stored: Stored | undefined): void => {
    if (stored === undefined && options.overwrite) interrupted = true;
    else if (stored === undefined) existing.push(upload.key);
    else {
      uploaded.push(stored);
      bytesUploaded += upload.file.size;
    }
    options.onUploaded();
  };

  const put = async (upload: Upload, phase: PhaseName): Promise<void> => {
    const { key } = upload;
    let admitted: Admission | undefined;
    try {
      if (upload.reason === 'headers') {
        await checkAgain(key);
        const copied = await copyHeaders(upload, store);
        if (copied !== undefined) return note(upload, copied);
      }
      admitted = await room.enter(upload.file, () => checkAgain(key));
      // Much may have happened while it was waited for.
      await checkAgain(key);
      const condition = options.condition(upload, phase);
      note(upload, await storeOne(upload, store, condition, admitted.withBody, options));
    } catch (error) {
      if (error !== OVER) fail(error, key);
    } finally {
      admitted?.leave();
    }
  };

  const live = plan.phases.filter(({ uploads }) => uploads.length > 0);
  for (const phase of live) {
    if (phase.name !== 'assets') await askToGoOn(phase.uploads[0]?.key ?? '');
    if (!interrupted && failures.length === 0 && stopped === undefined)
      await eachOf(phase.uploads, options.concurrency, (upload) => put(upload, phase.name));
    if (interrupted || failures.length > 0 || stopped !== undefined) break;
  }
  return { uploaded, existing, deleted: [], failures, bytesUploaded, interrupted, stopped };
}

/** Gives an object that has the content the headers of the plan; undefined where that is not known, or not possible. */
async function copyHeaders(upload: Upload, store: ObjectStore): Promise<Stored | undefined> {
  const { object, headers, content } = upload;
  if (object === undefined || content === undefined) return undefined;
  const etag = await store.copyHeaders(object, headers);
  return etag === undefined ? undefined : { ...upload, etag, content };
}

/** Puts one object; undefined when its condition was not met. */
function storeOne(
  upload: Upload,
  store: ObjectStore,
  condition: Condition | undefined,
  withBody: WithBody,
  { threshold, onBytes }: Pick<ApplyOptions, 'threshold' | 'onBytes'>,
): Promise<Stored | undefined> {
  const { file, key, headers } = upload;
  return withBody(file, async (whole) => {
    let told = 0;
    const tell = (count: number) => {
      told += count;
      onBytes(count);
    };
    const body = file.size > threshold ? telling(whole, tell) : whole;
    const put = await store.put(key, body, headers, condition);
    tell(Math.max(0, file.size - told));
    return put === 'precondition failed' ? undefined : { ...upload, etag: put.etag, content: body.content() };
  });
}

/** Keys deleted between two looks at whether another deploy has finished meanwhile. */
const DELETIONS_AT_ONCE = 1000;

/**
 * Deletes what the plan says is stale; nothing when the upload before it had a failure. Pages go first, and what they name
 * when they are gone: a deletion that is cut off leaves no page without its assets either. It ends when another deploy has
 * finished meanwhile, which may have found a use for what is left.
 */
export async function deleteStale(
  plan: Plan,
  before: Outcome,
  store: ObjectStore,
  options: Pick<ApplyOptions, 'signal' | 'judge' | 'mayGoOn' | 'isPage'>,
): Promise<Outcome> {
  if (plan.deletions.length === 0 || before.failures.length > 0 || before.stopped !== undefined) return before;
  const deleted: string[] = [];
  for (const keys of deletionBatches(plan, options.isPage)) {
    try {
      if (!(await options.mayGoOn())) break;
      options.signal?.throwIfAborted();
      const failures = await store.deleteMany(keys, options.mayGoOn);
      const left = new Set(failures.map(({ key }) => key));
      deleted.push(...keys.filter((key) => !left.has(key)));
      if (failures.length > 0) return { ...before, failures, deleted };
    } catch (error) {
      const { failure, stops } = options.judge(error, keys[0] ?? '');
      return { ...before, failures: failure === undefined ? [] : [failure], deleted, stopped: stops };
    }
  }
  return { ...before, deleted };
}

function deletionBatches(plan: Plan, isPage: ApplyOptions['isPage']): string[][] {
  const all = plan.deletions.map(({ key }) => key);
  const ofPages = (key: string) => isPage?.(key) ?? false;
  return [all.filter(ofPages), all.filter((key) => !ofPages(key))].flatMap((keys) =>
    Array.from({ length: Math.ceil(keys.length / DELETIONS_AT_ONCE) }, (_, i) =>
      keys.slice(i * DELETIONS_AT_ONCE, (i + 1) * DELETIONS_AT_ONCE),
    ),
  );
}

/** The error of an outcome with failures, or undefined for one without. */
export function errorOf(outcome: Outcome, plan: Plan): DeployError | undefined {
  const { failures } = outcome;
  const first = failures[0];
  if (outcome.stopped !== undefined) return outcome.stopped;
  if (first === undefined) return undefined;
  const deleting = plan.deletions.some(({ key }) => key === first.key);
  const code = deleting ? 'DELETE_FAILED' : first.code === 'SOURCE_INVALID' ? 'SOURCE_INVALID' : 'UPLOAD_FAILED';
  const what = `${failures.length} of the ${deleting ? 'deletions' : 'uploads'} failed; the first: ${plain(first.key)}: ${first.message}`;
  return new DeployError(code, `${what}${what.endsWith('.') ? '' : '.'}`, {
    hint: deleting
      ? 'Every upload is in place. Stale objects stay until the next deploy.'
      : 'Pages go up after their assets and nothing was deleted, so the site that is live still works. Run the job again: what is up already is not sent again.',
  });
}

/** A large body that tells of its bytes as they are up. What is sent as a whole is told of when it is done. */
function telling(body: Body, tell: (count: number) => void): Body {
  const hear = (length: number) => {
    if (length < body.size) tell(length);
  };
  return over(body, {
    stream: async (offset, length, use) => {
      const result = await body.stream(offset, length, use);
      hear(length);
      return result;
    },
    withPart: (offset, length, use) =>
      body.withPart(offset, length, (part) => {
        hear(length);
        return use(part);
      }),
  });
}
