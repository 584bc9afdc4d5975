/** Condition keys of a request by name in lower case; a list is a multi-valued key. */
export type Context = Record<string, string | string[] | undefined>;

/** One piece of a pattern: literal text, `*`, `?`, or the variable that stands there. */
type Piece = { text: string } | { wildcard: '*' | '?' } | { variable: string; fallback: string | undefined };

function parse(pattern: string, variables: boolean): Piece[] {
  const pieces: Piece[] = [];
  const token = variables ? /\$\{([^}]*)\}|[*?]|[^*?$]+|\$/g : /[*?]|[^*?]+/g;
  for (const [match, inside] of pattern.matchAll(token)) {
    if (match === '*' || match === '?') pieces.push({ wildcard: match });
    else if (inside === undefined || inside === '*' || inside === '?' || inside === '$') {
      // `${*}`, `${?}` and `${$}` are how a policy spells these characters themselves.
      pieces.push({ text: inside ?? match });
    } else {
      const [, name = inside, fallback] = /^([^,\s]+)\s*,\s*'([^']*)'$/.exec(inside) ?? [];
      pieces.push({ variable: name.toLowerCase(), fallback });
    }
  }
  return pieces;
}

const literal = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
const fixed = new Map<string, RegExp>();
const parsed = new Map<string, Piece[]>();

/**
 * Whether a policy's pattern matches `value`: `*` is any run of characters, slashes too, `?` is one character. With
 * `variables`, as in documents of version 2012-10-17, `${name}` stands for the value of a key, literally; a variable
 * without a value matches nothing.
 */
export function matchesPattern(
  pattern: string,
  value: string,
  { context = {}, variables = true, wildcards = true, ignoreCase = false }: PatternOptions = {},
): boolean {
  const name = `${variables}${wildcards}${ignoreCase}${pattern}`;
  const cached = fixed.get(name);
  if (cached) return cached.test(value);
  const pieces = parsed.get(name) ?? parse(pattern, variables);
  parsed.set(name, pieces);

  let source = '';
  let constant = true;
  for (const piece of pieces) {
    if ('text' in piece) source += literal(piece.text);
    else if ('wildcard' in piece) source += wildcards ? { '*': '.*', '?': '.' }[piece.wildcard] : `\\${piece.wildcard}`;
    else {
      const found = context[piece.variable] ?? piece.fallback;
      if (typeof found !== 'string') return false;
      source += literal(found);
      constant = false;
    }
  }
  const expression = new RegExp(`^${source}$`, ignoreCase ? 'isu' : 'su');
  if (constant) fixed.set(name, expression);
  return expression.test(value);
}

export interface PatternOptions {
  context?: Context;
  variables?: boolean;
  /** Off for StringEquals and its kin, which know variables but no wildcards. */
  wildcards?: boolean;
  ignoreCase?: boolean;
}
