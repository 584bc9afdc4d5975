import picomatch from 'picomatch';
import { DeployError } from '../errors.ts';
import { plain } from './text.ts';

/** Secrets and version control: never uploaded by accident. `spells` is what an include must spell to bring one back. */
const LEFT_OUT = [
  { glob: '**/.git', spells: '.git' },
  { glob: '**/.git/**', spells: '.git' },
  { glob: '**/.env*', spells: '.env' },
  { glob: '**/.env*/**', spells: '.env' },
  { glob: '**/.npmrc', spells: '.npmrc' },
  { glob: '**/.aws/**', spells: '.aws' },
  { glob: '**/.ssh/**', spells: '.ssh' },
  { glob: '**/*.pem', spells: '.pem' },
  { glob: '**/id_rsa*', spells: 'id_rsa' },
  { glob: '**/.DS_Store', spells: '.DS_Store' },
];

/** No other path can match any of these globs. */
const SPELLED = new RegExp(LEFT_OUT.map(({ spells }) => spells.replaceAll('.', '\\.')).join('|'), 'i');

export type Verdict = 'taken' | 'excluded' | 'left out';

/** Decides for each path of the source whether it is part of the site. */
export type SourceFilter = (path: string) => Verdict;

/**
 * Reads the inputs `include` and `exclude`: globs, one per line, relative to the source. Without `include` everything is
 * taken but the built-in list of secrets and version control files; an include brings one of those back only when it
 * spells the name (`certs/*.pem` does, `**` does not). `exclude` wins over `include`.
 * @throws DeployError INPUT_INVALID for a glob that cannot mean what it says.
 */
export function sourceFilter(include: readonly string[], exclude: readonly string[]): SourceFilter {
  const included = include.length === 0 ? () => true : globs('include', include);
  const excluded = globs('exclude', exclude);
  const leftOut = LEFT_OUT.map(({ glob, spells }) => ({
    matches: picomatch(glob, { dot: true, flags: 'si' }),
    broughtBack: globs(
      'include',
      include.filter((pattern) => pattern.toLowerCase().includes(spells.toLowerCase())),
    ),
  }));
  return (path) => {
    if (excluded(path) || !included(path)) return 'excluded';
    if (!SPELLED.test(path)) return 'taken';
    return leftOut.some(({ matches, broughtBack }) => matches(path) && !broughtBack(path)) ? 'left out' : 'taken';
  };
}

/**
 * Whether a path matches one of these globs, relative to the source or the prefix.
 * @throws DeployError INPUT_INVALID for a glob that cannot mean what it says.
 */
export function globs(input: string, patterns: readonly string[]): (path: string) => boolean {
  if (patterns.length === 0) return () => false;
  for (const pattern of patterns) {
    const problem = globProblem(pattern);
    if (problem !== undefined) {
      throw new DeployError('INPUT_INVALID', `${input}: the glob '${plain(pattern)}' ${problem}.`, {
        hint: "Globs are relative to source-dir, one per line: 'assets/**', '**/*.map'.",
      });
    }
  }
  // `s`, since a folder's name may hold a line break, and `**` must pass it.
  return picomatch([...patterns], { dot: true, flags: 's' });
}

/**
 * Globs of what is to be protected: the plain name of a folder stands for everything below it as well, since a glob that
 * protects too little cannot be mended afterwards.
 * @throws DeployError INPUT_INVALID as `globs` does.
 */
export function protectingGlobs(input: string, patterns: readonly string[]): (path: string) => boolean {
  return globs(
    input,
    patterns.flatMap((pattern) => (PLAIN_NAME.test(pattern) ? [pattern, `${pattern}/**`] : [pattern])),
  );
}

/** The last segment means nothing but itself. */
const PLAIN_NAME = /(^|\/)[^/*?[\]{}()!+@|\\]+$/;

function globProblem(pattern: string): string | undefined {
  if (pattern.length > 1000) return 'is longer than 1,000 characters';
  if (pattern.startsWith('!')) return "begins with '!': use the other one of include and exclude";
  if (pattern.startsWith('/') || pattern.startsWith('./')) return 'must not begin with a slash or a dot segment';
  if (pattern.split('/').includes('..')) return "holds '..'";
  if (pattern.endsWith('/')) return `matches no file: for a folder write '${plain(pattern)}**'`;
  return undefined;
}
