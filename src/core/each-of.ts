/**
 * Runs `work` for each item, at most `atOnce` at a time, in order of the items. The first that throws ends it: no further
 * item is begun, those under way are awaited, and the error is thrown.
 */
export async function eachOf<T>(items: Iterable<T>, atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const rest = items[Symbol.iterator]();
  let failed: { error: unknown } | undefined;
  const worker = async () => {
    for (let next = rest.next(); !next.done && failed === undefined; next = rest.next()) {
      try {
        await work(next.value);
      } catch (error) {
        failed ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  if (failed !== undefined) throw failed.error;
}
