import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { Answer } from './call.ts';
import { ServiceError, s3Message } from './errors.ts';
import type { FaultAnswer } from './faults.ts';
import { readBody } from './payload.ts';

/** One HTTP request and the way back. */
export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  /** Whether it came over TLS. */
  secure: boolean;
  /** The TCP connection that it came over, beneath TLS if there is TLS: only that can be reset. */
  connection: Socket;
}

/** The headers of a request; a name that comes twice is joined, as in a signature. */
export function requestHeaders(request: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers))
    headers[name] = Array.isArray(value) ? value.join(',') : (value ?? '');
  return headers;
}

/** Sends an answer whole; undefined headers are left out. */
export function send({ request, response }: Exchange, { status, headers = {}, body = '' }: Answer): void {
  response.statusCode = status;
  const set: Record<string, string | undefined> = { 'content-length': String(Buffer.byteLength(body)), ...headers };
  for (const [name, value] of Object.entries(set)) if (value !== undefined) response.setHeader(name, value);
  // No length of its own for what has no body by definition; a HEAD answers the length of the GET.
  if (status === 204 || status === 304) response.removeHeader('content-length');
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** The answer as it goes over the wire, to send it in pieces. */
function serialise({ status, headers = {}, body = '' }: Answer): Buffer {
  const all = { 'content-length': String(Buffer.byteLength(body)), ...headers };
  const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : `${name}: ${value}\r\n`));
  const head = `HTTP/1.1 ${status} ${status === 200 ? 'OK' : 'Answer'}\r\n${lines.join('')}\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), Buffer.from(body)]);
}

async function firstBytes(request: IncomingMessage): Promise<void> {
  if (request.readableEnded) return;
  await new Promise<void>((resolve) => {
    request.once('data', () => resolve());
    request.once('end', () => resolve());
    request.once('close', () => resolve());
  });
}

/**
 * Carries out a request with a fault in its way. Answers what is to be sent, or undefined when nothing is, because the
 * fault has dealt with the connection itself.
 */
export async function withFault(
  fault: FaultAnswer | undefined,
  exchange: Exchange,
  carryOut: () => Promise<Answer>,
): Promise<Answer | undefined> {
  if (!fault) return carryOut();
  const { request } = exchange;
  const socket = request.socket;
  const either = async (applied: boolean | undefined) => {
    if (applied) await carryOut();
    else if (!request.readableEnded) await readBody(request);
  };
  switch (fault.kind) {
    case 'error': {
      const { status, code, message = s3Message(fault.code), applied } = fault;
      if (typeof message === 'string') {
        await either(applied);
        throw new ServiceError(status, code, message, {}, fault.headers);
      }
      const body = (await readBody(request)).toString('latin1');
      const lines = Object.entries(requestHeaders(request)).map(([name, value]) => `${name}: ${value}`);
      throw new ServiceError(status, code, message([...lines, body].join('\n')), {}, fault.headers);
    }
    case 'reset':
      if (fault.at === 'body') await firstBytes(request);
      if (fault.at === 'response') {
        const bytes = serialise(await carryOut());
        await new Promise((resolve) => socket.write(bytes.subarray(0, bytes.length >> 1), resolve));
      }
      exchange.connection.resetAndDestroy();
      return undefined;
    case 'silence':
      // What cannot be carried out is not answered either.
      await either(fault.applied).catch(() => undefined);
      fault.onReached?.();
      return undefined;
    case 'wait':
      fault.onReached?.();
      await fault.until;
      return carryOut();
    case 'delay':
      await wait(fault.ms, undefined, { ref: false });
      return carryOut();
    case 'trickle': {
      const bytes = serialise(await carryOut());
      for (let at = 0; at < bytes.length && !socket.destroyed; at += fault.bytes) {
        socket.write(bytes.subarray(at, at + fault.bytes));
        await wait(fault.ms, undefined, { ref: false });
      }
      // Node knows nothing of this answer, so the connection cannot serve another.
      socket.end();
      return undefined;
    }
    case 'html': {
      await either(fault.applied);
      const body = '<html><head><title>Sign in</title></head><body><h1>Welcome to the proxy</h1></body></html>';
      return { status: fault.status ?? 200, headers: { 'content-type': 'text/html' }, body };
    }
    case 'truncate': {
      const answer = await carryOut();
      const body = Buffer.from(answer.body ?? '');
      return {
        ...answer,
        headers: { ...answer.headers, 'content-length': undefined },
        body: body.subarray(0, body.length >> 1),
      };
    }
    case 'empty':
      await either(fault.applied);
      return { status: 200 };
    case 'etag': {
      const answer = await carryOut();
      return { ...answer, headers: { ...answer.headers, etag: fault.value ?? `"${randomBytes(16).toString('hex')}"` } };
    }
    case 'checksum': {
      const answer = await carryOut();
      const entries = Object.entries(answer.headers ?? {}).map(([name, value]) => {
        const isChecksum = name.startsWith('x-amz-checksum-') && name !== 'x-amz-checksum-type';
        return [
          name,
          isChecksum && value ? Buffer.alloc(Buffer.from(value, 'base64').length, 7).toString('base64') : value,
        ];
      });
      return { ...answer, headers: Object.fromEntries(entries) };
    }
  }
}
