/** What a probe noticed beside the permissions that the inputs need; never a reason to fail. */
export interface Finding {
  /** `warning`: better changed. `info`: good to know. */
  readonly level: 'info' | 'warning';
  readonly code: FindingCode;
  readonly message: string;
  /** What to change, or to paste where. */
  readonly hint?: string;
}

export type FindingCode =
  | 'probe-form'
  | 'leftover'
  | 'lists-outside-prefix'
  | 'lists-other-buckets'
  | 'lists-account'
  | 'object-exposure'
  | 'manifest-exposure'
  | 'stored-otherwise'
  | 'append-only'
  | 'cannot-abort'
  | 'object-lock'
  | 'owner-ignored'
  | 'missing-capability';

export function info(code: FindingCode, message: string, hint?: string): Finding {
  return { level: 'info', code, message, ...(hint !== undefined && { hint }) };
}

export function warning(code: FindingCode, message: string, hint?: string): Finding {
  return { level: 'warning', code, message, ...(hint !== undefined && { hint }) };
}

/** The account is wider open to these credentials than a deploy needs. */
export interface Breadth {
  readonly outsidePrefix: boolean;
  /** Names of other buckets that the credentials see; undefined when they may not list them. */
  readonly buckets: readonly string[] | undefined;
  /** One of those that they can list as well. */
  readonly listed: string | undefined;
}

/** What credentials that can look further than the prefix should lose. */
export function breadthFindings({ outsidePrefix, buckets, listed }: Breadth, prefix: string): Finding[] {
  const findings: Finding[] = [];
  const hint = 'Give them the policy in suggested-policy-file instead.';
  if (listed !== undefined)
    findings.push(warning('lists-other-buckets', `The credentials can list other buckets, ${listed} for one.`, hint));
  if (buckets !== undefined && buckets.length > 0)
    findings.push(
      warning('lists-account', `The credentials see every bucket of the account (${buckets.length} more).`, hint),
    );
  if (outsidePrefix)
    findings.push(warning('lists-outside-prefix', `The credentials can list the bucket outside ${prefix}.`, hint));
  return findings;
}

/** Whether somebody without credentials can read something. */
export type Exposure = 'public' | 'private' | 'missing' | 'unknown';

/** Says whether the site, and the manifest, can be read by anybody. */
export function exposureFindings(object: Exposure, manifest: Exposure, manifestPattern: string): Finding[] {
  const objects = {
    public: 'Objects below the prefix can be read by anybody, straight from the store.',
    private: 'Objects below the prefix cannot be read anonymously from the store.',
    missing: 'Nothing is below the prefix yet that could be read anonymously.',
    unknown: 'Nothing tells whether objects below the prefix can be read anonymously.',
  }[object];
  const manifests = {
    public: 'The manifest can be read by anybody; it names keys by hash only.',
    private: 'The manifest cannot be read anonymously.',
    missing: 'There is no manifest yet.',
    unknown: 'Nothing tells whether the manifest can be read anonymously.',
  }[manifest];
  const hint =
    manifest === 'public'
      ? `To hide it, leave ${manifestPattern} out of what the bucket policy lets anybody read.`
      : undefined;
  return [info('object-exposure', objects), info('manifest-exposure', manifests, hint)];
}
