import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compareKeys } from '../../src/core/key.ts';
import type { RemoteObject } from '../../src/core/model.ts';
import { ObjectIndex } from '../../src/core/object-index.ts';
import { Places } from '../../src/core/places.ts';

const key = fc.constantFrom<string[]>('a', 'b', 'c', 'd', '__proto__', 'site/a', '\uff61', '\u{1f600}');
const object: fc.Arbitrary<RemoteObject> = fc.record({
  key,
  size: fc.nat(),
  etag: fc.constantFrom('x', 'y'),
  lastModified: fc.nat(),
});

test('objects are found the same, whichever of their keys were expected, and however often they are listed', () => {
  fc.assert(
    fc.property(fc.array(fc.array(object)), fc.uniqueArray(key), fc.boolean(), (pages, expected, onlyThose) => {
      const places = new Places(expected.sort(compareKeys));
      const index = new ObjectIndex('', places, onlyThose);
      for (const page of pages) {
        const named = page.map((one) => expected.indexOf(one.key)).filter((place) => place >= 0);
        expect(index.add(page)).toEqual(named);
      }
      const listed = pages.flat().filter((one) => !onlyThose || expected.includes(one.key));
      const plainly = new Map(listed.map((one) => [one.key, one]));
      const { objects } = index;
      expect(objects.size).toBe(plainly.size);
      expect([...objects.keys()].sort()).toEqual([...plainly.keys()].sort());
      expect(new Set(objects.values())).toEqual(new Set(plainly.values()));
      for (const one of ['a', 'b', 'c', 'd', '__proto__', 'site/a', '\uff61', '\u{1f600}', 'e']) {
        expect(objects.get(one)).toBe(plainly.get(one));
        expect(objects.has(one)).toBe(plainly.has(one));
        if (expected.includes(one)) expect(index.at(expected.indexOf(one))).toBe(plainly.get(one));
      }
    }),
  );
});
