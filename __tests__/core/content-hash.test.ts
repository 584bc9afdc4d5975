import { describe, expect, test } from '@jest/globals';
import { bundledFolders, hasContentHash } from '../../src/core/content-hash.ts';

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
    ['a product with its number in the middle', 'wallpaper-iOS17Pro.jpg'],
    ['another one', 'wallpaper-Win11Pro.jpg'],
    ['a word in mixed case', 'theme-DarkMode.css'],
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

describe('in a folder where a framework puts nothing else, eight characters of base64url are a hash', () => {
  test.each([
    ['SvelteKit', '_app/immutable/chunks/DiwrgTda.js'],
    ['SvelteKit, with a name', 'docs/_app/immutable/nodes/0.D8wXv_3-.js'],
    ['Astro', '_astro/index.DiwrgTda.css'],
    ['Nuxt', '_nuxt/DiwrgTda.js'],
    ['Nuxt, with a name', '_nuxt/entry.CmVjjvGI.css'],
  ])('%s: %s', (_who, path) => {
    expect(hasContentHash(path)).toBe(true);
    expect(hasContentHash(path.replace(/_app|_astro|_nuxt/, 'files'))).toBe(false);
  });

  test.each([
    ['a name', '_astro/logo.svg'],
    ['a name of eight letters', '_astro/about-us.css'],
    ['a capital name of eight letters', '_astro/Homepage.css'],
    ['a list of builds', '_nuxt/builds/latest.json'],
    ['a build', '_nuxt/builds/meta/3c1c1ea5-5d1e-4d0c-8a65-6b7e6a3b9d4f.json'],
    ['a folder that only begins so', '_nuxt2/DiwrgTda.js'],
    ['a version', '_app/version.json'],
  ])('but not %s: %s', (_what, path) => {
    expect(hasContentHash(path)).toBe(false);
  });
});

describe('in a folder whose scripts and style sheets all have one', () => {
  const VITE = ['index-DiwrgTda.js', 'index-BQz5v3aF.css', 'vendor-CmVjjvGI.js', 'about-D8wXv_3-.js'];
  const site = (...more: string[]) => [
    'index.html',
    ...VITE.map((name) => `assets/${name}`),
    'assets/logo-DarkMode.svg',
    ...more,
  ];

  test('each of them counts, and their maps, but no other file', () => {
    const bundled = bundledFolders(site('assets/index-DiwrgTda.js.map'));
    expect([...bundled]).toEqual(['assets/']);
    const hashed = site('assets/index-DiwrgTda.js.map', 'app-DiwrgTda.js').filter((path) =>
      hasContentHash(path, bundled),
    );
    expect(hashed).toEqual([...VITE, 'index-DiwrgTda.js.map'].map((name) => `assets/${name}`));
  });

  test.each<[string, string[]]>([
    ['nothing', []],
    ['one file', ['assets/index-BQz5v3aF.js']],
    ['words alone', ['assets/theme-DarkMode.css', 'assets/page-HomePage.js', 'assets/card-UserCard.js']],
    ['plain names beside it', ['assets/index-BQz5v3aF.js', 'assets/main.css']],
    ['a hash in the name of another folder', ['assets/index-BQz5v3aF.js', 'assets/js/theme-DarkMode.js']],
    ['images', ['img/a-BQz5v3aF.png', 'img/b-DarkMode.png']],
  ])('which %s is not', (_what, paths) => {
    expect([...bundledFolders(paths)]).toEqual([]);
  });

  test('one plain name among ten is none, and harms none', () => {
    const names = Array.from({ length: 3 }, (_, i) => VITE.map((name) => `assets/${i}${name}`)).flat();
    const bundled = bundledFolders([...names, 'assets/legacy.js']);
    expect(names.every((path) => hasContentHash(path, bundled))).toBe(true);
    expect(hasContentHash('assets/legacy.js', bundled)).toBe(false);
  });

  test('the root of the site may be one', () => {
    expect([...bundledFolders(VITE)]).toEqual(['']);
  });
});
