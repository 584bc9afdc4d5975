import { describe, expect, test } from '@jest/globals';
import { contentType, hasContentHash, headersFor, IMMUTABLE, phaseOf, REVALIDATE } from '../../src/core/headers.ts';
import type { CacheControl } from '../../src/core/model.ts';

test.each([
  ['index.html', 'text/html; charset=utf-8'],
  ['INDEX.HTML', 'text/html; charset=utf-8'],
  ['a.xhtml', 'application/xhtml+xml; charset=utf-8'],
  ['a.css', 'text/css; charset=utf-8'],
  ['a.js', 'text/javascript; charset=utf-8'],
  ['a.mjs', 'text/javascript; charset=utf-8'],
  ['a.cjs', 'text/javascript; charset=utf-8'],
  ['a.js.map', 'application/json'],
  ['a.json', 'application/json'],
  ['site.webmanifest', 'application/manifest+json'],
  ['a.wasm', 'application/wasm'],
  ['a.svg', 'image/svg+xml; charset=utf-8'],
  ['a.avif', 'image/avif'],
  ['a.webp', 'image/webp'],
  ['favicon.ico', 'image/x-icon'],
  ['a.woff', 'font/woff'],
  ['a.woff2', 'font/woff2'],
  ['a.txt', 'text/plain; charset=utf-8'],
  ['a.md', 'text/markdown; charset=utf-8'],
  ['a.csv', 'text/csv; charset=utf-8'],
  ['a.ics', 'text/calendar; charset=utf-8'],
  ['sitemap.xml', 'application/xml; charset=utf-8'],
  ['feed.rss', 'application/rss+xml; charset=utf-8'],
  ['feed.atom', 'application/atom+xml; charset=utf-8'],
  ['a.pdf', 'application/pdf'],
  ['a.mp4', 'video/mp4'],
  ['a.m3u8', 'application/vnd.apple.mpegurl'],
  ['part.ts', 'video/mp2t'],
  ['a.tar.gz', 'application/gzip'],
  ['index.html.br', 'application/octet-stream'],
  ['.well-known/apple-app-site-association', 'application/json'],
  ['.well-known/assetlinks.json', 'application/json'],
  ['.well-known/security.txt', 'text/plain; charset=utf-8'],
  ['CNAME', 'text/plain; charset=utf-8'],
  ['LICENSE', 'text/plain; charset=utf-8'],
  ['_headers', 'text/plain; charset=utf-8'],
  ['.htaccess', 'application/octet-stream'],
  ['no-extension', 'application/octet-stream'],
  ['html', 'application/octet-stream'],
  ['a.', 'application/octet-stream'],
  ['v1.2/download', 'application/octet-stream'],
  ['html.d/json', 'application/octet-stream'],
  ['a.unheard-of', 'application/octet-stream'],
  ['a.constructor', 'application/octet-stream'],
  ['a.__proto__', 'application/octet-stream'],
  ['a.html\n', 'application/octet-stream'],
])('%j is served as %s', (path, type) => {
  expect(contentType(path)).toBe(type);
});

describe('a name carries a hash as it is written by', () => {
  test.each([
    ['webpack', 'main.3f2a1b9c.js'],
    ['webpack, 20 digits', 'main.3f2a1b9c5d6e7f8a9b0c.js'],
    ['webpack, a chunk', 'static/js/787.28cb0dcd.chunk.js'],
    ['webpack, a source map', 'main.3f2a1b9c.js.map'],
    ['webpack, a licence', 'main.3f2a1b9c.js.LICENSE.txt'],
    ['webpack, an image', 'd41d8cd98f00b204e980.png'],
    ['Vite', 'assets/index-BQz5v3aF.css'],
    ['esbuild', 'chunk-XGQ2Y7TW.js'],
    ['Angular', 'main-5XK3JQ2L.js'],
    ['Parcel', 'index.a1b2c3d4.js'],
    ['Next', 'framework-2c79e2a64abdb08b.js'],
    ['Hugo', `main.min.${'0a1b'.repeat(16)}.css`],
    ['Sprockets', `application-${'4f9e'.repeat(16)}.css`],
    ['Django', 'base.55e7cbb9ba48.css'],
    ['a build without an extension', 'blob-3f2a1b9c'],
    ['an underscore', 'logo_3f2a1b9c.svg'],
  ])('%s: %s', (_who, path) => {
    expect(hasContentHash(path)).toBe(true);
  });
});

describe('a name that only looks like it carries none, since it would be stale for a year', () => {
  test.each([
    ['no part but its name', 'index.html'],
    ['a folder with a hash', '3f2a1b9c5d6e7f8a/logo.png'],
    ['the hash alone, too short to be sure', '3f2a1b9c.js'],
    ['nothing but digits', 'report-20240131.pdf'],
    ['a time', 'build-1700000000000.js'],
    ['a date and a letter', 'photo-20240131a.jpg'],
    ['a date whose month is hexadecimal', 'x-25dec2024.jpg'],
    ['a date the other way round', 'x-2024feb01.jpg'],
    ['a word and a year', 'hero-cafe2024.jpg'],
    ['a longer word and a year', 'house-facade1990.jpg'],
    ['a hexadecimal word', 'cow-deadbeef.png'],
    ['a word', 'app.production.js'],
    ['a capital word and a number', 'book-CHAPTER2.pdf'],
    ['a capital word', 'notes-REFERENCE.pdf'],
    ['a word in 8 capitals', 'notes-ABSTRACT.pdf'],
    ['a product', 'wallpaper-iPhone14Pro.jpg'],
    ['a product with its number last', 'wallpaper-Windows11.jpg'],
    ['a product and a year', 'wallpaper-iPad2024.jpg'],
    ['a slogan', 'promo-MAX4you2.jpg'],
    ['a camel', 'app.someLongCamelCaseName2.js'],
    ['a version', 'jquery-3.7.1.min.js'],
    ['a version with a suffix', 'app-1.0.0-beta12.js'],
    ['a UUID', 'a-123e4567-e89b-12d3-a456-426614174000.png'],
    ['a UUID alone', '123e4567-e89b-12d3-a456-426614174000.png'],
    ['a size', 'banner-1920x1080.png'],
    ['a size and a density', 'banner-1920x1080@2x.png'],
    ['a hash where the extension is', 'app.3f2a1b9c'],
    ['a dotfile', '.3f2a1b9c5d6e7f8a'],
    ['seven digits', 'app.3f2a1b9.js'],
    ['more digits than any hash', `app.${'0a1b'.repeat(33)}.js`],
    ['a hash in a language that is none', 'app.3f2ä1b9c.js'],
    ['nothing', ''],
  ])('%s: %s', (_what, path) => {
    expect(hasContentHash(path)).toBe(false);
  });
});

test.each([
  ['index.html', 'entry pages'],
  ['docs/index.html', 'pages'],
  ['about.html', 'pages'],
  ['about.HTM', 'pages'],
  ['a.xhtml', 'pages'],
  ['sw.js', 'entry pages'],
  ['app/service-worker.js', 'entry pages'],
  ['serviceWorker.js', 'entry pages'],
  ['firebase-messaging-sw.js', 'entry pages'],
  ['flutter_service_worker.js', 'entry pages'],
  ['ngsw-worker.js', 'entry pages'],
  ['ngsw.json', 'pages'],
  ['feed.xml', 'entry pages'],
  ['blog/rss.xml', 'entry pages'],
  ['blog/index.xml', 'entry pages'],
  ['atom.xml', 'entry pages'],
  ['feed.json', 'entry pages'],
  ['news.rss', 'entry pages'],
  ['sitemap.xml', 'entry pages'],
  ['sitemap-0.xml', 'entry pages'],
  ['site.webmanifest', 'pages'],
  ['manifest.json', 'pages'],
  ['asset-manifest.json', 'pages'],
  ['app.js', 'assets'],
  ['answers.js', 'assets'],
  ['sw.css', 'assets'],
  ['data.json', 'assets'],
  ['a.xml', 'assets'],
  ['mysitemap.xml', 'assets'],
  ['index.html.gz', 'assets'],
  ['html', 'assets'],
  ['.well-known/security.txt', 'assets'],
])('%s goes up with the %s', (path, phase) => {
  expect(phaseOf(path)).toBe(phase);
});

describe('Cache-Control', () => {
  const served = (path: string, cacheControl: CacheControl) => headersFor(path, { cacheControl, headerRules: [] });
  const auto = { kind: 'auto' } as const;
  test.each([
    ['index.html', REVALIDATE],
    ['post.3f2a1b9c.html', REVALIDATE],
    ['sw.js', REVALIDATE],
    ['feed.xml', REVALIDATE],
    ['manifest.json', REVALIDATE],
    ['app.3f2a1b9c.js', IMMUTABLE],
    ['app.js', undefined],
    ['logo.png', undefined],
  ])('auto: of %s is %s', (path, value) => {
    expect(served(path, auto).cacheControl).toBe(value);
  });

  test('auto: no header is absent, not empty', () => {
    expect(served('a.png', auto)).toStrictEqual({ contentType: 'image/png' });
  });

  test('none: no header anywhere', () => {
    expect(served('index.html', { kind: 'none' })).toStrictEqual({ contentType: 'text/html; charset=utf-8' });
    expect(served('app.3f2a1b9c.js', { kind: 'none' })).not.toHaveProperty('cacheControl');
  });

  test('a value: for every file', () => {
    const all = { kind: 'all', value: 'no-store' } as const;
    expect(served('index.html', all).cacheControl).toBe('no-store');
    expect(served('app.3f2a1b9c.js', all).cacheControl).toBe('no-store');
    expect(served('a.png', all)).toStrictEqual({ contentType: 'image/png', cacheControl: 'no-store' });
  });
});
