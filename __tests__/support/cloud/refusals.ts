import { ServiceError, s3Error } from './errors.ts';
import type { Refusal } from './sigv4.ts';

/** S3's words for a signature that does not stand. */
export function refuseSignature(refusal: Refusal, now: number): ServiceError {
  switch (refusal.reason) {
    case 'malformed':
      return s3Error('AuthorizationHeaderMalformed', {}, refusal.message);
    case 'region': {
      const message = `The authorization header is malformed; the region '${refusal.given}' is wrong; expecting '${refusal.expected}'`;
      return s3Error('AuthorizationHeaderMalformed', { Region: refusal.expected }, message);
    }
    case 'undated':
      return s3Error('AccessDenied', {}, 'AWS authentication requires a valid Date or x-amz-date header');
    case 'skewed':
      return s3Error('RequestTimeTooSkewed', {
        RequestTime: refusal.requestTime,
        ServerTime: new Date(now).toISOString(),
        MaxAllowedSkewMilliseconds: '900000',
      });
    case 'unknown-key':
      return s3Error('InvalidAccessKeyId', { AWSAccessKeyId: refusal.accessKeyId });
    case 'token':
      return s3Error('InvalidToken', { 'Token-0': refusal.token });
    case 'expired':
      return s3Error('ExpiredToken', { 'Token-0': refusal.token });
    case 'unsigned-headers': {
      const details = { HeadersNotSigned: refusal.names.join(', ') };
      return s3Error('AccessDenied', details, 'There were headers present in the request which were not signed');
    }
    case 'mismatch':
      return s3Error('SignatureDoesNotMatch', {
        AWSAccessKeyId: refusal.accessKeyId,
        StringToSign: refusal.stringToSign,
        SignatureProvided: refusal.signature,
        StringToSignBytes: hexBytes(refusal.stringToSign),
        CanonicalRequest: refusal.canonicalRequest,
        CanonicalRequestBytes: hexBytes(refusal.canonicalRequest),
      });
  }
}

const hexBytes = (text: string) => (Buffer.from(text).toString('hex').match(/../g) ?? []).join(' ');

/** STS's words for a signature that does not stand, and CloudFront's. */
export function refuseStsSignature(refusal: Refusal): ServiceError {
  switch (refusal.reason) {
    case 'unknown-key':
    case 'token':
      return new ServiceError(403, 'InvalidClientTokenId', 'The security token included in the request is invalid.');
    case 'expired':
      return new ServiceError(403, 'ExpiredToken', 'The security token included in the request is expired');
    case 'region': {
      const message = `Credential should be scoped to a valid region, not '${refusal.given}'. `;
      return new ServiceError(403, 'SignatureDoesNotMatch', message);
    }
    case 'skewed': {
      const message = `Signature expired: ${refusal.requestTime} is too far from the current time (15 min.)`;
      return new ServiceError(403, 'SignatureDoesNotMatch', message);
    }
    case 'malformed':
    case 'undated':
    case 'unsigned-headers':
      return new ServiceError(400, 'IncompleteSignature', 'Authorization header requires a valid signature.');
    case 'mismatch': {
      const message =
        'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.';
      return new ServiceError(403, 'SignatureDoesNotMatch', message);
    }
  }
}
