import { setImmediate as otherWork } from 'node:timers/promises';

/** Work that is done bit by bit. */
export interface Work {
  /** Whether there is nothing to do now. */
  readonly isIdle: boolean;
  /** Does the next bit: at once, or with a promise. */
  doOne(): Promise<void> | undefined;
}

/** Milliseconds of work before an answer that has come meanwhile is looked at. */
const SLICE_MS = 5;

/** Works until somebody has enough of it, or nothing is left. */
export async function inSlices(work: Work, isEnough: () => boolean): Promise<void> {
  for (await otherWork(); !isEnough() && !work.isIdle; await otherWork()) {
    const end = performance.now() + SLICE_MS;
    while (!work.isIdle && performance.now() < end) {
      const doing = work.doOne();
      if (doing !== undefined) await doing;
    }
  }
}
