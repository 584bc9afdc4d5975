import type { Capabilities } from './capabilities.ts';
import { LARGEST_PART, LARGEST_WHOLE, type UploadSizes } from './parts.ts';
import { bytes, count } from './text.ts';

/** Characters that XML 1.0 cannot carry, or that its parsers change. */
const NOT_FOR_XML = /[\u0000-\u001f\ufffe\uffff]/;

/** Whether a key can stand in XML as it is. */
export function fitsXml(key: string): boolean {
  return !NOT_FOR_XML.test(key);
}

/** Why a store cannot hold an object, or could not list it again; undefined where it can, or where nobody knows. */
export function storeProblem(
  { key, size }: { readonly key: string; readonly size: number },
  { multipart, urlEncodedListing }: Pick<Capabilities, 'multipart' | 'urlEncodedListing'>,
  { mostParts }: Pick<UploadSizes, 'mostParts'>,
): string | undefined {
  if (urlEncodedListing === false && !fitsXml(key))
    return 'this store has no url-encoded listings, and would not tell its control characters';
  const largest = multipart === false ? LARGEST_WHOLE : mostParts * LARGEST_PART;
  if (size <= largest) return undefined;
  const why = multipart === false ? ', since it has no multipart uploads' : '';
  return `it has ${count(size, 'byte')}, and this store takes ${bytes(largest)} at most${why}`;
}
