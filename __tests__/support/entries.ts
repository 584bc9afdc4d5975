import fc from 'fast-check';
import type { Entry } from '../../src/core/entries.ts';

const base64url = (characters: number) => fc.stringMatching(new RegExp(`^[A-Za-z0-9_-]{${characters}}$`));
const maybe = <T>(one: fc.Arbitrary<T>) => fc.option(one, { nil: undefined });
/** Any entry of a manifest. */
export const entry: fc.Arbitrary<Entry> = fc.record({
  etag: fc.oneof(fc.stringMatching(/^[0-9a-f]{32}(-[1-9]\d{0,4})?$/), fc.stringMatching(/^[!-~]{1,200}$/)),
  content: maybe(base64url(16)),
  headers: maybe(base64url(12)),
  owned: fc.boolean(),
  staleSince: maybe(fc.integer({ min: 0, max: 999_999_999_999 })),
});
