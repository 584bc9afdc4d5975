/** A workflow command as the runner understands it: `::name k=v,k=v::data`, or the old `##[name k=v;k=v]data`. */
export interface Command {
  /** Lower case; the runner compares names without regard to case. */
  name: string;
  /** By lower-case name, decoded. */
  properties: Record<string, string>;
  data: string;
}

// The order matters: `%` comes last, or `%250A` would decode twice.
const DATA = ['%0D\r', '%0A\n', '%25%'];
const PROPERTY = ['%0D\r', '%0A\n', '%3A:', '%2C,', '%25%'];
const BRACKETS = ['%3B;', '%0D\r', '%0A\n', '%5D]', '%25%'];

const decode = (text: string, escapes: string[]) =>
  escapes.reduce((done, pair) => done.replaceAll(pair.slice(0, 3), pair.slice(3)), text);

/** .NET's white space, which is not quite JavaScript's: U+0085 is in it and U+FEFF is not. */
const LEADING_BLANKS = /^[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;

/**
 * Reads one line as the runner's ActionCommand does, and answers `undefined` for ordinary text.
 * `registered` holds lower-case names: what is not in it is text, however much it looks like a command.
 */
export function parseCommand(line: string, registered: ReadonlySet<string>): Command | undefined {
  return parseColons(line.replace(LEADING_BLANKS, ''), registered) ?? parseBrackets(line, registered);
}

function parseColons(line: string, registered: ReadonlySet<string>): Command | undefined {
  const end = line.startsWith('::') ? line.indexOf('::', 2) : -1;
  if (end < 0) return undefined;
  const [name, list] = splitHead(line.slice(2, end));
  if (!registered.has(name)) return undefined;
  const properties = readProperties(list.trim().split(','), PROPERTY);
  return { name, properties, data: decode(line.slice(end + 2), DATA) };
}

/** The old form counts anywhere in the line, but only the first `##[` of it is looked at. */
function parseBrackets(line: string, registered: ReadonlySet<string>): Command | undefined {
  const start = line.indexOf('##[');
  const end = start < 0 ? -1 : line.indexOf(']', start);
  if (end < 0) return undefined;
  const [name, list] = splitHead(line.slice(start + 3, end));
  if (!registered.has(name)) return undefined;
  return { name, properties: readProperties(list.split(';'), BRACKETS), data: decode(line.slice(end + 1), BRACKETS) };
}

function splitHead(head: string): [name: string, properties: string] {
  const blank = head.indexOf(' ');
  return blank < 0 ? [head.toLowerCase(), ''] : [head.slice(0, blank).toLowerCase(), head.slice(blank + 1)];
}

function readProperties(list: string[], escapes: string[]): Record<string, string> {
  const properties: Record<string, string> = {};
  for (const property of list) {
    // Empty parts are thrown away before they are counted: `a==b` is `a` and `b`, and `a=` is no property.
    const [, name, value] = /^=*([^=]+)=+([^=].*)$/s.exec(property) ?? [];
    if (name && value) properties[name.toLowerCase()] = decode(value, escapes);
  }
  return properties;
}
