import mime from 'mime';
import { hasContentHash } from './content-hash.ts';
import type { CacheControl, ObjectHeaders, PhaseName } from './model.ts';

const TEXT = withCharset('text/plain');
/** Names without an extension whose type is known. https://developer.apple.com/documentation/xcode/supporting-associated-domains */
const TYPES_BY_NAME = new Map([
  ['apple-app-site-association', 'application/json'],
  ['cname', TEXT],
  ['license', TEXT],
  ['readme', TEXT],
  ['_headers', TEXT],
  ['_redirects', TEXT],
]);
/** Where the registry of the `mime` package says something else than browsers expect of a site. */
const TYPES_BY_EXTENSION = new Map([
  ['js', 'text/javascript'], // RFC 9239
  ['mjs', 'text/javascript'],
  ['cjs', 'text/javascript'],
  ['ico', 'image/x-icon'],
  ['map', 'application/json'],
  ['ts', 'video/mp2t'],
]);

const PAGE = /\.x?html?$/i;
/** What is fetched by name again and again and leads to all the rest: replaced when everything it names is there. */
const SERVICE_WORKER = /(^|[/._-])(service[-_]?worker|ngsw-worker|sw)\.m?js$/i;
const MANIFEST = /(\.webmanifest|(^|\/)(manifest|asset-manifest|ngsw)\.json)$/i;
const FEED = /((^|\/)((feed|rss|atom|sitemap[\w-]*)\.(xml|json)|index\.xml)|\.(rss|atom))$/i;

export const REVALIDATE = 'public, max-age=0, must-revalidate';
export const IMMUTABLE = 'public, max-age=31536000, immutable';

/** What decides on the headers of a file. */
export interface HeaderOptions {
  readonly cacheControl: CacheControl;
  /** Later rules win, per header. */
  readonly headerRules: readonly HeaderRule[];
  /** Folders that a bundler has written, as far as the source tells: see `bundledFolders`. */
  readonly bundled?: ReadonlySet<string>;
}

/** Headers for the paths of a glob; undefined takes a header away that an earlier rule or a default set. */
export interface HeaderRule {
  readonly glob: string;
  readonly matches: (path: string) => boolean;
  readonly headers: { readonly [name in Exclude<keyof ObjectHeaders, 'metadata'>]?: string | undefined };
  readonly metadata: Readonly<Record<string, string | undefined>>;
}

/** The headers that a file is stored with. */
export function headersFor(path: string, { cacheControl, headerRules, bundled }: HeaderOptions): ObjectHeaders {
  const type = contentType(path);
  const cached = cacheControlFor(path, cacheControl, bundled);
  if (headerRules.length === 0)
    return cached === undefined ? { contentType: type } : { contentType: type, cacheControl: cached };
  const headers: Record<string, string | undefined> = { contentType: type, cacheControl: cached };
  const metadata: Record<string, string | undefined> = {};
  for (const rule of headerRules) {
    if (!rule.matches(path)) continue;
    Object.assign(headers, rule.headers);
    Object.assign(metadata, rule.metadata);
  }
  const given = withoutAbsent(headers);
  const meta = withoutAbsent(metadata);
  return {
    ...given,
    contentType: given.contentType ?? 'application/octet-stream',
    ...(Object.keys(meta).length > 0 && { metadata: meta }),
  };
}

/**
 * Whether an object that somebody else put is served as it should be. Metadata that nobody asked for is left alone: tools
 * keep their own there.
 */
export function sameHeaders(wanted: ObjectHeaders, there: ObjectHeaders): boolean {
  const { metadata: wantedMetadata = {}, ...headers } = wanted;
  const names = Object.keys({ ...headers, ...there }).filter((name) => name !== 'metadata') as (keyof typeof headers)[];
  return (
    names.every((name) => normal(name, wanted[name]) === normal(name, there[name])) &&
    Object.entries(wantedMetadata).every(([name, value]) => there.metadata?.[name] === value)
  );
}

/** `text/html;charset=UTF-8` and `text/html; charset=utf-8` are the same; a file name in Content-Disposition is not. */
function normal(name: string, value = ''): string {
  if (name === 'contentDisposition') return value;
  return value
    .toLowerCase()
    .replace(/\s*([;,=])\s*/g, '$1')
    .trim();
}

function withoutAbsent(record: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(record).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** The Content-Type of a path, with a charset for text; `application/octet-stream` where nothing tells. */
export function contentType(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1).toLowerCase();
  const dot = name.lastIndexOf('.');
  return dot < 0 ? (TYPES_BY_NAME.get(name) ?? UNKNOWN) : typeOfExtension(name.slice(dot + 1));
}

/** As they were looked up: a site has thousands of files, and a dozen extensions with a type. */
const knownTypes = new Map<string, string>();

function typeOfExtension(extension: string): string {
  const known = knownTypes.get(extension);
  if (known !== undefined) return known;
  const type = TYPES_BY_EXTENSION.get(extension) ?? mime.getType(`.${extension}`);
  if (type === null) return UNKNOWN;
  const whole = withCharset(type);
  knownTypes.set(extension, whole);
  return whole;
}

const UNKNOWN = 'application/octet-stream';

function withCharset(type: string): string {
  return isText(type) ? `${type}; charset=utf-8` : type;
}

function isText(type: string): boolean {
  return type.startsWith('text/') || type.endsWith('+xml') || type === 'application/xml';
}

/** The phase in which a file goes up: what others name first, what leads to everything last. */
export function phaseOf(path: string): PhaseName {
  if (path === 'index.html' || SERVICE_WORKER.test(path) || FEED.test(path)) return 'entry pages';
  return PAGE.test(path) || MANIFEST.test(path) ? 'pages' : 'assets';
}

function cacheControlFor(path: string, input: CacheControl, bundled?: ReadonlySet<string>): string | undefined {
  if (input.kind === 'none') return undefined;
  if (input.kind === 'all') return input.value;
  if (phaseOf(path) !== 'assets') return REVALIDATE;
  return hasContentHash(path, bundled) ? IMMUTABLE : undefined;
}
