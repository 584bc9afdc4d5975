import { randomUUID } from 'node:crypto';
import type { Answer, CloudState } from './call.ts';
import type { Distribution, MadeInvalidation } from './distribution.ts';
import { ServiceError } from './errors.ts';
import { type Exchange, requestHeaders, send, withFault } from './exchange.ts';
import type { Faults } from './faults.ts';
import type { Principal } from './identities.ts';
import { readBody } from './payload.ts';
import { sendError } from './query-errors.ts';
import { refuseStsSignature } from './refusals.ts';
import { type LoggedRequest, newRequest } from './requests.ts';
import { authenticate, sha256 } from './sigv4.ts';
import { children, childText, parseXml, xml } from './xml.ts';

const NAMESPACE = 'http://cloudfront.amazonaws.com/doc/2020-05-31/';
const ADDRESS = /^\/2020-05-31\/distribution\/([A-Z0-9]+)\/invalidation(?:\/(\w+))?$/;

export interface CloudFrontOptions {
  state: CloudState;
  distributions: ReadonlyMap<string, Distribution>;
  faults: Faults;
  log(request: LoggedRequest): void;
}

/** Serves CreateInvalidation and GetInvalidation of CloudFront, whose requests are signed for us-east-1 wherever they come from. */
export function createCloudFront({ state, distributions, faults, log }: CloudFrontOptions) {
  const { identities, account } = state;

  function authorize(principal: Principal, action: string, resource: string): void {
    if (principal.kind === 'anonymous')
      throw new ServiceError(403, 'MissingAuthenticationToken', 'Request is missing Authentication Token');
    const verdict = identities.decide(principal, { action, resource });
    if (verdict.allowed) return;
    const message = `User: ${principal.arn} is not authorized to perform: ${action} on resource: ${resource} ${verdict.because}`;
    throw new ServiceError(403, 'AccessDenied', message);
  }

  function carryOut({ request }: Exchange, raw: Buffer, entry: LoggedRequest): Answer {
    const [path = '/', query = ''] = (request.url ?? '/').split('?');
    const { headers, operation } = entry;
    const who = authenticate<Principal>(
      { method: request.method ?? '', path, query, headers, payloadHash: sha256(raw) },
      { service: 'cloudfront', region: 'us-east-1', now: state.now(), credential: (id) => identities.credential(id) },
    );
    if (who.kind === 'refused') throw refuseStsSignature(who.refusal);
    const principal: Principal = who.kind === 'anonymous' ? { kind: 'anonymous' } : who.principal;
    entry.principal = principal.kind === 'anonymous' ? 'anonymous' : principal.arn;
    const [, id = '', invalidation] = ADDRESS.exec(path) ?? [];
    if (operation === 'Unknown')
      throw new ServiceError(404, 'NoSuchResource', `This cloud does not play ${request.url}`);
    // Permissions before everything else: AWS does not say in which order it looks.
    authorize(principal, `cloudfront:${operation}`, `arn:aws:cloudfront::${account}:distribution/${id}`);
    const distribution = distributions.get(id);
    if (distribution === undefined)
      throw new ServiceError(404, 'NoSuchDistribution', 'The specified distribution does not exist.');
    if (operation === 'CreateInvalidation') return created(distribution, raw, headers);
    const found = distribution.invalidations.find((one) => one.id === invalidation);
    if (found === undefined)
      throw new ServiceError(404, 'NoSuchInvalidation', 'The specified invalidation does not exist.');
    return { status: 200, body: documentOf(found) };
  }

  function created(distribution: Distribution, raw: Buffer, headers: Record<string, string>): Answer {
    if (!/^(application|text)\/xml\b/.test(headers['content-type'] ?? ''))
      throw new ServiceError(400, 'MissingBody', 'This operation requires a body.');
    const batch = parseXml(raw.toString(), 'InvalidationBatch');
    const [paths] = batch === undefined ? [] : children(batch, 'Paths');
    const reference = batch && childText(batch, 'CallerReference');
    if (paths === undefined || !reference)
      throw new ServiceError(400, 'MalformedXML', 'The XML document is malformed.');
    const items = children(paths, 'Items').flatMap(({ Path = [] }) => Path);
    const texts = items.map((Path) => childText({ Path } as never, 'Path') ?? '');
    const quantity = Number(childText(paths, 'Quantity'));
    const made = distribution.invalidate(reference, quantity, texts, state.now());
    const location = `https://cloudfront.amazonaws.com/2020-05-31/distribution/${distribution.id}/invalidation/${made.id}`;
    return { status: 201, headers: { location }, body: documentOf(made) };
  }

  function documentOf({ id, reference, paths, createTime, completeTime }: MadeInvalidation): string {
    const content = {
      Id: id,
      Status: state.now() >= completeTime ? 'Completed' : 'InProgress',
      CreateTime: new Date(createTime).toISOString(),
      InvalidationBatch: { Paths: { Quantity: paths.length, Items: { Path: [...paths] } }, CallerReference: reference },
    };
    return xml('Invalidation', content, NAMESPACE);
  }

  async function handle(exchange: Exchange): Promise<void> {
    const { request } = exchange;
    const headers = requestHeaders(request);
    const [, id, invalidation] = ADDRESS.exec((request.url ?? '').split('?')[0] ?? '') ?? [];
    const entry = newRequest(headers);
    if (id !== undefined && request.method === 'POST' && invalidation === undefined)
      entry.operation = 'CreateInvalidation';
    if (id !== undefined && request.method === 'GET' && invalidation !== undefined) entry.operation = 'GetInvalidation';
    log(entry);
    const common = { 'x-amzn-requestid': randomUUID(), date: new Date(state.now()).toUTCString() };
    try {
      const fault = faults.take(entry.operation);
      entry.fault = fault?.kind;
      const answer = await withFault(fault, exchange, async () => carryOut(exchange, await readBody(request), entry));
      entry.status = answer?.status ?? 0;
      const type = answer?.body && { 'content-type': 'text/xml' };
      if (answer) send(exchange, { ...answer, headers: { ...common, ...type, ...answer.headers } });
    } catch (error) {
      sendError(exchange, entry, error, { common, internal: 'InternalError', namespace: NAMESPACE });
    }
  }

  return { handle };
}
