import type { Objects, Stored } from './objects.ts';
import { escapeXml } from './xml.ts';

/** A page of a listing, of either version. */
export function listPage(objects: Objects, bucket: string, query: URLSearchParams): string {
  const prefix = query.get('prefix') ?? '';
  const most = Math.min(1000, Number(query.get('max-keys') ?? 1000));
  const token = query.get('continuation-token');
  const after = token === null ? (query.get('start-after') ?? query.get('marker') ?? '') : decode(token);
  const encode = query.get('encoding-type') === 'url' ? encodeKey : (key: string) => key;
  const entries: string[] = [];
  let last = '';
  let truncated = false;
  for (const stored of objects.list(prefix, after)) {
    if (entries.length === most) {
      truncated = true;
      break;
    }
    entries.push(entryOf(stored, encode));
    last = stored.key;
  }
  const v2 = query.get('list-type') === '2';
  const next = v2
    ? `<NextContinuationToken>${Buffer.from(last).toString('base64url')}</NextContinuationToken>`
    : `<NextMarker>${escapeXml(encode(last))}</NextMarker>`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>\n',
    `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>${bucket}</Name>`,
    `<Prefix>${escapeXml(encode(prefix))}</Prefix><MaxKeys>${most}</MaxKeys>`,
    encode === encodeKey ? '<EncodingType>url</EncodingType>' : '',
    v2 ? `<KeyCount>${entries.length}</KeyCount>` : '',
    `<IsTruncated>${truncated}</IsTruncated>`,
    truncated ? next : '',
    ...entries,
    '</ListBucketResult>',
  ].join('');
}

function entryOf(stored: Stored, encode: (key: string) => string): string {
  // What the first listing makes serves all later ones: keys of our sites are the same in either encoding.
  stored.xml ??= `<Contents><Key>${escapeXml(encode(stored.key))}</Key><LastModified>${stored.lastModified.toISOString()}</LastModified><ETag>&quot;${stored.etag}&quot;</ETag><Size>${stored.size}</Size><StorageClass>STANDARD</StorageClass></Contents>`;
  return stored.xml;
}

function encodeKey(key: string): string {
  return encodeURIComponent(key).replaceAll('%2F', '/');
}

function decode(token: string): string {
  return Buffer.from(token, 'base64url').toString();
}
