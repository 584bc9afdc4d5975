/** What a store can do, beyond what every store can; undefined where nobody knows. */
export interface Capabilities {
  /** `If-None-Match: *` and `If-Match` on PutObject. */
  readonly conditionalWrites: boolean | undefined;
  /** DeleteObjects. */
  readonly batchDelete: boolean | undefined;
  /** A PUT whose Content-MD5 is wrong is refused. */
  readonly contentMd5: boolean | undefined;
  /** A PUT whose x-amz-checksum-crc32 is wrong is refused. */
  readonly crcChecksums: boolean | undefined;
  /** Uploads in parts. */
  readonly multipart: boolean | undefined;
  /** Listings with `encoding-type=url`. */
  readonly urlEncodedListing: boolean | undefined;
  /** Keeps `x-amz-website-redirect-location` with an object. */
  readonly websiteRedirects: boolean | undefined;
}

export type Capability = keyof Capabilities;

/** https://docs.aws.amazon.com/AmazonS3/latest/API/Welcome.html; conditional writes since 2024. */
export const AWS: Capabilities = {
  conditionalWrites: true,
  batchDelete: true,
  contentMd5: true,
  crcChecksums: true,
  multipart: true,
  urlEncodedListing: true,
  websiteRedirects: true,
};

export const UNKNOWN: Capabilities = {
  conditionalWrites: undefined,
  batchDelete: undefined,
  contentMd5: undefined,
  crcChecksums: undefined,
  multipart: undefined,
  urlEncodedListing: undefined,
  websiteRedirects: undefined,
};

/** What is known of a store before it is asked anything. */
export interface StoreProfile {
  readonly capabilities: Capabilities;
  /** Parts that one upload may have. */
  readonly mostParts: number;
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
const MOST_PARTS = 10_000;
/** The fewest that a store is known to allow: no more are made where nobody knows. */
const FEWEST_PARTS = 1_000;

/**
 * Stores by the hosts of their endpoints, with what was measured or is documented of them; what is not said is unknown,
 * and found out by a probe, or when it comes to be used. After rclone's table, `backend/s3/provider/*.yaml`.
 */
const STORES: readonly { hosts: RegExp; has: Partial<Capabilities>; mostParts?: number }[] = [
  { hosts: /\.amazonaws\.com(\.cn)?$/, has: AWS, mostParts: MOST_PARTS },
  {
    hosts: /\.r2\.cloudflarestorage\.com$/,
    has: { conditionalWrites: true, batchDelete: true, multipart: true },
    mostParts: MOST_PARTS,
  },
  {
    hosts: /(^|\.)storage\.googleapis\.com$/,
    has: { conditionalWrites: false, batchDelete: false },
    mostParts: MOST_PARTS,
  },
  { hosts: /\.backblazeb2\.com$/, has: { conditionalWrites: true, multipart: true }, mostParts: MOST_PARTS },
  { hosts: /\.scw\.cloud$/, has: { multipart: true }, mostParts: 1_000 },
  { hosts: /\.digitaloceanspaces\.com$/, has: { urlEncodedListing: false, multipart: true } },
  { hosts: /\.(ionoscloud\.com|storage\.selcloud\.ru)$/, has: { urlEncodedListing: false } },
  { hosts: /\.object\.fastlystorage\.app$/, has: { multipart: false } },
];

/** What is known of the store at an endpoint; of AWS everything. */
export function profileOf(endpoint: string | undefined): StoreProfile {
  if (endpoint === undefined) return { capabilities: AWS, mostParts: MOST_PARTS };
  const host = URL.canParse(endpoint) ? new URL(endpoint).hostname : '';
  const { has, mostParts = FEWEST_PARTS } = STORES.find(({ hosts }) => hosts.test(host)) ?? {};
  return { capabilities: { ...UNKNOWN, ...has }, mostParts };
}

/** How each is called, and what a deploy does where it is missing. */
const TELLING: Record<Capability, readonly [name: string, without: string]> = {
  conditionalWrites: [
    'conditional writes',
    'two deploys at the same time are not noticed, and overwrite: false trusts the listing',
  ],
  batchDelete: ['batch delete', 'objects are deleted one by one'],
  contentMd5: ['check of Content-MD5', 'what arrives is held against the ETag of the answer alone'],
  crcChecksums: ['CRC checksums', 'Content-MD5 is sent, which older stores know'],
  multipart: ['multipart uploads', 'files go up whole, and none may be larger than 5 GiB'],
  urlEncodedListing: ['url-encoded listings', 'names with control characters are refused'],
  websiteRedirects: ['website redirects', 'redirects are not kept with the object'],
};

export const CAPABILITIES = Object.keys(TELLING) as Capability[];

/** What a deploy does without a capability: `batch delete: objects are deleted one by one`. */
export function without(capability: Capability): string {
  return TELLING[capability].join(': ');
}

/** A line for each capability that is missing. */
export function missingCapabilities(capabilities: Capabilities): string[] {
  return CAPABILITIES.filter((one) => capabilities[one] === false).map(without);
}
