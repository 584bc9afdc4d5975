import { CAPABILITIES, UNKNOWN } from '../core/capabilities.ts';
import type { RemoteObject, Upload } from '../core/model.ts';
import { countsOf, type RunRecord, statusOf, uploadsOf } from './record.ts';

/** The result file, as the README documents it. Keys are as they are: this is JSON, not a log. */
export function resultOf(record: RunRecord): object {
  const { mode, dryRun, destination, region, url, plan, outcome, timings, error } = record;
  const { bytes, ...counts } = countsOf(record);
  const planned = dryRun;
  const uploads = planned ? uploadsOf(plan) : (outcome?.uploaded ?? []);
  const deletions = (planned ? plan?.deletions.map(({ key }: RemoteObject) => key) : outcome?.deleted) ?? [];
  return {
    version: 1,
    mode,
    status: statusOf(record),
    bucket: destination?.bucket ?? null,
    prefix: destination?.prefix ?? null,
    region: region ?? null,
    url: url ?? null,
    counts,
    bytes: { uploaded: bytes, source: record.source?.bytes ?? 0 },
    timings,
    requests: requestsOf(record),
    uploads: uploads.map(({ key, reason, file }: Upload) => ({ key, reason, size: file.size })),
    deletions: deletions.map((key) => ({ key })),
    kept: [...(plan?.kept ?? []), ...(outcome?.existing ?? []).map((key) => ({ key, why: 'exists' }))],
    failures: outcome?.failures ?? [],
    invalidations: (record.invalidations ?? []).map(({ id, paths }) => ({ id: id ?? null, paths })),
    probe: {
      checks: record.checks ?? [],
      findings: record.findings ?? [],
      capabilities: capabilitiesOf(record),
    },
    error: error === undefined ? null : { code: error.code, message: error.message, hint: error.hint ?? null },
  };
}

const VERBS = {
  put: /^(Put|UploadPart|Create(?!Invalidation)|Complete|Abort)/,
  list: /^List/,
  delete: /^Delete/,
  get: /^(Get|Head)(Object|Bucket)/,
};

function requestsOf({ calls, retries }: RunRecord): Record<string, number> {
  const count = (verb: RegExp) => [...calls].reduce((sum, [operation, n]) => sum + (verb.test(operation) ? n : 0), 0);
  return {
    ...Object.fromEntries(Object.entries(VERBS).map(([name, verb]) => [name, count(verb)])),
    retries: retries(),
  };
}

/** What is not known is null: JSON has no undefined. */
function capabilitiesOf({ capabilities = UNKNOWN }: RunRecord): Record<string, boolean | null> {
  return Object.fromEntries(CAPABILITIES.map((name) => [name, capabilities[name] ?? null]));
}
