import { randomBytes } from 'node:crypto';
import { authorize, requestContext } from './authorization.ts';
import { Bucket } from './bucket.ts';
import {
  getBucketEncryption,
  getBucketLocation,
  getBucketNotification,
  getBucketVersioning,
  getObjectLockConfiguration,
  headBucket,
} from './bucket-reads.ts';
import {
  type Address,
  type Answer,
  type Call,
  type CloudState,
  nameOperation,
  parseAddress,
  parseQuery,
} from './call.ts';
import { copyObject, getObjectTagging, putObjectTagging } from './copies.ts';
import { ServiceError, s3Error } from './errors.ts';
import { type Exchange, requestHeaders, send, withFault } from './exchange.ts';
import type { Faults } from './faults.ts';
import type { Principal } from './identities.ts';
import { listObjectsV2, listObjectVersions } from './listings.ts';
import { abortMultipartUpload, completeMultipartUpload, createMultipartUpload, uploadPart } from './multipart.ts';
import { putObject } from './objects.ts';
import { openPayload, readBody } from './payload.ts';
import { refuseUnknown, withQuirks } from './quirks.ts';
import { readObject } from './reads.ts';
import { refuseSignature } from './refusals.ts';
import { deleteObject, deleteObjects } from './removals.ts';
import { type LoggedRequest, newRequest } from './requests.ts';
import { authenticate } from './sigv4.ts';
import { listMultipartUploads, listParts } from './upload-listings.ts';
import { S3_NAMESPACE, xml } from './xml.ts';

const OPERATIONS: Record<string, (call: Call) => Answer> = {
  AbortMultipartUpload: abortMultipartUpload,
  CompleteMultipartUpload: completeMultipartUpload,
  CopyObject: copyObject,
  CreateMultipartUpload: createMultipartUpload,
  DeleteObject: deleteObject,
  DeleteObjects: deleteObjects,
  GetBucketEncryption: getBucketEncryption,
  GetBucketLocation: getBucketLocation,
  GetBucketNotificationConfiguration: getBucketNotification,
  GetBucketVersioning: getBucketVersioning,
  GetObject: readObject,
  GetObjectLockConfiguration: getObjectLockConfiguration,
  GetObjectTagging: getObjectTagging,
  HeadBucket: headBucket,
  HeadObject: readObject,
  ListBuckets: listBuckets,
  ListMultipartUploads: listMultipartUploads,
  ListObjectVersions: listObjectVersions,
  ListObjectsV2: listObjectsV2,
  ListParts: listParts,
  PutObject: putObject,
  PutObjectTagging: putObjectTagging,
  UploadPart: uploadPart,
};

function listBuckets(call: Call): Answer {
  authorize(call, 's3:ListAllMyBuckets', '*');
  const names = [...call.state.buckets.keys()].sort();
  const content = { Owner: { ID: call.state.account }, Buckets: { Bucket: names.map((Name) => ({ Name })) } };
  return { status: 200, body: xml('ListAllMyBucketsResult', content, S3_NAMESPACE) };
}

export interface S3Options {
  state: CloudState;
  faults: Faults;
  log(request: LoggedRequest): void;
}

/** Serves S3 over HTTP: who asks, for what, may he, and then the operation. */
export function createS3({ state, faults, log }: S3Options) {
  function sender(
    method: string,
    path: string,
    query: string,
    headers: Record<string, string>,
    region: string,
  ): Principal {
    const payloadHash = headers['x-amz-content-sha256'] ?? '';
    if (headers.authorization !== undefined && !payloadHash) {
      throw s3Error('InvalidRequest', {}, 'Missing required header for this request: x-amz-content-sha256');
    }
    const who = authenticate<Principal>(
      { method, path, query, headers, payloadHash },
      { service: 's3', region, now: state.now(), credential: (id) => state.identities.credential(id) },
    );
    if (who.kind === 'refused') throw refuseSignature(who.refusal, state.now());
    return who.kind === 'anonymous' ? { kind: 'anonymous' } : who.principal;
  }

  /** The region that a request must be signed for. Throws the redirect to where the bucket is. */
  function expectedRegion({ bucket: name, region }: Address, host: string, authorization: string | undefined): string {
    const home = state.buckets.get(name ?? '')?.options.region ?? region;
    // One loopback endpoint stands for those of all regions: the signature tells which of them was meant.
    const meant = host.includes('amazonaws.com')
      ? undefined
      : /Credential=[^/]+\/\d+\/([^/]+)/.exec(authorization ?? '')?.[1];
    if (home === region || home === meant) return home;
    const Endpoint = `${name}.s3.${home}.amazonaws.com`;
    throw s3Error('PermanentRedirect', { Endpoint, Bucket: name ?? '' }, undefined, { 'x-amz-bucket-region': home });
  }

  async function handle(exchange: Exchange): Promise<void> {
    const { request, response, secure } = exchange;
    const method = request.method ?? 'GET';
    const [path = '/', rawQuery = ''] = (request.url ?? '/').split(/\?(.*)/s);
    const headers = requestHeaders(request);
    const entry = newRequest(headers);
    log(entry);

    const common: Record<string, string> = {
      'x-amz-request-id': randomBytes(8).toString('hex').toUpperCase(),
      'x-amz-id-2': randomBytes(48).toString('base64'),
      date: new Date(state.now()).toUTCString(),
      server: 'AmazonS3',
    };
    const finish = (answer: Answer) => {
      entry.status = answer.status;
      const type = answer.body &&
        answer.headers?.['content-type'] === undefined && { 'content-type': 'application/xml' };
      return { ...answer, headers: { ...common, ...type, ...answer.headers } };
    };

    try {
      const query = parseQuery(rawQuery);
      const address = parseAddress(headers.host ?? '', path, state.region);
      const operation = nameOperation(method, address, query, headers);
      Object.assign(entry, {
        operation,
        bucket: address.bucket,
        key: address.key || undefined,
        query: Object.fromEntries(query),
      });
      const bucket = state.buckets.get(address.bucket ?? '');
      const tellsRegion = bucket?.options.quirks?.region !== 'not told';
      if (bucket && tellsRegion && (operation === 'HeadBucket' || operation === 'ListObjectsV2')) {
        common['x-amz-bucket-region'] = bucket.options.region ?? state.region;
      }

      const carryOut = async (): Promise<Answer> => {
        const raw = await readBody(request);
        const region = expectedRegion(address, headers.host ?? '', headers.authorization);
        const principal = sender(method, path, rawQuery, headers, region);
        entry.principal = principal.kind === 'anonymous' ? 'anonymous' : principal.arn;
        if (address.bucket && !bucket) throw s3Error('NoSuchBucket', { BucketName: address.bucket });
        const run = OPERATIONS[operation];
        if (!run) throw s3Error('NotImplemented', {}, `This cloud does not play ${method} ${request.url}`);
        const owner = headers['x-amz-expected-bucket-owner'];
        if (owner !== undefined && owner !== state.account) throw s3Error('AccessDenied');
        if (
          bucket?.options.requesterPays &&
          headers['x-amz-request-payer'] !== 'requester' &&
          operation !== 'HeadBucket'
        )
          throw s3Error('AccessDenied');
        if (
          method === 'PUT' &&
          headers['content-length'] === undefined &&
          headers['x-amz-decoded-content-length'] === undefined
        ) {
          throw s3Error('MissingContentLength');
        }
        const { body, trailers } = openPayload(raw, headers);
        const context = requestContext(state, { headers, secure, region, principal });
        context['s3:versionid'] = query.get('versionId');
        const call: Call = {
          state,
          operation,
          bucket: bucket ?? new Bucket(''),
          key: address.key,
          query,
          headers: { ...headers, ...trailers },
          body,
          principal,
          context,
        };
        refuseUnknown(call);
        return finish(withQuirks(run(call), call));
      };

      const accessKey = /Credential=([^/]+)\//.exec(headers.authorization ?? '')?.[1];
      const fault = faults.take(operation, address.bucket, address.key, accessKey);
      entry.fault = fault?.kind;
      const answer = await withFault(fault, exchange, carryOut);
      entry.status = answer?.status ?? 0;
      if (answer) send(exchange, { ...answer, headers: { ...(fault && common), ...answer.headers } });
    } catch (error) {
      if (request.destroyed && !request.complete) return;
      const refusal =
        error instanceof ServiceError ? error : s3Error('InternalError', {}, String((error as Error).stack));
      entry.code = refusal.code;
      if (!response.headersSent) send(exchange, finish(errorAnswer(refusal, method, common)));
    }
  }

  return { handle };
}

/** The error document; a HEAD has no body, and with it no code. */
function errorAnswer(error: ServiceError, method: string, common: Record<string, string>): Answer {
  const { code, message, status, details, headers } = error;
  const ids = { RequestId: common['x-amz-request-id'], HostId: common['x-amz-id-2'] };
  const body =
    method === 'HEAD' || status === 304 ? '' : xml('Error', { Code: code, Message: message, ...details, ...ids });
  return { status, headers: { ...headers, 'content-type': 'application/xml' }, body };
}
