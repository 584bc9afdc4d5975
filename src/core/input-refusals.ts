import { DeployError } from '../errors.ts';
import { describe, type ServiceFailure } from './explain.ts';
import type { StorageOptions } from './model.ts';

interface Refusal {
  readonly codes: RegExp;
  readonly input: string;
  readonly given: (storage: StorageOptions) => boolean;
  /** Told by the message, where the code says too little. */
  readonly words?: RegExp;
  readonly problem: string;
  readonly hint: string;
}

/** What a store says to every PUT when the bucket, or the store, has not what an input asks for. */
const REFUSALS: readonly Refusal[] = [
  {
    codes: /^AccessControlListNotSupported$/,
    input: 'acl',
    given: ({ acl }) => acl !== undefined,
    problem: 'the bucket has ACLs disabled, as every bucket made since 2023',
    hint: 'Leave acl out: a bucket policy says who may read. Or enable ACLs (Object Ownership: bucket owner preferred).',
  },
  {
    codes: /^InvalidStorageClass$/,
    input: 'storage-class',
    given: ({ storageClass }) => storageClass !== undefined,
    problem: 'the store does not know this storage class',
    hint: "Leave storage-class out, or give one that the store has, such as 'STANDARD'.",
  },
  {
    codes: /^KMS\.(NotFound|Disabled|KMSInvalidState|InvalidKeyUsage)Exception$|^KMS\.NotFound$/,
    input: 'sse-kms-key-id',
    given: () => true,
    problem: 'the KMS key does not exist in the region of the bucket, or is not enabled',
    hint: 'Give the ARN of a key in the region of the bucket; the console of KMS says whether it is enabled.',
  },
  {
    codes: /^InvalidTag$/,
    input: 'tags',
    given: ({ tags }) => tags !== undefined,
    problem: 'the store refuses these tags',
    hint: 'Check their characters and number; names that begin with aws: are reserved.',
  },
  {
    codes: /^(NotImplemented|InvalidArgument)$/,
    input: 'acl',
    given: ({ acl }) => acl !== undefined,
    words: /\bacl\b/i,
    problem: 'the store has no ACLs of objects',
    hint: 'Leave acl out: who may read is set for the whole bucket there.',
  },
  {
    codes: /^(NotImplemented|InvalidArgument)$/,
    input: 'tags',
    given: ({ tags }) => tags !== undefined,
    words: /tagging/i,
    problem: 'the store has no tags of objects',
    hint: 'Leave tags out.',
  },
  {
    codes: /^(InvalidArgument|InvalidEncryptionAlgorithmError|NotImplemented|InvalidRequest)$/,
    input: 'sse',
    given: ({ encryption }) => encryption !== undefined,
    words: /^$|encrypt|kms|sse/i,
    problem: 'the store refuses this encryption',
    hint: 'Leave sse and sse-kms-key-id out, so that the default of the bucket applies.',
  },
];

/** The error of a write that will be refused for each object, because of an input; undefined for any other failure. */
export function inputRefusal(failure: ServiceFailure, storage: StorageOptions): DeployError | undefined {
  const refusal = REFUSALS.find(
    ({ codes, given, words }) => codes.test(failure.code) && given(storage) && (words?.test(failure.message) ?? true),
  );
  if (refusal === undefined) return undefined;
  const { input, problem, hint } = refusal;
  return new DeployError('INPUT_INVALID', `${input}: ${problem}: ${describe(failure)}.`, { hint, cause: failure });
}
