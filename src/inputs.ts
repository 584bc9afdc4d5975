import { resolve } from 'node:path';
import * as core from '@actions/core';
import type { Credentials } from './aws/session.ts';
import { protectingGlobs, type SourceFilter, sourceFilter } from './core/globs.ts';
import { parseHeaderRules } from './core/header-rules.ts';
import type { HeaderRule } from './core/headers.ts';
import { parseInvalidationPaths } from './core/invalidation.ts';
import { type Destination, parseDestination } from './core/key.ts';
import type { CacheControl, DeleteLimit, StorageOptions } from './core/model.ts';
import { DEFAULT_PART, LARGEST_PART, SMALLEST_PART } from './core/parts.ts';
import type { DeleteMode } from './core/plan.ts';
import type { ProbeInput } from './core/probe-form.ts';
import { MOST_SHARDS, parseShard, type Shard } from './core/shard.ts';
import { plain } from './core/text.ts';
import { DeployError } from './errors.ts';
import { mask } from './report/masks.ts';

export type Mode = 'deploy' | 'plan' | 'probe' | 'remove';

/** What a workflow asked for: parsed, checked, and with every secret masked. */
export interface Inputs {
  readonly mode: Mode;
  /** Nothing is changed; what would be is reported. */
  readonly dryRun: boolean;
  readonly destination: Destination;
  readonly region: string | undefined;
  readonly ambientRegion: string | undefined;
  readonly endpoint: string | undefined;
  readonly forcePathStyle: boolean;
  readonly stsEndpoint: string | undefined;
  readonly keys: Credentials | undefined;
  readonly profile: string | undefined;
  readonly role: string | undefined;
  /** The role is assumed from ambient credentials instead of the job's token. */
  readonly roleChaining: boolean;
  readonly roleExternalId: string | undefined;
  readonly roleSessionName: string;
  readonly roleDurationSeconds: number;
  readonly audience: string;
  /** `auto`, `none`, or a policy document as JSON. */
  readonly inlineSessionPolicy: string;
  readonly allowedAccounts: readonly string[];
  readonly maskAccount: boolean;
  /** A role, keys or a profile was given. */
  readonly givesCredentials: boolean;
  /** Print the policies that these inputs need, in mode `probe`. */
  readonly showPolicies: boolean;
  /** Absolute; absent in mode `probe`. */
  readonly sourceDir: string | undefined;
  /** As it was given. */
  readonly sourceName: string;
  readonly filter: SourceFilter;
  /** This run uploads its share of the assets and no more. */
  readonly shard: Shard | undefined;
  readonly delete: DeleteMode;
  /** Paths below the prefix that are never deleted. */
  readonly deleteExclude: (path: string) => boolean;
  /** Seconds for which stale objects are kept. */
  readonly deleteGrace: number;
  readonly maxDelete: DeleteLimit;
  readonly allowEmptySource: boolean;
  /** Deploys also for events that may carry an outsider's code. */
  readonly allowUntrusted: boolean;
  readonly cacheControl: CacheControl;
  readonly headerRules: readonly HeaderRule[];
  /** False: what exists is left alone. */
  readonly overwrite: boolean;
  readonly storage: StorageOptions;
  /** Requests under way at once; undefined: as many as the store is seen to take. */
  readonly concurrency: number | undefined;
  /** Files larger than this go up in parts of this size, in bytes. */
  readonly partSize: number;
  /** The CloudFront distribution that is told of what changed. */
  readonly distribution: string | undefined;
  /** Percent-encoded; the paths that changed unless given. */
  readonly invalidationPaths: readonly string[] | undefined;
  readonly cloudfrontWait: boolean;
  readonly cloudfrontEndpoint: string | undefined;
  readonly siteUrl: string | undefined;
  readonly probe: ProbeInput;
  /** Account that must own the bucket. */
  readonly expectedBucketOwner: string | undefined;
  /** The run is of a pull request, whose author may have changed the workflow. */
  readonly isPullRequest: boolean;
}

const MIB = 1024 ** 2;

/**
 * Reads and checks every input, before any request is sent.
 * @param env the runner's environment.
 * @throws DeployError INPUT_INVALID, naming the input.
 */
export function readInputs(env: NodeJS.ProcessEnv): Inputs {
  const endpoint = url('endpoint', env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL);
  const asked = choice('mode', ['deploy', 'plan', 'probe', 'remove'] as const);
  const dryRun = flag('dry-run', false);
  const mode = dryRun && asked === 'deploy' ? 'plan' : asked;
  const role = matching(
    'role-to-assume',
    /^arn:[\w-]+:iam::[^:\s]*:role\/[\w+=,.@/-]+$/,
    'Give the ARN of a role: arn:aws:iam::123456789012:role/deploy',
  );
  const keys = accessKeys();
  const profile = matching(
    'aws-profile',
    /^[^\x00-\x1f\x7f[\]]{1,200}$/,
    'Give the name of a profile in ~/.aws/config or ~/.aws/credentials.',
  );
  return checked({
    mode,
    dryRun: dryRun || mode === 'plan',
    destination: parseDestination(required('bucket'), text('prefix') ?? '', endpoint !== undefined),
    region: matching(
      'aws-region',
      /^[a-z0-9-]{2,40}$/,
      "Regions look like 'eu-central-1'; S3-compatible stores may have others, such as 'auto'.",
    ),
    ambientRegion: env.AWS_REGION || env.AWS_DEFAULT_REGION || undefined,
    endpoint,
    forcePathStyle: flag('force-path-style', endpoint !== undefined),
    stsEndpoint: url('sts-endpoint', env.AWS_ENDPOINT_URL_STS ?? env.AWS_ENDPOINT_URL),
    keys,
    profile,
    givesCredentials: (role ?? keys ?? profile) !== undefined,
    role,
    roleChaining: flag('role-chaining', false),
    roleExternalId: matching(
      'role-external-id',
      /^[\w+=,.@:/-]{2,1224}$/,
      'It has 2 to 1224 characters of A–Z, a–z, 0–9 and _+=,.@:/-',
    ),
    roleSessionName:
      matching('role-session-name', /^[\w+=,.@-]{2,64}$/, 'It has 2 to 64 characters of A–Z, a–z, 0–9 and _+=,.@-') ??
      `s3-deploy-${env.GITHUB_RUN_ID ?? 'local'}-${env.GITHUB_RUN_ATTEMPT ?? '1'}`,
    roleDurationSeconds: whole('role-duration-seconds', 3600, 900, 43_200),
    audience: text('audience') ?? 'sts.amazonaws.com',
    inlineSessionPolicy: sessionPolicy(),
    allowedAccounts: accounts(),
    maskAccount: flag('mask-aws-account-id', false),
    showPolicies: flag('show-policies', false),
    sourceName: text('source-dir') ?? '',
    sourceDir:
      mode === 'probe' || mode === 'remove' ? undefined : resolve(env.GITHUB_WORKSPACE ?? '.', required('source-dir')),
    filter: sourceFilter(lines('include'), lines('exclude')),
    shard: shardInput(),
    delete: deleteMode(),
    deleteExclude: protectingGlobs('delete-exclude', lines('delete-exclude')),
    deleteGrace: seconds('delete-grace'),
    maxDelete: deleteLimit(),
    allowEmptySource: flag('allow-empty-source', false),
    allowUntrusted: flag('allow-untrusted', false),
    cacheControl: cacheControl(),
    headerRules: parseHeaderRules(text('headers') ?? ''),
    overwrite: flag('overwrite', true),
    storage: storage(),
    concurrency: (text('concurrency') ?? 'auto') === 'auto' ? undefined : whole('concurrency', 1, 1, 512),
    partSize: partSize(),
    distribution: distribution(),
    invalidationPaths: parseInvalidationPaths(lines('invalidation-paths')),
    cloudfrontWait: flag('cloudfront-wait', false),
    cloudfrontEndpoint: checkedUrl(
      'AWS_ENDPOINT_URL_CLOUDFRONT',
      env.AWS_ENDPOINT_URL_CLOUDFRONT ?? env.AWS_ENDPOINT_URL,
    ),
    siteUrl: url('site-url'),
    probe: choice('probe', ['auto', 'full', 'no-residue', 'off'] as const),
    expectedBucketOwner: matching(
      'expected-bucket-owner',
      /^\d{12}$/,
      'An account number has twelve digits; put it in quotes in YAML.',
    ),
    isPullRequest: /^pull_request(_target)?$/.test(env.GITHUB_EVENT_NAME ?? ''),
  });
}

/** Refuses inputs that contradict each other, and takes away what does not concern this run. */
function checked(inputs: Inputs): Inputs {
  const { keys, profile, role, roleChaining, roleExternalId, mode, showPolicies, probe } = inputs;
  const refuse = (name: string, problem: string, hint: string) => {
    throw invalid(name, problem, hint);
  };
  if (keys !== undefined && profile !== undefined)
    refuse('aws-profile', 'is given beside access keys', 'Give one of the two.');
  if (roleChaining && role === undefined) refuse('role-chaining', 'is true without a role', 'Give role-to-assume.');
  if (roleChaining && (keys !== undefined || profile !== undefined)) {
    refuse(
      'role-chaining',
      'is true beside credentials to assume the role with',
      'Leave it out: the role is assumed from them.',
    );
  }
  if (roleExternalId !== undefined && (role === undefined || !(roleChaining || keys || profile))) {
    refuse(
      'role-external-id',
      'needs a role that is assumed with credentials',
      'OIDC knows no external ids: the trust policy names the subject.',
    );
  }
  if (mode === 'remove' && inputs.destination.prefix === '') {
    throw new DeployError(
      'PREFIX_REQUIRED',
      'mode: remove would delete everything in the bucket: no prefix was given.',
      {
        hint: "Give the prefix to remove, 'previews/pr-12' say. A whole bucket is emptied elsewhere.",
      },
    );
  }
  if (mode === 'remove' && inputs.shard !== undefined)
    refuse('shard', 'is given with mode: remove', 'One run removes everything below the prefix: leave it out.');
  checkDistribution(inputs);
  if (showPolicies && mode !== 'probe')
    refuse('show-policies', 'is for mode: probe', 'Set mode: probe, or leave it out.');
  if (probe === 'off' && mode === 'probe')
    refuse('probe', 'is off in mode: probe', 'Leave it out, or choose full or no-residue.');
  return forShard(inputs);
}

/** Refuses inputs about CloudFront that come to nothing. */
function checkDistribution(inputs: Inputs): void {
  const { distribution, invalidationPaths, cloudfrontWait, endpoint, cloudfrontEndpoint } = inputs;
  if (distribution === undefined) {
    const idle = cloudfrontWait
      ? 'cloudfront-wait'
      : invalidationPaths === undefined
        ? undefined
        : 'invalidation-paths';
    if (idle === undefined) return;
    throw invalid(idle, 'is given without a distribution', 'Give cloudfront-distribution-id, or leave it out.');
  }
  const isAws = endpoint === undefined || /\.amazonaws\.com(\.cn)?$/.test(new URL(endpoint).hostname);
  if (!isAws && cloudfrontEndpoint === undefined) {
    throw invalid(
      'cloudfront-distribution-id',
      'is given with an endpoint that is not of AWS, whose keys CloudFront does not know',
      'Invalidate in a step of its own, with credentials of AWS.',
    );
  }
}

/** Account numbers, comma- or line-separated. */
function accounts(): string[] {
  const value = text('allowed-account-ids') ?? '';
  const ids = value.split(/[,\s]+/).filter((id) => id !== '');
  const wrong = ids.find((id) => !/^\d{12}$/.test(id));
  if (wrong !== undefined)
    throw invalid(
      'allowed-account-ids',
      `'${plain(wrong, 100)}' is not an account number`,
      'An account number has twelve digits; put it in quotes in YAML.',
    );
  return ids;
}

function text(name: string): string | undefined {
  return core.getInput(name) || undefined;
}

function invalid(name: string, problem: string, hint: string): DeployError {
  return new DeployError('INPUT_INVALID', `${name}: ${problem}.`, { hint });
}

function required(name: string): string {
  const value = text(name);
  if (value === undefined)
    throw invalid(name, 'is required', `Add it below with: in the workflow:\n    with:\n      ${name}: …`);
  return value;
}

/** Reads a secret, masked as it came and as it is used, on this very line. */
function secret(name: string): string | undefined {
  const raw = core.getInput(name, { trimWhitespace: false });
  const value = raw.trim();
  for (const shape of [raw, value]) if (shape !== '') mask(shape);
  return value || undefined;
}

function accessKeys(): Credentials | undefined {
  const accessKeyId = secret('aws-access-key-id');
  const secretAccessKey = secret('aws-secret-access-key');
  const sessionToken = secret('aws-session-token');
  if (accessKeyId !== undefined && secretAccessKey !== undefined) {
    return { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) };
  }
  if (accessKeyId === undefined && secretAccessKey === undefined && sessionToken === undefined) return undefined;
  const missing = accessKeyId === undefined ? 'aws-access-key-id' : 'aws-secret-access-key';
  throw invalid(
    missing,
    'is empty, but the other half of the key pair is given',
    'Set both from secrets; a secret that does not exist, or that a fork may not see, is empty.',
  );
}

function flag(name: string, otherwise: boolean): boolean {
  const value = text(name);
  if (value === undefined) return otherwise;
  if (/^(true|True|TRUE)$/.test(value)) return true;
  if (/^(false|False|FALSE)$/.test(value)) return false;
  throw invalid(name, `'${plain(value, 100)}' is neither true nor false`, 'Write true or false.');
}

function choice<T extends string>(name: string, choices: readonly [T, ...T[]]): T {
  const value = text(name) ?? choices[0];
  const found = choices.find((one) => one === value);
  if (found === undefined)
    throw invalid(name, `'${plain(value, 100)}' is not a choice`, `Choose one of: ${choices.join(', ')}.`);
  return found;
}

function matching(name: string, pattern: RegExp, hint: string): string | undefined {
  const value = text(name);
  if (value !== undefined && !pattern.test(value)) throw invalid(name, `'${plain(value, 200)}' is malformed`, hint);
  return value;
}

function whole(name: string, otherwise: number, least: number, most: number): number {
  const value = text(name);
  if (value === undefined) return otherwise;
  const number = /^\d{1,12}$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= least && number <= most)) {
    throw invalid(
      name,
      `'${plain(value, 100)}' is not a whole number from ${least} to ${most}`,
      `Give a whole number from ${least} to ${most}.`,
    );
  }
  return number;
}

function lines(name: string): string[] {
  return core.getMultilineInput(name);
}

function url(name: string, otherwise?: string): string | undefined {
  return checkedUrl(name, text(name) ?? otherwise);
}

function checkedUrl(name: string, value: string | undefined): string | undefined {
  if (!value) return undefined;
  const parsed = URL.canParse(value) ? new URL(value) : undefined;
  const problem =
    parsed === undefined || !/^https?:$/.test(parsed.protocol)
      ? 'is not an http or https URL'
      : parsed.username !== '' || parsed.password !== ''
        ? 'carries credentials'
        : parsed.search !== '' || parsed.hash !== ''
          ? 'carries a query or fragment'
          : undefined;
  // A malformed URL may hold a password, so it is not shown.
  if (problem !== undefined)
    throw invalid(name, `the value ${problem}`, 'Give a URL with its scheme: https://s3.example.org');
  return value.replace(/\/+$/, '');
}

function sessionPolicy(): string {
  const value = text('inline-session-policy') ?? 'auto';
  if (value === 'auto' || value === 'none') return value;
  try {
    // Without its blanks: STS counts them, and Ceph cannot read them.
    const policy: unknown = JSON.parse(value);
    if (typeof policy === 'object' && policy !== null && 'Statement' in policy) return JSON.stringify(policy);
  } catch {
    // Said below, as for JSON that is no policy.
  }
  throw invalid(
    'inline-session-policy',
    'is neither auto, none nor a policy as JSON',
    'Give auto, none, or a policy document: {"Version": "2012-10-17", "Statement": […]}',
  );
}

function deleteMode(): DeleteMode {
  if (text('delete') === 'owned') return 'owned';
  return flag('delete', false) ? 'all' : 'off';
}

/** Without what a shard leaves to the last run, though it shares its inputs: deletions, and the invalidation. */
function forShard(inputs: Inputs): Inputs {
  return inputs.shard === undefined ? inputs : { ...inputs, delete: 'off', distribution: undefined };
}

function distribution(): string | undefined {
  const value = text('cloudfront-distribution-id');
  if (value !== undefined && /[\s,;]/.test(value)) {
    throw invalid(
      'cloudfront-distribution-id',
      'is more than one id',
      "Give one. Another can be invalidated with the AWS CLI after it, if: steps.ID.outputs.changed == 'true'.",
    );
  }
  return matching(
    'cloudfront-distribution-id',
    /^[A-Z0-9]{6,32}$/,
    "Give the id of the distribution, such as 'E2QWRUHAPOMQZL'; not its domain name or its ARN.",
  );
}

function shardInput(): Shard | undefined {
  const value = text('shard');
  if (value === undefined) return undefined;
  const shard = parseShard(value);
  if (shard !== undefined) return shard;
  throw invalid(
    'shard',
    `'${plain(value, 100)}' is not a share`,
    `Give a number from 1 and of how many, at most ${MOST_SHARDS}: 2/8. In a matrix: \${{ matrix.shard }}/8.`,
  );
}

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** A time such as `12h` or `7d`, as seconds. */
function seconds(name: string): number {
  const value = text(name) ?? '0';
  const [, digits, unit = 's'] = /^(\d{1,6})\s?([smhdw]?)$/.exec(value) ?? [];
  if (digits === undefined || (unit === '' && digits !== '0')) {
    throw invalid(name, `'${plain(value, 100)}' is not a time`, "Give a time such as '12h' or '7d', or 0.");
  }
  return Number(digits) * (UNITS[unit] ?? 0);
}

function deleteLimit(): DeleteLimit {
  const value = text('max-delete') ?? '50%';
  const [, digits, percent] = /^(\d{1,9})(%?)$/.exec(value) ?? [];
  if (digits === undefined || (percent === '%' && Number(digits) > 100)) {
    throw invalid(
      'max-delete',
      `'${plain(value, 100)}' is neither a number nor a percentage`,
      "Give a number of objects (200) or a percentage of those below the prefix ('50%').",
    );
  }
  return percent === '%' ? { kind: 'percent', value: Number(digits) } : { kind: 'count', value: Number(digits) };
}

function cacheControl(): CacheControl {
  const value = text('cache-control') ?? 'auto';
  if (value === 'auto' || value === 'none') return { kind: value };
  if (!/^[\x20-\x7e]{1,1000}$/.test(value)) {
    throw invalid(
      'cache-control',
      'holds a character that no header can carry',
      "Give auto, none, or a value such as 'public, max-age=300'.",
    );
  }
  return { kind: 'all', value };
}

function storage(): StorageOptions {
  const token = /^[A-Za-z0-9_:-]{1,64}$/;
  const acl = matching(
    'acl',
    token,
    "Give a canned ACL such as 'bucket-owner-full-control', or leave it out: buckets made since 2023 refuse ACLs.",
  );
  const storageClass = matching('storage-class', token, "Give a storage class such as 'INTELLIGENT_TIERING'.");
  const kmsKeyId = matching('sse-kms-key-id', /^[\w:/-]{1,2048}$/, 'Give the id or the ARN of a KMS key.');
  const encryption = matching('sse', /^(AES256|aws:kms(:dsse)?)$/, 'Choose one of: AES256, aws:kms, aws:kms:dsse.');
  if (kmsKeyId !== undefined && encryption === 'AES256') {
    throw invalid('sse-kms-key-id', 'is given with sse: AES256, which takes no key', 'Set sse: aws:kms.');
  }
  const kms = encryption ?? (kmsKeyId === undefined ? undefined : 'aws:kms');
  const all = tags();
  return {
    ...(acl !== undefined && { acl }),
    ...(storageClass !== undefined && { storageClass }),
    ...(kms !== undefined && { encryption: kms }),
    ...(kmsKeyId !== undefined && { kmsKeyId }),
    ...(all.length > 0 && { tags: all }),
  };
}

/** Tags as lines `key=value`. Limits: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html */
function tags(): [string, string][] {
  const pairs = lines('tags').map((line): [string, string] => {
    const at = line.indexOf('=');
    const [key, value] = [line.slice(0, at).trim(), line.slice(at + 1).trim()];
    if (at < 1 || key.length > 128 || value.length > 256 || !/^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u.test(key + value)) {
      throw invalid('tags', `'${plain(line, 100)}' is not a tag`, 'Give one tag per line: key=value.');
    }
    return [key, value];
  });
  const twice = pairs.find(([key], index) => pairs.findIndex(([other]) => other === key) !== index);
  if (twice !== undefined) throw invalid('tags', `'${plain(twice[0])}' is given twice`, 'Give each key once.');
  if (pairs.length > 10) throw invalid('tags', 'has more than ten tags', 'S3 keeps ten tags with an object.');
  return pairs;
}

function partSize(): number {
  const value = text('part-size') ?? 'auto';
  if (value === 'auto') return DEFAULT_PART;
  const [, digits, unit] = /^(\d{1,5})\s?(MiB|MB|GiB|GB)$/i.exec(value) ?? [];
  const part = Number(digits) * (unit?.toLowerCase().startsWith('g') ? 1024 * MIB : MIB);
  if (!(part >= SMALLEST_PART && part <= LARGEST_PART)) {
    throw invalid(
      'part-size',
      `'${plain(value, 100)}' is not a size from 5MiB to 5GiB`,
      'Give a size such as 16MiB, or auto.',
    );
  }
  return part;
}
