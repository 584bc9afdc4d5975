import type { OpenBucket } from './bucket.ts';
import { appendKey } from './core/key.ts';
import { plain } from './core/text.ts';
import { DeployError } from './errors.ts';
import type { Inputs } from './inputs.ts';
import { bodyOf } from './site/body.ts';

/**
 * A deploy that overwrites nothing, and may not list what is there, relies on the store to refuse a write of what exists.
 * Some stores ignore the condition and would overwrite it all, so one that nobody knows is put to the proof before anything
 * is written: an object of our own, put twice. It stays, and the next deploy is refused at once.
 * @throws DeployError PERMISSION_DENIED where the condition is ignored, or not known.
 */
export async function proveAppendOnly({ overwrite, destination }: Inputs, bucket: OpenBucket): Promise<void> {
  const { store, knowledge, mayList } = bucket;
  if (overwrite || mayList || knowledge.capabilities.conditionalWrites === true) return;
  const append = () =>
    store.put(appendKey(destination.prefix), bodyOf(Buffer.from('.')), { contentType: 'text/plain' }, 'absent');
  const isRefused = async () => (await append()) === 'precondition failed';
  knowledge.learn({ conditionalWrites: (await isRefused()) || (await isRefused()) });
  if (knowledge.lacks('conditionalWrites')) throw cannotAppend(destination);
}

/** Nothing tells what is there. */
export function cannotAppend({ bucket, prefix }: Inputs['destination']): DeployError {
  return new DeployError(
    'PERMISSION_DENIED',
    `Nothing tells what is there: s3://${plain(`${bucket}/${prefix}`)} may not be listed, and this store cannot write on a condition.`,
    { hint: 'With overwrite: false grant s3:ListBucket, or allow overwriting.' },
  );
}
