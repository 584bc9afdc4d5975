import type { HeadObjectCommandOutput, ObjectCannedACL, ServerSideEncryption, StorageClass } from '@aws-sdk/client-s3';
import type { Condition, ObjectHeaders, StorageOptions } from '../core/model.ts';

/** The parameters of the SDK for an object's headers and storage; what is absent is not sent. */
export function objectHeaders(headers: ObjectHeaders, storage: StorageOptions) {
  const { acl, storageClass, encryption, kmsKeyId, tags } = storage;
  return {
    ContentType: headers.contentType,
    ...(headers.cacheControl !== undefined && { CacheControl: headers.cacheControl }),
    ...(headers.contentDisposition !== undefined && { ContentDisposition: headers.contentDisposition }),
    ...(headers.contentEncoding !== undefined && { ContentEncoding: headers.contentEncoding }),
    ...(headers.contentLanguage !== undefined && { ContentLanguage: headers.contentLanguage }),
    ...(headers.expires !== undefined && { Expires: new Date(headers.expires) }),
    ...(headers.metadata !== undefined && { Metadata: { ...headers.metadata } }),
    ...(acl !== undefined && { ACL: acl as ObjectCannedACL }),
    ...(storageClass !== undefined && { StorageClass: storageClass as StorageClass }),
    ...(encryption !== undefined && { ServerSideEncryption: encryption as ServerSideEncryption }),
    ...(kmsKeyId !== undefined && { SSEKMSKeyId: kmsKeyId }),
    ...(tags !== undefined && { Tagging: tags.map((pair) => pair.map(encodeURIComponent).join('=')).join('&') }),
  };
}

/** The headers of an object as a HEAD answers them. */
export function headersOf(answer: HeadObjectCommandOutput): ObjectHeaders {
  const { ContentType, CacheControl, ContentDisposition, ContentEncoding, ContentLanguage, ExpiresString, Metadata } =
    answer;
  return {
    contentType: ContentType ?? '',
    ...(CacheControl && { cacheControl: CacheControl }),
    ...(ContentDisposition && { contentDisposition: ContentDisposition }),
    ...(ContentEncoding && { contentEncoding: ContentEncoding }),
    ...(ContentLanguage && { contentLanguage: ContentLanguage }),
    ...(ExpiresString && { expires: ExpiresString }),
    ...(Metadata && Object.keys(Metadata).length > 0 && { metadata: Metadata }),
  };
}

/** The parameters of the SDK for a condition. */
export function conditionHeaders(condition: Condition | undefined): { IfNoneMatch?: string; IfMatch?: string } {
  if (condition === undefined) return {};
  return typeof condition === 'object' ? { IfMatch: `"${condition.etag}"` } : { IfNoneMatch: '*' };
}
