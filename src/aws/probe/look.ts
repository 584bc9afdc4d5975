import type { Capabilities } from '../../core/capabilities.ts';
import type { Action } from '../../core/needs.ts';
import { tryInvalidation } from './invalidating.ts';
import { ignoresOwner } from './ownership.ts';
import type { ProbeClients, ProbeTarget } from './probe.ts';
import type { Prober, Verdict } from './prober.ts';
import { list, readByte, readManifest } from './reading.ts';
import { abortNothing, deleteNothing, deleteNoVersion } from './removing.ts';
import { readSettings, type Settings } from './settings.ts';
import { lookAround } from './surroundings.ts';
import { judgeWrite, lyingWrite, multipartWrite, type Written } from './writing.ts';

/** What the calls that leave nothing have shown. */
export interface First {
  readonly listed: Awaited<ReturnType<typeof list>>;
  readonly read: Awaited<ReturnType<typeof readByte>> | undefined;
  readonly written: Written | undefined;
  /** Of aborting, decrypting and invalidating. */
  readonly also: ReadonlyMap<Action, Verdict>;
  readonly deletion: Verdict | undefined;
  readonly versionDeletion: Verdict | undefined;
  readonly settings: Settings | undefined;
  readonly breadth: Awaited<ReturnType<typeof lookAround>> | undefined;
  readonly ownerIgnored: boolean;
  readonly capabilities: Partial<Capabilities>;
}

/** Everything that needs nothing else goes at once. */
export async function look(prober: Prober, target: ProbeTarget, clients: ProbeClients): Promise<First> {
  const actions = [...target.needs.required, ...target.needs.wanted];
  const needs = (action: Action) => actions.includes(action);
  const writes = needs('s3:PutObject');
  const mayWrite = writes && target.asked !== 'no-residue';
  const also = new Map<Action, Verdict>();
  let contentMd5: boolean | undefined;
  const tryWrite = target.isAws
    ? multipartWrite(prober, target.storage, also)
    : lyingWrite(prober, target.storage, (stored) => {
        contentMd5 = !stored;
      });
  const listing = list(prober, clients.firstPage);
  const { cloudfront } = clients;

  const [listed, read, written, abortion, deletion, versionDeletion, settings, breadth, ownerIgnored, invalidation] =
    await together([
      listing,
      when(needs('s3:GetObject'), async () => {
        const manifest = await readManifest(prober, target, clients);
        if (manifest?.verdict.result === 'allowed') return manifest;
        const { object } = await listing;
        // Where nothing is, another missing key would tell the same.
        return manifest !== undefined && object === undefined ? manifest : readByte(prober, object?.key, target.isAws);
      }),
      when(writes, () => judgeWrite(tryWrite, target.headers)),
      when(needs('s3:AbortMultipartUpload') && !target.isAws, () => abortNothing(prober)),
      when(needs('s3:DeleteObject') || mayWrite, () => deleteNothing(prober)),
      when(mayWrite, () => deleteNoVersion(prober)),
      when(target.thorough || mayWrite, () => readSettings(prober)),
      when(target.thorough, () => lookAround(prober, clients.unowned())),
      when(!target.isAws && target.expectedBucketOwner !== undefined, () => ignoresOwner(prober, clients.nobodys())),
      when(cloudfront !== undefined && needs('cloudfront:CreateInvalidation'), () =>
        tryInvalidation(prober, cloudfront!, target),
      ),
    ]);
  if (abortion !== undefined) also.set('s3:AbortMultipartUpload', abortion.verdict);
  for (const [action, verdict] of invalidation ?? []) also.set(action, verdict);
  return {
    listed,
    read,
    written,
    also,
    deletion,
    versionDeletion,
    settings,
    breadth,
    ownerIgnored: ownerIgnored ?? false,
    capabilities: {
      ...(contentMd5 !== undefined && { contentMd5 }),
      ...(abortion?.multipart !== undefined && { multipart: abortion.multipart }),
      ...(listed.urlEncoded !== undefined && { urlEncodedListing: listed.urlEncoded }),
    },
  };
}

export async function when<T>(wanted: boolean, work: () => Promise<T>): Promise<T | undefined> {
  return wanted ? work() : undefined;
}

/** Waits for all, also when one fails: another may have something to take back. */
export async function together<T extends readonly Promise<unknown>[]>(
  work: readonly [...T],
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const settled = await Promise.allSettled(work);
  return settled.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  }) as never;
}
