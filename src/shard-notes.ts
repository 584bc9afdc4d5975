import { ServiceError } from './aws/failure.ts';
import { eachOf } from './core/each-of.ts';
import { decodeManifest } from './core/manifest.ts';
import type { ObjectStore, RemoteObject } from './core/model.ts';
import type { KnownManifest } from './core/plan.ts';
import { notesSince } from './core/shard.ts';
import { count } from './core/text.ts';
import { log } from './report/log.ts';

const READS_AT_ONCE = 8;

/**
 * Reads what shards have noted since the manifest was written, newest first. What cannot be read is as good as none: what it
 * speaks of is looked at again.
 */
export async function readNotes(
  listed: readonly RemoteObject[],
  store: ObjectStore,
  manifest: KnownManifest | undefined,
): Promise<KnownManifest[]> {
  const found: KnownManifest[] = [];
  await eachOf(listed, READS_AT_ONCE, async (note) => {
    const read = await readNote(note, store);
    if (read !== undefined) found.push(read);
  });
  const unread = listed.length - found.length;
  if (unread > 0) log.warn(`${count(unread, 'note')} of shards cannot be read: what they have put is looked at again.`);
  const notes = notesSince(manifest, found);
  const entries = notes.reduce((sum, one) => sum + one.entries.size, 0);
  if (notes.length > 0) log.line(`${count(notes.length, 'note')} of shards, on ${count(entries, 'object')}`);
  return notes;
}

async function readNote({ key, lastModified }: RemoteObject, store: ObjectStore): Promise<KnownManifest | undefined> {
  try {
    const found = await store.get(key);
    // One that was written again since the listing counts as well: for the ETags that were listed, and no others.
    const note = found && decodeManifest(found.body);
    return note && { ...note, lastModified };
  } catch (error) {
    if (error instanceof ServiceError) return undefined;
    throw error;
  }
}
