import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { RemoteObject } from '../../src/core/model.ts';
import { ObjectIndex } from '../../src/core/object-index.ts';

const key = fc.constantFrom<string[]>('a', 'b', 'c', 'd', '__proto__', 'site/a');
const object: fc.Arbitrary<RemoteObject> = fc.record({
  key,
  size: fc.nat(),
  etag: fc.constantFrom('x', 'y'),
  lastModified: fc.nat(),
});

test('objects are found the same, whichever of their keys were expected, and however often they are listed', () => {
  fc.assert(
    fc.property(fc.array(fc.array(object)), fc.uniqueArray(key), fc.boolean(), (pages, expected, onlyThose) => {
      const places = new Map(expected.map((one, place) => [one, place]));
      const index = new ObjectIndex('', onlyThose ? places : undefined, places);
      for (const page of pages) index.add(page);
      const listed = pages.flat().filter((one) => !onlyThose || places.has(one.key));
      const plainly = new Map(listed.map((one) => [one.key, one]));
      const { objects } = index;
      expect(objects.size).toBe(plainly.size);
      expect([...objects.keys()].sort()).toEqual([...plainly.keys()].sort());
      expect(new Set(objects.values())).toEqual(new Set(plainly.values()));
      for (const one of ['a', 'b', 'c', 'd', '__proto__', 'site/a', 'e']) {
        expect(objects.get(one)).toBe(plainly.get(one));
        expect(objects.has(one)).toBe(plainly.has(one));
      }
    }),
  );
});
