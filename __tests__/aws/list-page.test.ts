import { PassThrough } from 'node:stream';
import { ListObjectsV2Command, type ListObjectsV2CommandOutput, S3Client } from '@aws-sdk/client-s3';
import { describe, expect, test } from '@jest/globals';
import { HttpResponse } from '@smithy/core/protocols';
import fc from 'fast-check';
import { type Listed, readFast, scanPage } from '../../src/aws/list-page.ts';
import { unescapeXml } from '../../src/aws/xml.ts';

/** What the SDK's client makes of a page that comes over the wire in pieces. */
async function read(xml: string | Buffer, plain: boolean, pieces = 1) {
  const whole = Buffer.from(xml);
  const handle = async () => {
    const body = new PassThrough();
    const size = Math.ceil(whole.length / pieces) || 1;
    for (let at = 0; at < whole.length; at += size) body.write(whole.subarray(at, at + size));
    body.end();
    return { response: new HttpResponse({ statusCode: 200, headers: { 'content-type': 'application/xml' }, body }) };
  };
  const s3 = new S3Client({
    region: 'eu-central-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    maxAttempts: 1,
    requestHandler: { handle, updateHttpClientConfig: () => undefined, httpHandlerConfigs: () => ({}) },
  });
  const command = new ListObjectsV2Command({ Bucket: 'site' });
  const { objectsOf } = readFast(command, plain);
  const { $metadata: _, Contents, ...page } = await s3.send(command);
  return { page, objects: objectsOf({ Contents, $metadata: {} }).map((one) => ({ ...one })) };
}

/** Both ways, which must be one: the page, or a refusal of both. */
async function readBoth(xml: string | Buffer, pieces?: number) {
  const [fast, plain] = await Promise.all(
    [false, true].map((way) => read(xml, way, pieces).catch((error: Error) => ({ refused: error.name }))),
  );
  expect(fast).toEqual(plain);
  return fast as { page: Partial<ListObjectsV2CommandOutput>; objects: Listed[] } | { refused: string };
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const element = (name: string, content: string) => `<${name}>${content}</${name}>`;
const pageOf = (contents: string, head = '<IsTruncated>false</IsTruncated>') =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>site</Name><Prefix></Prefix><KeyCount>1</KeyCount><MaxKeys>1000</MaxKeys>${head}${contents}</ListBucketResult>`;
const KEY = '<Key>a</Key>';
const REST =
  '<LastModified>2026-11-21T23:24:13.000Z</LastModified><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>7</Size><StorageClass>STANDARD</StorageClass>';
const contents = (inner: string) => element('Contents', inner);
const OBJECT = contents(KEY + REST);

describe('a page of a listing is read as the SDK reads it', () => {
  test('that S3 sends', async () => {
    const read = await readBoth(pageOf(OBJECT + contents(`<Key>b+c%C3%A9</Key>${REST}`)));
    expect(read).toMatchObject({ page: { Name: 'site', IsTruncated: false, KeyCount: 1 } });
    expect(read).toHaveProperty('objects.1', {
      key: 'b+c%C3%A9',
      size: 7,
      etag: 'd41d8cd98f00b204e9800998ecf8427e',
      lastModified: Date.parse('2026-11-21T23:24:13Z'),
    });
    expect(scanPage(Buffer.from(pageOf(OBJECT)))?.objects).toHaveLength(1);
  });

  test.each([
    ['none', pageOf('')],
    ['an owner', pageOf(contents(`${KEY}${REST}<Owner><ID>1</ID><DisplayName>x</DisplayName></Owner>`))],
    ['an owner without members', pageOf(contents(`<Owner></Owner>${KEY}${REST}`))],
    ['checksums', pageOf(contents(`${KEY}<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>${REST}`))],
    [
      'checksums of two kinds',
      pageOf(
        contents(
          `${KEY}<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumAlgorithm>SHA1</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>${REST}`,
        ),
      ),
    ],
    [
      'a restored object',
      pageOf(
        contents(
          `${KEY}${REST}<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress><RestoreExpiryDate>2026-12-01T00:00:00.000Z</RestoreExpiryDate></RestoreStatus>`,
        ),
      ),
    ],
    ['members that nobody knows', pageOf(contents(`<X-Y>1</X-Y>${KEY}${REST}<Z/>`))],
    ['common prefixes', pageOf(`${OBJECT}<CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes>`)],
    ['a token after the objects', pageOf(`${OBJECT}<NextContinuationToken>1a==</NextContinuationToken>`)],
    ['objects before the rest', `<ListBucketResult>${OBJECT}<Name>site</Name></ListBucketResult>`],
    ['attributes', pageOf(`<Contents a="b">${KEY}${REST}</Contents>`)],
    ['a key with attributes', pageOf(contents(`<Key a="b">a</Key>${REST}`))],
    ['blanks in tags', pageOf(`<Contents >${KEY}${REST}</Contents >`)],
    ['indents', pageOf(`\n  <Contents>\n    ${KEY}\n    ${REST}\n  </Contents>\n`)],
    ['lines that end as on Windows', pageOf(contents(`<Key>a\r\nb</Key>${REST}`))],
    ['a blank at the end', `${pageOf(OBJECT)}\n `],
    ['a comment', pageOf(contents(`<!-- ${KEY} -->${KEY}${REST}`))],
    ['a comment between objects', pageOf(`${OBJECT}<!-- ${OBJECT} -->${OBJECT}`)],
    ['CDATA', pageOf(contents(`<Key><![CDATA[<Contents>&amp;]]></Key>${REST}`))],
    ['a processing instruction', pageOf(contents(`${KEY}<?php echo ?>${REST}`))],
    ['a document type', pageOf(OBJECT).replace('?>', '?><!DOCTYPE x>')],
    ['a prefix of the namespace', pageOf(`<s3:Contents>${KEY}${REST}</s3:Contents>`)],
    ['prefixes on all', pageOf(`<s:Contents><s:Key>a</s:Key></s:Contents>`)],
    ['entities', pageOf(contents(`<Key>&lt;a&gt; &amp;amp; &quot;&apos;</Key>${REST}`))],
    ['numeric references', pageOf(contents(`<Key>&#65;&#x42;&#10;&#xe9;&#x20AC;</Key>${REST}`))],
    ['a character in two references', pageOf(contents(`<Key>&#xD83D;&#xDE00;</Key>${REST}`))],
    ['half a character', pageOf(contents(`<Key>a&#xD83D;b</Key>${REST}`))],
    ['an entity that nobody knows', pageOf(contents(`<Key>&nbsp;a</Key>${REST}`))],
    ['a bare ampersand', pageOf(contents(`<Key>a&b</Key>${REST}`))],
    ['a key that looks like XML', pageOf(contents(`<Key>${escaped('</Key><Contents>')}</Key>${REST}`))],
    ['a key that looks like a property', pageOf(contents(`<Key>__proto__</Key>${REST}`))],
    ['a key of blanks', pageOf(contents(`<Key>  </Key>${REST}`))],
    ['an empty key', pageOf(contents(`<Key></Key>${REST}`))],
    ['no key', pageOf(contents(REST))],
    ['two keys', pageOf(contents(`${KEY}<Key>b</Key>${REST}`))],
    ['a key in a key', pageOf(contents(`<Key><Key>b</Key></Key>${REST}`))],
    ['a key within another member', pageOf(contents(`<Owner><Key>b</Key></Owner>${KEY}${REST}`))],
    ['text beside the members', pageOf(contents(`x${KEY}${REST}`))],
    ['objects in objects', pageOf(contents(`${KEY}${OBJECT}${REST}`))],
    ['an object without an end', pageOf(`<Contents>${KEY}${REST}`)],
    ['an end without an object', pageOf(`${KEY}${REST}</Contents>`)],
    ['an empty object', pageOf('<Contents/>')],
    ['an object without members', pageOf('<Contents></Contents>')],
    ['no size, no ETag, no time', pageOf(contents(KEY))],
    ['an empty size', pageOf(contents(`${KEY}<Size></Size>`))],
    ['a size with a sign', pageOf(contents(`${KEY}<Size>+7</Size>`))],
    ['a size that is none', pageOf(contents(`${KEY}<Size>7e1</Size>`))],
    ['a size of five terabytes', pageOf(contents(`${KEY}<Size>5497558138880</Size>`))],
    ['a size that no number holds', pageOf(contents(`${KEY}<Size>99999999999999999999</Size>`))],
    ['a time without milliseconds', pageOf(contents(`${KEY}<LastModified>2026-11-21T23:24:13Z</LastModified>`))],
    ['a time with nine digits', pageOf(contents(`${KEY}<LastModified>2026-11-21T23:24:13.987654321Z</LastModified>`))],
    ['a time with an offset', pageOf(contents(`${KEY}<LastModified>2026-11-21T23:24:13+01:00</LastModified>`))],
    ['a time that is none', pageOf(contents(`${KEY}<LastModified>2026-13-41T25:61:61Z</LastModified>`))],
    ['a leap second', pageOf(contents(`${KEY}<LastModified>2026-06-30T23:59:60Z</LastModified>`))],
    ['a time in another form', pageOf(contents(`${KEY}<LastModified>Sat, 21 Nov 2026 23:24:13 GMT</LastModified>`))],
    ['another root', pageOf(OBJECT).replaceAll('ListBucketResult', 'ListVersionsResult')],
    ['an error with 200', '<Error><Code>InternalError</Code><Message>We encountered an error</Message></Error>'],
    ['a web page', '<html><body>Welcome</body></html>'],
    ['nothing', ''],
    ['bytes that are not UTF-8', Buffer.concat([Buffer.from(pageOf(OBJECT)), Buffer.from([0xff, 0xc3])])],
  ])('with %s', async (_what, xml) => {
    await readBoth(xml);
  });

  test('in whatever pieces it comes', async () => {
    const xml = pageOf(contents(`<Key>caf\u00e9 \u{1f600}</Key>${REST}`));
    for (const pieces of [2, 3, 7, Buffer.byteLength(xml)]) {
      expect(await readBoth(xml, pieces)).toHaveProperty('objects.0.key', 'caf\u00e9 \u{1f600}');
    }
  });
});

describe('a page that is cut off', () => {
  test('anywhere is never taken for a whole one', async () => {
    const xml = pageOf(OBJECT + contents(`<Key>b</Key>${REST}`));
    expect(await read(xml.slice(0, 0), false)).toEqual({ page: {}, objects: [] }); // a listing must have a name
    for (let end = 1; end < xml.length; end++) {
      expect(scanPage(Buffer.from(xml.slice(0, end)))).toBeUndefined();
      await expect(read(xml.slice(0, end), false)).rejects.toThrow();
    }
  });
});

describe('whatever a listing holds', () => {
  const text = fc.string({ unit: 'binary', maxLength: 12 }).filter((one) => one.isWellFormed() && !/[\r\n]/.test(one));
  const key = text.filter((one) => one !== '').map((one) => element('Key', escaped(one)));
  const etag = text.map((one) => element('ETag', escaped(one)));
  const size = fc.integer({ min: 0, max: 5 * 1024 ** 4 }).map((one) => element('Size', String(one)));
  const time = fc
    .date({ min: new Date('1990-01-01'), max: new Date('2090-01-01'), noInvalidDate: true })
    .map((one) => element('LastModified', one.toISOString()));
  const more = fc.subarray([
    '<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>',
    '<ChecksumType>COMPOSITE</ChecksumType>',
    '<Owner><ID>1</ID><DisplayName></DisplayName></Owner>',
    '<StorageClass>GLACIER</StorageClass>',
    '<X></X>',
  ]);
  const shuffled = fc
    .tuple(key, etag, size, time, more)
    .chain(([a, b, c, d, rest]) => fc.shuffledSubarray([a, b, c, d, ...rest], { minLength: 4 + rest.length }))
    .map((members) => contents(members.join('')));
  /** In the order of AWS. */
  const usual = fc
    .tuple(key, time, text, more, size)
    .map(([a, b, c, rest, d]) =>
      contents([a, b, element('ETag', `&quot;${escaped(c)}&quot;`), ...rest.slice(0, 2), d, ...rest.slice(2)].join('')),
    );
  const object = fc.oneof(usual, shuffled);
  const page = fc.array(object, { minLength: 1, maxLength: 5 }).map((objects) => pageOf(objects.join('')));

  test('is read alike, and without the SDK where it has the form of S3', async () => {
    await fc.assert(
      fc.asyncProperty(page, async (xml) => {
        expect(scanPage(Buffer.from(xml))).toBeDefined();
        await readBoth(xml);
      }),
    );
  });

  test('is read alike with something in it changed, or left to the SDK', async () => {
    const pieces = ['<', '>', '/', '&', ';', '&#', '"', ' ', '\n', '<!--', '-->', '<![CDATA[', ']]>', 'Contents', KEY];
    const change = fc.tuple(
      fc.nat(),
      fc.nat({ max: 9 }),
      fc.constantFrom('', ...pieces, OBJECT, '<Contents>', '</Contents>'),
    );
    await fc.assert(
      fc.asyncProperty(page, change, async (xml, [place, length, text]) => {
        const at = place % xml.length;
        const changed = xml.slice(0, at) + text + xml.slice(at + length);
        const plain = await read(changed, true).catch(() => undefined);
        const fast = await read(changed, false).catch(() => undefined);
        // The SDK refuses values of members that nobody looks at, such as a storage class that comes twice.
        if (plain !== undefined || scanPage(Buffer.from(changed)) === undefined) expect(fast).toEqual(plain);
      }),
      { numRuns: 200 },
    );
  });
});

describe('text of XML', () => {
  test('is what it stands for', () => {
    expect(unescapeXml('a &lt;&gt;&quot;&apos;&amp;&#65;&#x1F600; b')).toBe('a <>"\'&A\u{1f600} b');
    expect(unescapeXml('&amp;lt;')).toBe('&lt;');
  });

  test.each(['&', '&;', '&nbsp;', '&lt', '&#;', '&#x;', '&#x110000;', '&#99999999;', '&#-1;', '&#xD800;', '&LT;'])(
    'with %s means nothing',
    (text) => {
      expect(unescapeXml(`a${text}b`)).toBeUndefined();
    },
  );
});
