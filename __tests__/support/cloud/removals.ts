import { authorize, may, missing } from './authorization.ts';
import type { Answer, Call } from './call.ts';
import { checkChecksum, checkContentMd5 } from './checksums.ts';
import { ServiceError, s3Error } from './errors.ts';
import { writeTime } from './objects.ts';
import { children, childText, parseXml, S3_NAMESPACE, xml } from './xml.ts';

interface Removal {
  VersionId?: string | undefined;
  DeleteMarker?: boolean | undefined;
  DeleteMarkerVersionId?: string | undefined;
}

/** Removes one key or one version of it, with the sender's rights. What is not there is removed already. */
function remove(call: Call, versionId: string | undefined): Removal {
  const { bucket, key } = call;
  if (versionId === undefined) {
    authorize(call, 's3:DeleteObject');
    const marker = bucket.delete(key, writeTime(call));
    return marker ? { DeleteMarker: true, DeleteMarkerVersionId: marker.id } : {};
  }
  authorize(call, 's3:DeleteObjectVersion');
  const version = bucket.version(key, versionId);
  if (version?.lockedUntil !== undefined && version.lockedUntil > call.state.now()) {
    const bypass = call.headers['x-amz-bypass-governance-retention'] === 'true';
    const governed = bucket.options.objectLock?.mode === 'GOVERNANCE';
    if (!bypass || !governed || !may(call, 's3:BypassGovernanceRetention').allowed) {
      throw s3Error('AccessDenied', {}, 'Access Denied because object protected by object lock.');
    }
  }
  const removed = bucket.deleteVersion(key, versionId);
  if (!removed?.isMarker) return { VersionId: versionId };
  return { VersionId: versionId, DeleteMarker: true, DeleteMarkerVersionId: removed.id };
}

/**
 * `If-Match` of a delete. An ETag needs s3:GetObject, and answers 404 when nothing is there; `*` needs nothing more and
 * answers 412, as the condition that an object exists has failed. AWS documents the codes, not which one meets `*`.
 */
function checkCondition(call: Call, ifMatch: string | undefined): void {
  if (ifMatch === undefined) return;
  authorize(call, 's3:DeleteObject');
  if (ifMatch !== '*') authorize(call, 's3:GetObject');
  const existing = call.bucket.live(call.key);
  if (!existing && ifMatch !== '*') missing(call, 'NoSuchKey');
  if (!existing || (ifMatch !== '*' && ifMatch.replaceAll('"', '') !== existing.etag.replaceAll('"', ''))) {
    throw s3Error('PreconditionFailed', { Condition: 'If-Match' });
  }
}

export function deleteObject(call: Call): Answer {
  checkCondition(call, call.headers['if-match']);
  const { VersionId, DeleteMarker, DeleteMarkerVersionId } = remove(call, call.query.get('versionId'));
  return {
    status: 204,
    headers: {
      'x-amz-version-id': VersionId ?? DeleteMarkerVersionId,
      'x-amz-delete-marker': DeleteMarker ? 'true' : undefined,
    },
  };
}

/** DeleteObjects: the answer is 200 whatever becomes of the single keys. */
export function deleteObjects(call: Call): Answer {
  const { headers, body } = call;
  checkContentMd5(call);
  if (!checkChecksum(headers, body) && headers['content-md5'] === undefined) {
    const message = 'Missing required header for this request: Content-MD5 OR x-amz-checksum-*';
    throw s3Error('InvalidRequest', {}, message);
  }
  const request = parseXml(body.toString(), 'Delete');
  const objects = request ? children(request, 'Object') : [];
  if (!request || objects.length === 0 || objects.length > 1000) throw s3Error('MalformedXML');
  const targets = objects.map((one) => ({
    Key: childText(one, 'Key') ?? '',
    VersionId: childText(one, 'VersionId'),
    ETag: childText(one, 'ETag'),
  }));
  if (targets.some(({ Key }) => Key === '')) throw s3Error('MalformedXML');

  const deleted: (Removal & { Key: string })[] = [];
  const errors: { Key: string; VersionId?: string | undefined; Code: string; Message: string }[] = [];
  for (const { Key, VersionId, ETag } of targets) {
    try {
      const one = { ...call, key: Key, context: { ...call.context, 's3:if-match': ETag } };
      checkCondition(one, ETag);
      deleted.push({ Key, ...remove(one, VersionId) });
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      errors.push({ Key, VersionId, Code: error.code, Message: error.message });
    }
  }
  const isQuiet = childText(request, 'Quiet') === 'true';
  const content = {
    Deleted: isQuiet ? [] : deleted.map((one) => ({ ...one })),
    Error: errors.map((one) => ({ ...one })),
  };
  return { status: 200, body: xml('DeleteResult', content, S3_NAMESPACE) };
}
