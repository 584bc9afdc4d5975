import { describe, expect, test } from '@jest/globals';
import { contentType, headersFor, IMMUTABLE, phaseOf, REVALIDATE } from '../../src/core/headers.ts';
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
