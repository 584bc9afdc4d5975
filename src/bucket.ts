import type { Caller } from './aws/caller.ts';
import { createAnonymousS3, createS3 } from './aws/clients.ts';
import { CloudFront } from './aws/cloudfront.ts';
import { objectHeaders } from './aws/object-headers.ts';
import { S3ObjectStore } from './aws/object-store.ts';
import { type ProbeClients, type ProbeOutcome, type ProbeTarget, probe } from './aws/probe/probe.ts';
import { findRegion } from './aws/region.ts';
import type { Session } from './aws/session.ts';
import { StoreKnowledge } from './aws/store-knowledge.ts';
import { Cdn, type CdnWorld } from './cdn.ts';
import { profileOf } from './core/capabilities.ts';
import type { AtOnce } from './core/each-of.ts';
import { headersFor } from './core/headers.ts';
import { LARGEST_MANIFEST } from './core/manifest.ts';
import type { Check, ObjectStore } from './core/model.ts';
import type { UploadSizes } from './core/parts.ts';
import { distributionArn, kmsKeyOf, needsOf, type Policy, partitionOf } from './core/policy.ts';
import { siteUrlOf } from './core/site-url.ts';
import { DeployError } from './errors.ts';
import type { Inputs } from './inputs.ts';
import { ReadAhead } from './read-ahead.ts';
import { log } from './report/log.ts';
import type { Report } from './report/report.ts';
import type { Source } from './site/scan.ts';
import { type Place, suggestedPolicy } from './suggested-policy.ts';

/** A bucket that a run may go on with. */
export interface OpenBucket {
  readonly store: ObjectStore;
  /** How many requests to have under way at once. */
  readonly concurrency: AtOnce;
  /** What is in front of it, and is to hear of changes. */
  readonly cdn: Cdn | undefined;
  /** What is known of the store behind it. */
  readonly knowledge: StoreKnowledge;
  /** How this store wants files cut. */
  readonly sizes: UploadSizes;
  /** False where an append-only destination lets nobody see what is there: then nothing can be compared. */
  readonly mayList: boolean;
  readonly mayRead: boolean;
  /** What was read of the source already; absent where nothing is compared by what the manifest remembers. */
  readonly ahead?: ReadAhead | undefined;
}

/**
 * Finds the bucket, proves that it grants what these inputs need under exactly this prefix, and opens it.
 * @throws DeployError PERMISSION_DENIED with the statement to paste, and whatever `findRegion` and `probe` throw.
 */
export async function openBucket(
  inputs: Inputs,
  source: Source,
  session: Session,
  caller: Caller,
  report: Report,
): Promise<OpenBucket> {
  const { destination, endpoint, forcePathStyle, expectedBucketOwner } = inputs;
  const region = await findRegion(inputs, session.credentials, caller);
  report.opened(region, siteUrlOf({ ...inputs, region }));
  const at = endpoint === undefined ? '' : ` at ${endpoint}`;
  log.line(`s3://${destination.bucket}/${destination.prefix} in ${region}${at}`);

  const address = { region, endpoint, forcePathStyle };
  const { connections } = caller;
  const concurrency = inputs.concurrency ?? caller.concurrency;
  const s3 = createS3({ ...address, expectedBucketOwner }, session.credentials, connections, caller.clock);
  // What is pasted from a log says no more than the log may say.
  const account = inputs.maskAccount ? undefined : session.identity?.account;
  const place: Place = { partition: partitionOf(region), region, account };
  const cdn = cdnOf(inputs, { inputs, place, session, caller, report });
  const knowledge = new StoreKnowledge(profileOf(endpoint), log.line);
  const sizes = { threshold: inputs.partSize, part: inputs.partSize, mostParts: knowledge.mostParts };
  const store = new S3ObjectStore(s3, caller, {
    credentials: session.credentials,
    bucket: destination.bucket,
    isAws: endpoint === undefined,
    storage: inputs.storage,
    sizes,
    knowledge,
  });
  if (inputs.probe === 'off') {
    report.suggests(suggestedPolicy(inputs, place));
    return { store, knowledge, sizes, concurrency, cdn, mayList: true, mayRead: true };
  }

  const { sourceDir, overwrite } = inputs;
  const ahead = plans(inputs) && overwrite && sourceDir !== undefined ? new ReadAhead(sourceDir, source) : undefined;
  const clients: ProbeClients = {
    s3,
    firstPage: () => store.firstPage(destination.prefix, plans(inputs) ? source.keys : undefined),
    readManifest:
      ahead &&
      (async (key) => {
        const { answer, body } = await store.getAhead(key, LARGEST_MANIFEST);
        if (body !== undefined) ahead.begin(body);
        return answer;
      }),
    unowned: once(() => createS3(address, session.credentials, connections)),
    nobodys: once(() =>
      createS3({ ...address, expectedBucketOwner: '000000000000' }, session.credentials, connections),
    ),
    anonymous: once(() => createAnonymousS3(address, connections)),
    cloudfront: cdn?.cloudfront,
  };
  const outcome = await probe(targetOf(inputs, place), clients, caller, report.leftBehind).finally(() => ahead?.stop());
  const { checks, capabilities, versioned } = outcome;
  knowledge.learn(capabilities);
  const missing = checks.filter(({ required, result }) => required && result === 'denied');
  report.suggests(suggestedPolicy(inputs, { ...place, versioned, checks }));
  report.probed(
    outcome,
    missing.map(({ action }) => action),
  );
  if (missing.length > 0) throw permissionDenied(missing, grantFor(inputs, { ...place, versioned }, outcome), session);
  const may = (action: string) => !checks.some((one) => one.action === action && one.result === 'denied');
  if (inputs.mode === 'deploy') knowledge.lacks('contentMd5');
  const rights = { mayList: may('s3:ListBucket'), mayRead: may('s3:GetObject') };
  return { store, knowledge, sizes, concurrency, cdn, ahead, ...rights };
}

/** @throws DeployError INPUT_INVALID in a partition without CloudFront. */
function cdnOf({ distribution, cloudfrontEndpoint: endpoint }: Inputs, world: CdnWorld): Cdn | undefined {
  if (distribution === undefined) return undefined;
  const { place, session, caller } = world;
  const { partition } = place;
  return new Cdn(new CloudFront(distribution, { partition, endpoint }, session.credentials, caller), world);
}

/** Whether files are compared with objects, so that the whole listing will be wanted. */
function plans({ mode }: Inputs): boolean {
  return mode === 'deploy' || mode === 'plan';
}

/** A client that only some probes need. */
function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

function targetOf(inputs: Inputs, { partition, region, account }: Place): ProbeTarget {
  const { storage, mode, endpoint } = inputs;
  const thorough = mode === 'probe';
  // Before a deploy nothing is written unless that is asked for.
  const asked = inputs.probe === 'off' || (inputs.probe === 'auto' && !thorough) ? 'no-residue' : inputs.probe;
  return {
    ...inputs,
    partition,
    isAws: endpoint === undefined,
    needs: needsOf(inputs),
    headers: objectHeaders(headersFor('index.html', inputs), storage),
    kmsKey: storage.kmsKeyId === undefined ? undefined : kmsKeyOf(storage.kmsKeyId, { partition, region, account }),
    distribution: inputs.distribution && distributionArn(inputs.distribution, { partition, account }),
    asked,
    thorough,
    known: profileOf(endpoint).capabilities,
    runId: crypto.randomUUID(),
  };
}

/** What to add: what was denied, and what could not be tried because of that. */
function grantFor(inputs: Inputs, place: Place, { checks }: ProbeOutcome): Policy {
  const lacking = checks.filter((one) => one.result === 'denied' || one.evidence === 'not tried');
  return suggestedPolicy(
    inputs,
    { ...place, checks },
    lacking.map(({ action }) => action),
  );
}

function permissionDenied(denied: readonly Check[], policy: Policy, { holder }: Session): DeployError {
  const what = denied.map(({ action, resource }) => `${action} on ${resource}`).join(', ');
  const because = denied.map(({ why }) => why).find((why) => why !== undefined);
  return new DeployError('PERMISSION_DENIED', `Denied: ${what}${because === undefined ? '' : ` (${because})`}.`, {
    hint: [
      `Add this to the permission policy of ${holder}:`,
      JSON.stringify(policy.Statement, null, 2),
      ...remedies(denied),
    ].join('\n'),
  });
}

/** Where else to look: AWS says whose policy it was, and nothing at all about buckets of other organizations. */
function remedies(denied: readonly Check[]): string[] {
  const policies = new Set(denied.flatMap(({ deniedBy }) => (deniedBy === undefined ? [] : [deniedBy])));
  const key = denied.find(({ action }) => action.startsWith('kms:'));
  const lines = [...new Set([...policies].map(remedyOf))].filter((line) => line !== '');
  if (key !== undefined) {
    lines.push(
      `The policy of the key must let the holder use it as well. If the bucket encrypts with it by default, set`,
    );
    lines.push(`sse-kms-key-id: ${key.resource}, so that the session may use it.`);
  }
  if (policies.size === 0) {
    lines.push(
      'If it is there already, look for a Deny in the bucket policy, a permissions boundary or the session policy. A bucket',
      'of another account must grant it in its own bucket policy too: check that the name is of the bucket that you mean.',
    );
  }
  return lines;
}

function remedyOf({ policy, explicit }: NonNullable<Check['deniedBy']>): string {
  if (explicit)
    return `A statement with "Effect": "Deny" forbids it, in the ${policy}: no grant helps until it is gone.`;
  if (policy === 'identity-based policy') return '';
  if (policy === 'session policy') return 'The session policy must allow it as well: see inline-session-policy.';
  return `The ${policy} must allow it as well.`;
}
