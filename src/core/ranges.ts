import { firstAfter, ordersAlike } from './key.ts';

/** A stretch of a listing: the keys after one, up to another and with it; to the end without `until`. */
export interface Range {
  readonly after: string;
  readonly until: string | undefined;
}

/** Keys on a page. https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html */
const PAGE = 1000;
/** With more at once, reading the pages is what takes the time: 4 ms of processor time each. */
const MOST_RANGES = 32;

/**
 * Cuts what is left of a listing into ranges that can be listed at once, each of as many whole pages as the expected keys
 * say, so that ranges cost no further requests. Together they are everything after `after`, whatever is there: a wrong
 * guess costs time only.
 * @param expected in the order of keys.
 */
export function cutRanges(expected: readonly string[], after: string): Range[] {
  const first = firstAfter(expected, after);
  const pages = Math.ceil((expected.length - first) / PAGE);
  const size = Math.ceil(pages / MOST_RANGES) * PAGE;
  const ranges: Range[] = [];
  let from = after;
  for (let end = first + size - 1; end < expected.length - 1 && size > 0; end += size) {
    const until = expected[end] ?? from;
    // Some stores count in UTF-16: a cut must not part what they have in another order.
    if (!ordersAlike(until)) continue;
    ranges.push({ after: from, until });
    from = until;
  }
  return [...ranges, { after: from, until: undefined }];
}
