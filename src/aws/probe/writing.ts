import { createHash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { misbehaved } from '../../core/explain.ts';
import { inputRefusal } from '../../core/input-refusals.ts';
import type { StorageOptions } from '../../core/model.ts';
import type { Action } from '../../core/needs.ts';
import { ServiceError } from '../failure.ts';
import { notReached, type Prober, type Trial, type Verdict } from './prober.ts';

/** The parameters that an object is put with, but for bucket, key and content. */
export type WriteHeaders = Omit<CreateMultipartUploadCommandInput, 'Bucket' | 'Key'>;

/** A write that leaves nothing behind. */
export type TryWrite = (headers: WriteHeaders) => Promise<Trial<unknown>>;

/** What was found out about writing. */
export interface Written {
  readonly verdicts: ReadonlyMap<Action, Verdict>;
  /** The resource that a denial named: the key that encrypts the bucket, where the inputs name none. */
  readonly kmsKey?: string;
}

/** The headers that need a permission of their own. */
const GROUPS: readonly { action: Action; names: readonly (keyof WriteHeaders)[] }[] = [
  { action: 's3:PutObjectAcl', names: ['ACL'] },
  { action: 's3:PutObjectTagging', names: ['Tagging'] },
  { action: 'kms:GenerateDataKey', names: ['ServerSideEncryption', 'SSEKMSKeyId'] },
];

/**
 * Finds out which of the permissions are there that a write with these headers needs. It is tried as the deploy does it,
 * all headers at once. A denial that names another action than s3:PutObject is put to that action's account, and the
 * write is tried again without its headers; one that names nothing is narrowed down, header by header.
 */
export async function judgeWrite(tryWrite: TryWrite, headers: WriteHeaders): Promise<Written> {
  const verdicts = new Map<Action, Verdict>();
  let groups = GROUPS.filter(({ names }) => names.some((name) => headers[name] !== undefined));
  for (;;) {
    const { verdict, denial } = await tryWrite(only(headers, groups));
    if (verdict.result !== 'denied') {
      for (const action of ['s3:PutObject' as const, ...groups.map((group) => group.action)])
        verdicts.set(action, verdict);
      return { verdicts };
    }
    const named = groups.find(({ action }) => action === denial?.action);
    if (named !== undefined) {
      verdicts.set(named.action, verdict);
      groups = groups.filter((group) => group !== named);
      continue;
    }
    if (denial?.action?.startsWith('kms:')) {
      // The bucket's own key, which no header asked for: with S3's the write shows what S3 itself has to say.
      const without = await tryWrite({ ...only(headers, groups), ServerSideEncryption: 'AES256' });
      verdicts.set('kms:GenerateDataKey', verdict);
      const s3 = without.verdict;
      verdicts.set(
        's3:PutObject',
        s3.result === 'allowed' ? s3 : { ...s3, result: 'unknown', why: 'KMS denied first' },
      );
      for (const { action } of groups) verdicts.set(action, s3.result === 'allowed' ? s3 : notReached('KMS'));
      return { verdicts, ...(denial.resource !== undefined && { kmsKey: denial.resource }) };
    }
    if (denial?.action !== undefined || groups.length === 0) {
      verdicts.set('s3:PutObject', verdict);
      for (const { action } of groups) verdicts.set(action, notReached('s3:PutObject'));
      return { verdicts };
    }
    return { verdicts: await narrow(tryWrite, headers, groups, verdict, verdicts) };
  }
}

/** For a store that does not say what it denied. */
async function narrow(
  tryWrite: TryWrite,
  headers: WriteHeaders,
  groups: typeof GROUPS,
  together: Verdict,
  verdicts: Map<Action, Verdict>,
): Promise<Map<Action, Verdict>> {
  const plain = (await tryWrite(only(headers, []))).verdict;
  verdicts.set('s3:PutObject', plain);
  if (plain.result !== 'allowed') {
    for (const { action } of groups) verdicts.set(action, notReached('s3:PutObject'));
    return verdicts;
  }
  const alone = await Promise.all(groups.map((group) => tryWrite(only(headers, [group]))));
  for (const [index, { action }] of groups.entries()) verdicts.set(action, alone[index]!.verdict);
  // Each alone is allowed, but not all together, as the deploy puts them.
  if (alone.every(({ verdict }) => verdict.result === 'allowed')) verdicts.set('s3:PutObject', together);
  return verdicts;
}

/** The headers that need no permission of their own, and those of some groups. */
function only(headers: WriteHeaders, groups: typeof GROUPS): WriteHeaders {
  const left = new Set(groups.flatMap(({ names }) => names));
  const special = new Set(GROUPS.flatMap(({ names }) => names));
  const keeps = (name: string) => !special.has(name as keyof WriteHeaders) || left.has(name as keyof WriteHeaders);
  return Object.fromEntries(Object.entries(headers).filter(([name]) => keeps(name))) as WriteHeaders;
}

/**
 * Begins an upload in parts and aborts it: no object, no version, no event. With KMS a part of one byte shows whether
 * the key may be used to decrypt, which uploads in parts need.
 * @param also gets what came to light about aborting and decrypting.
 */
export function multipartWrite(prober: Prober, storage: StorageOptions, also: Map<Action, Verdict>): TryWrite {
  let number = 0;
  return async (headers) => {
    const target = { ...prober.bucket, Key: prober.ownKey(`write-${++number}`) };
    let tries = 0;
    const trial = await prober.try(
      'CreateMultipartUpload',
      (options) => {
        tries++;
        return prober.s3
          .send(new CreateMultipartUploadCommand({ ...target, ...headers }), options)
          .then(having('UploadId', 'CreateMultipartUpload'));
      },
      { uncancelled: true },
    );
    if (trial.failure !== undefined) throwIfInput(trial.failure, storage);
    const { UploadId } = trial.answer ?? {};
    if (UploadId !== undefined) {
      if (headers.SSEKMSKeyId !== undefined) {
        const part = new UploadPartCommand({ ...target, UploadId, PartNumber: 1, Body: '.' });
        const { verdict } = await prober.try('UploadPart', (options) => prober.s3.send(part, options), {
          uncancelled: true,
        });
        also.set('kms:Decrypt', verdict);
      }
      also.set('s3:AbortMultipartUpload', await abort(prober, target.Key, UploadId));
    }
    // An answer that was lost on the way may have been of an upload that is open now.
    if (tries > 1) await sweep(prober, target.Key);
    return trial;
  };
}

async function abort(prober: Prober, Key: string, UploadId: string): Promise<Verdict> {
  const command = new AbortMultipartUploadCommand({ ...prober.bucket, Key, UploadId });
  const send = (options: object) => prober.s3.send(command, options);
  return (await prober.takeBack('AbortMultipartUpload', `the open upload of ${Key}`, send)).verdict;
}

async function sweep(prober: Prober, key: string): Promise<void> {
  const { answer } = await prober.takeBack('ListMultipartUploads', `perhaps an open upload of ${key}`, (options) =>
    prober.s3.send(new ListMultipartUploadsCommand({ ...prober.bucket, Prefix: key }), options),
  );
  for (const { Key, UploadId } of answer?.Uploads ?? []) {
    if (Key === key && UploadId !== undefined) await abort(prober, Key, UploadId);
  }
}

/**
 * Puts an object whose Content-MD5 is of something else: a store refuses it, after it has looked at the permissions.
 * @param onStored hears of a store that took it all the same.
 */
export function lyingWrite(prober: Prober, storage: StorageOptions, onStored: (stored: boolean) => void): TryWrite {
  let number = 0;
  return async (headers) => {
    const target = { ...prober.bucket, Key: prober.ownKey(`write-${++number}`) };
    const ContentMD5 = createHash('md5').update('another content').digest('base64');
    const trial = await prober.try(
      'PutObject',
      (options) =>
        prober.s3.send(new PutObjectCommand({ ...target, ...headers, Body: 's3-deploy probe', ContentMD5 }), options),
      { allowing: ['BadDigest', 'InvalidDigest', 'XAmzContentSHA256Mismatch'], uncancelled: true },
    );
    if (trial.verdict.result === 'unknown' && trial.failure !== undefined) throwIfInput(trial.failure, storage);
    if (trial.verdict.result === 'allowed') onStored(trial.answer !== undefined);
    if (trial.answer !== undefined) {
      // The store does not look at Content-MD5, so the object is there.
      const { VersionId } = trial.answer;
      const remove = new DeleteObjectCommand({ ...target, ...(VersionId !== undefined && { VersionId }) });
      await prober.takeBack('DeleteObject', `the object ${target.Key}`, (options) => prober.s3.send(remove, options));
    }
    return trial;
  };
}

/** A bucket that refuses the headers of every object: the deploy need not begin. */
export function throwIfInput(failure: NonNullable<Trial<unknown>['failure']>, storage: StorageOptions): void {
  const refusal = inputRefusal(failure, storage);
  if (refusal !== undefined) throw refusal;
}

/** Lets an answer pass that has what S3 always answers; HTML with 200 has nothing of it. */
function having<T extends object>(member: keyof T & string, operation: string): (answer: T) => T {
  return (answer) => {
    if (answer[member] === undefined) throw new ServiceError(misbehaved(operation, `an answer without ${member}`));
    return answer;
  };
}
