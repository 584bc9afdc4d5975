/**
 * Whether a file's name carries a hash of its content, as bundlers write it: `app.3f2a1b9c.js`, `index-BQz5v3aF.css`,
 * `chunk-XGQ2Y7TW.js`, `d41d8cd98f00b204e980.png`. A file wrongly taken for one would be stale for a year, so a doubtful
 * name is not one: words, dates, versions and UUIDs are no hashes. Eight characters of base64url, as Rollup and Vite write
 * them, look like a word in mixed case half the time (`DarkMode`, `Top10iOS`): such a name counts only in a folder where
 * nothing else can be.
 * @param bundled folders that `bundledFolders` has found.
 */
export function hasContentHash(path: string, bundled?: ReadonlySet<string>): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const hasRun = RUN.test(name);
  if (hasRun && UUID.test(name)) return false;
  const isOfBundler = HASHED_FOLDER.test(path) || (CODE.test(name) && bundled?.has(folderOf(path)));
  if (isOfBundler && isHashShaped(name)) return true;
  // Most names end here.
  if (!hasRun) return false;
  const [first = '', ...rest] = name.split(/[._-]/);
  if (rest.length === 0) return false;
  const extension = name.includes('.') ? 1 : 0;
  return (first.length >= 16 && isHash(first)) || rest.slice(0, rest.length - extension).some(isHash);
}

/**
 * The folders that a bundler has written, such as Vite's `assets`: of two scripts and style sheets or more nine in
 * ten end in what has the form of a hash, and one of them at least can be nothing else. People name one file so, not all.
 */
export function bundledFolders(paths: Iterable<string>): ReadonlySet<string> {
  const folders = new Map<string, { files: number; shaped: number; sure: number }>();
  for (const path of paths) {
    const name = path.slice(path.lastIndexOf('/') + 1);
    if (!CODE.test(name) || name.endsWith('.map')) continue;
    const folder = folders.get(folderOf(path)) ?? { files: 0, shaped: 0, sure: 0 };
    folders.set(folderOf(path), folder);
    folder.files++;
    if (isHashShaped(name)) folder.shaped++;
    if (isHashShaped(name) && hasContentHash(path)) folder.sure++;
  }
  const bundled = [...folders].filter(([, { files, shaped, sure }]) => files >= 2 && shaped >= files * 0.9 && sure > 0);
  return new Set(bundled.map(([folder]) => folder));
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1);
}

/** What SvelteKit, Astro and Nuxt serve as immutable themselves. */
const HASHED_FOLDER = /(^|\/)(_app\/immutable|_astro|_nuxt)\//;
const CODE = /\.(m?js|css)(\.map)?$/;
/** The last eight characters before the extension, behind a dash or a dot, or alone. */
const LAST_EIGHT = /(?:^|[-.])([\w-]{8})(?:\.[a-z][a-z0-9]{0,8}){1,2}$/;

/** A capital that does not begin a word, or a digit that does not end one: all but one of a hundred hashes have it. */
function isHashShaped(name: string): boolean {
  const last = LAST_EIGHT.exec(name)?.[1] ?? '';
  return /.[A-Z]/.test(last) || (/\d/.test(last) && !WORD_AND_NUMBER.test(last));
}

/** As much as a hash has at least. */
const RUN = /[0-9a-z]{8}/i;
const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/i;

/** `cafe2024`, `20240131a` and `25dec2024` are hexadecimal too, `CHAPTER2` is base 32. */
const WORD_AND_NUMBER = /^(\d+[a-z]+|[a-z]+\d+|\d+(dec|feb)\d+)$/i;
/** `iOS17Pro`, `Win11Pro`: a name, a number and what kind of it. */
const PRODUCT = /^[a-z]?[A-Z]+[a-z]*\d+[A-Z]+[a-z]*$/;

function isHash(part: string): boolean {
  if (WORD_AND_NUMBER.test(part)) return false;
  const digit = /\d/.test(part);
  if (/^[0-9a-f]{8,64}$/.test(part)) return digit && /[a-f]/.test(part);
  if (/^[A-Z2-7]{8}$/.test(part)) return digit && /[A-Z]/.test(part);
  return digit && /^[A-Za-z0-9]{8,64}$/.test(part) && looksRandom(part) && !PRODUCT.test(part);
}

/** Tells `BQz5v3aF` from `iPhone14`: random letters change between lower case, upper case and digits at every turn. */
function looksRandom(part: string): boolean {
  const runs = part.match(/[a-z]+|[A-Z]+|\d+/g) ?? [];
  return (
    runs.length >= 5 &&
    runs.every((run) => run.length <= 3 || !/[a-z]/.test(run)) &&
    /[a-z]/.test(part) &&
    /[A-Z]/.test(part)
  );
}
