import { explain } from '../../core/explain.ts';
import { everythingBelow } from '../../core/invalidation.ts';
import { type Prefix, probeFolder } from '../../core/key.ts';
import type { Action } from '../../core/needs.ts';
import type { CloudFront } from '../cloudfront.ts';
import type { ProbeTarget } from './probe.ts';
import type { Prober, Trial, Verdict } from './prober.ts';

/** An id that no invalidation has. */
const NOBODYS = 'I0000000000000';

/**
 * Tries what an invalidation needs. CloudFront has no call that proves the right to make one and makes none: it gets a
 * batch that it must refuse. A denial of it is a denial; that nothing but the batch was refused proves nothing, as nobody
 * says whether CloudFront looks at permissions first. When it is asked for (`full`), an invalidation is made: of a path
 * that no page has, which counts as one of the thousand that a month has for nothing.
 * @throws DeployError INPUT_INVALID when there is no such distribution.
 */
export async function tryInvalidation(
  prober: Prober,
  cloudfront: CloudFront,
  { asked, runId, needs, destination }: Pick<ProbeTarget, 'asked' | 'runId' | 'needs' | 'destination'>,
): Promise<Map<Action, Verdict>> {
  const batch = { reference: `s3-deploy-probe-${runId}`, paths: [probePath(destination.prefix)] };
  const create = await prober.judge('CreateInvalidation', () =>
    asked === 'full' ? cloudfront.invalidate(batch) : cloudfront.invalidateNothing(batch, WRONG),
  );
  const verdicts = new Map<Action, Verdict>([['cloudfront:CreateInvalidation', judged(create, prober)]]);
  if (needs.required.includes('cloudfront:GetInvalidation')) {
    const unknown = ['NoSuchInvalidation'];
    const get = await prober.judge('GetInvalidation', () => cloudfront.look(NOBODYS, unknown), unknown);
    verdicts.set('cloudfront:GetInvalidation', judged(get, prober));
  }
  return verdicts;
}

const WRONG = ['InconsistentQuantities'];
const UNPROVED =
  'it refused a batch that is wrong on purpose; only an invalidation would prove more: probe: full makes one';

function judged({ verdict, failure }: Trial<object>, { destination }: Prober): Verdict {
  if (failure?.code === 'NoSuchDistribution') throw explain(failure, destination);
  return WRONG.includes(failure?.code ?? '') ? { ...verdict, why: UNPROVED } : verdict;
}

/** Below the folder of the probe's objects, where nothing is ever served. */
function probePath(prefix: Prefix): string {
  return everythingBelow(probeFolder(prefix));
}
