import type { Destination } from './key.ts';

export interface SiteAddress {
  readonly destination: Destination;
  readonly region: string;
  readonly endpoint: string | undefined;
  readonly siteUrl: string | undefined;
}

/** Regions whose website endpoints are written with a dash. https://docs.aws.amazon.com/general/latest/gr/s3.html */
const DASHED = /^(us-(east|west)-1|us-west-2|ap-(southeast-[12]|northeast-1)|eu-west-1|sa-east-1|us-gov-west-1)$/;

/** Where the prefix is served, percent-encoded: below `site-url`, the endpoint's URL, or the bucket's website endpoint. */
export function siteUrlOf({ destination, region, endpoint, siteUrl }: SiteAddress): string {
  const { bucket, prefix } = destination;
  const path = prefix.split('/').map(encodeURIComponent).join('/');
  if (siteUrl !== undefined) return `${siteUrl}/${path}`;
  if (endpoint !== undefined) return `${endpoint}/${encodeURIComponent(bucket)}/${path}`;
  const domain = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
  return `http://${bucket}.s3-website${DASHED.test(region) ? '-' : '.'}${region}.${domain}/${path}`;
}
