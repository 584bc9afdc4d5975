import { ServiceError } from './errors.ts';
import { type Exchange, send } from './exchange.ts';
import type { LoggedRequest } from './requests.ts';
import { xml } from './xml.ts';

/** How a service words its errors. */
interface Wording {
  /** Headers of every answer. */
  readonly common: { readonly 'x-amzn-requestid': string };
  /** The code of a defect of its own. */
  readonly internal: string;
  readonly namespace: string;
}

/** Answers an error as STS and CloudFront do, and notes it; to nobody when the other side is gone. */
export function sendError(exchange: Exchange, entry: LoggedRequest, error: unknown, wording: Wording): void {
  const { request, response } = exchange;
  if (request.destroyed && !request.complete) return;
  const { common, internal, namespace } = wording;
  const failure =
    error instanceof ServiceError ? error : new ServiceError(500, internal, String((error as Error).stack));
  const { status, code, message } = failure;
  Object.assign(entry, { status, code });
  const document = {
    Error: { Type: status < 500 ? 'Sender' : 'Receiver', Code: code, Message: message },
    RequestId: common['x-amzn-requestid'],
  };
  const body = xml('ErrorResponse', document, namespace);
  if (!response.headersSent)
    send(exchange, { status, headers: { ...common, 'content-type': 'text/xml', ...failure.headers }, body });
}
