/** What the two loops of PUTs have in common. */

/**
 * Buffers of different content, one after another.
 * @param {number} bytes
 */
export function makeBuffers(bytes) {
  const buffers = Array.from({ length: 64 }, (_, nth) => Buffer.alloc(bytes, `object ${nth}\n`));
  let next = 0;
  return () => /** @type {Buffer} */ (buffers[next++ % buffers.length]);
}

/**
 * Puts so many keys, a tenth of them before it counts, so that neither start nor compilation is in it; prints and exits.
 * @param {number} number
 * @param {(keys: Iterable<string>) => Promise<unknown>} put
 */
export async function measurePuts(number, put) {
  const keys = Array.from({ length: number }, (_, nth) => `section-${nth % 50}/page-${nth}.html`);
  const warm = Math.floor(number / 10);
  await put(keys.slice(0, warm));
  const before = process.cpuUsage();
  await put(keys.slice(warm));
  const { user, system } = process.cpuUsage(before);
  process.stdout.write(String((user + system) / (number - warm)), () => process.exit());
}
