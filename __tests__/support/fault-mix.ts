import type { FaultAnswer, FaultMix } from './cloud/faults.ts';

const error = (status: number, code: string, applied = false): FaultAnswer => ({
  kind: 'error',
  status,
  code,
  applied,
});

/**
 * All that a store and the network between are known to do, each as often as its weight says. Silence costs seconds where
 * the others cost milliseconds, and is as rare beside them as in life.
 */
export const EVERYTHING: FaultMix['answers'] = [
  [14, error(503, 'SlowDown')],
  [10, error(500, 'InternalError')],
  [4, error(500, 'InternalError', true)],
  [3, error(502, 'BadGateway')],
  [8, error(429, 'TooManyRequests')],
  [5, error(409, 'OperationAborted')],
  [4, error(403, 'RequestTimeTooSkewed')],
  [3, error(400, 'RequestTimeout')],
  [3, error(400, 'BadDigest')],
  [8, { kind: 'reset', at: 'request' }],
  [8, { kind: 'reset', at: 'body' }],
  [8, { kind: 'reset', at: 'response' }],
  [3, { kind: 'html' }],
  [3, { kind: 'html', applied: true }],
  [3, { kind: 'html', status: 502 }],
  [4, { kind: 'truncate' }],
  [3, { kind: 'empty' }],
  [4, { kind: 'etag' }],
  [3, { kind: 'checksum' }],
  [4, { kind: 'trickle', bytes: 256, ms: 5 }],
  [4, { kind: 'delay', ms: 50 }],
  [0.5, { kind: 'silence' }],
  [0.5, { kind: 'silence', applied: true }],
];

/** Answers that no retry mends: a run that meets one must fail, and say so. */
export const LASTING: FaultMix['answers'] = [
  [1, error(403, 'AccessDenied')],
  [1, error(400, 'InvalidRequest')],
];
