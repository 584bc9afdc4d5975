import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { html } from '../../src/core/text.ts';
import { mask, redacted } from '../../src/report/masks.ts';
import { Secrets } from '../support/secrets.ts';

// The commands that mask would stand between the lines of the test's own output.
const write = process.stdout.write;
beforeEach(() => {
  process.stdout.write = (() => true) as typeof process.stdout.write;
});
afterEach(() => {
  process.stdout.write = write;
});

const ONE = 'IQoJb3JpZ2luX2VjE/first+token/with=signs';
const TWO = 'IQoJb3JpZ2luX2VjE/second+token/with=signs';

test('takes secrets out of a text, whole or cut off, as they are or as in a URL, also those that begin alike', () => {
  for (const secret of [ONE, TWO, 'wJalrXUtnFEMI']) mask(secret);
  expect(redacted(`a ${ONE} b ${encodeURIComponent(TWO)} c wJalrXUtnFEMI d ${TWO.slice(0, 30)}…`)).toBe(
    'a *** b *** c *** d ***…',
  );
  expect(redacted(`${ONE}${TWO}`)).toBe('******');
});

test('takes a secret out in every encoding of it, wherever in a longer value it stands, whole or cut off', () => {
  const secret = 'wJalr/XUtn"FEMI+K7_MDENG?bPx>Rf|@';
  mask(secret);
  const within = (before: string) => Buffer.concat([Buffer.from(before), Buffer.from(secret), Buffer.from('#tail')]);
  const forms = [
    ...['', 'u', 'us', 'user:'].flatMap((before) => [
      within(before).toString('base64'),
      within(before).toString('base64url'),
      within(before).toString('hex'),
      within(before).toString('hex').toUpperCase(),
    ]),
    encodeURIComponent(secret),
    encodeURIComponent(secret).replace(/%../g, (octet) => octet.toLowerCase()),
    JSON.stringify({ secret }),
    html(secret),
  ];
  const all = new Secrets();
  all.add('it', secret);
  for (const form of forms) {
    for (const text of [form, `a ${form} b`, `a ${form.slice(0, -10)}…`]) {
      expect([text, all.toldBy(text).length > 0]).toEqual([text, true]);
      expect([redacted(text), all.toldBy(redacted(text))]).toEqual([expect.stringContaining('***'), []]);
    }
  }
});

test('leaves words alone that a short secret would take out, and texts without any', () => {
  mask('deploy');
  expect(redacted('deploy to the bucket IQoJb3Jp')).toBe('deploy to the bucket IQoJb3Jp');
});
