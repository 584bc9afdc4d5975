/** How many at once: a number, or what it is at the moment. */
export type AtOnce = number | { readonly limit: number };

/**
 * Runs `work` for each item, at most `atOnce` at a time, in order of the items. The first that throws ends it: no further
 * item is begun, those under way are awaited, and the error is thrown.
 */
export async function eachOf<T>(items: Iterable<T>, atOnce: AtOnce, work: (item: T) => Promise<void>): Promise<void> {
  const rest = items[Symbol.iterator]();
  let failed: { error: unknown } | undefined;
  let [underWay, over] = [0, false];
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const one = async (item: T) => {
    try {
      await work(item);
    } catch (error) {
      failed ??= { error };
    }
    underWay--;
    begin();
  };
  const begin = () => {
    const most = typeof atOnce === 'number' ? atOnce : atOnce.limit;
    // With nothing under way one is begun whatever the limit: nobody else would begin what is left.
    while (!over && failed === undefined && (underWay < most || underWay === 0)) {
      const next = rest.next();
      if (next.done) over = true;
      else {
        underWay++;
        one(next.value);
      }
    }
    if (underWay === 0) end();
  };
  begin();
  await ended;
  if (failed !== undefined) throw failed.error;
}
