/** The input `probe`. */
export type ProbeInput = 'auto' | 'full' | 'no-residue' | 'off';

/** `full`: an object is written, read back and removed. `no-residue`: nothing is ever written. */
export type ProbeForm = 'full' | 'no-residue';

/** What is known before anything is written; undefined where nothing tells. */
export interface ProbeFacts {
  /** A pull request may have changed the workflow: its runs leave no trace, not even an event. */
  readonly isPullRequest: boolean;
  readonly mayPut: boolean;
  readonly mayDelete: boolean;
  readonly mayDeleteVersions: boolean;
  readonly versioned: boolean | undefined;
  readonly objectLock: boolean | undefined;
  /** Something listens to the events of the bucket. */
  readonly notifies: boolean | undefined;
}

/**
 * How a probe proves that it can write. `auto` writes only where all traces go with the object: not under Object Lock, not
 * where something listens, not without the right to delete, and of a bucket that keeps versions, or does not say, not
 * without the right to delete those. `full` insists, but for Object Lock, which would keep the object for years, and for
 * a right to delete that is known to be missing.
 */
export function probeForm(
  asked: Exclude<ProbeInput, 'off'>,
  facts: ProbeFacts,
): { readonly form: ProbeForm; readonly why: string } {
  const none = (why: string) => ({ form: 'no-residue', why }) as const;
  if (asked === 'no-residue') return none('as asked');
  if (!facts.mayPut) return none('nothing can be written');
  if (facts.objectLock) return none('Object Lock would keep the object');
  if (!facts.mayDelete) return none('the object could not be deleted again');
  if (asked === 'full') return { form: 'full', why: 'as asked' };
  if (facts.isPullRequest) return none('the run is of a pull request');
  if (facts.notifies) return none('something listens to the events of the bucket');
  if (facts.mayDeleteVersions || facts.versioned === false) return { form: 'full', why: 'nothing of it stays' };
  return none(
    facts.versioned
      ? 'the bucket keeps versions, which could not be deleted'
      : 'nothing tells whether the bucket keeps versions (s3:GetBucketVersioning would)',
  );
}
