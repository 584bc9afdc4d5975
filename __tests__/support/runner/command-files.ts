/**
 * Reads a GITHUB_OUTPUT, GITHUB_ENV or GITHUB_STATE file as the runner does: `name=value` lines, and
 * `name<<delimiter` … `delimiter` for values of several lines. A later value of a name wins.
 *
 * @throws when the runner would fail the step: no name, a delimiter that never comes back, a line that is neither form
 */
export function parseCommandFile(text: string): Record<string, string> {
  const values: Record<string, string> = {};
  const lines = text.split('\n');
  // The piece after the last line feed is a line only if there is something in it.
  if (lines.at(-1) === '') lines.pop();
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index]!;
    if (line === '') continue;
    const equals = line.indexOf('=');
    const heredoc = line.indexOf('<<');
    if (equals >= 0 && (heredoc < 0 || equals < heredoc)) {
      values[line.slice(0, equals)] = line.slice(equals + 1);
      continue;
    }
    const name = line.slice(0, Math.max(0, heredoc));
    const delimiter = line.slice(heredoc + 2);
    if (heredoc < 0) throw new Error(`Invalid format '${line}'`);
    if (name === '' || delimiter === '') {
      throw new Error(`Invalid format '${line}'. Name must not be empty and delimiter must not be empty`);
    }
    const end = lines.indexOf(delimiter, index + 1);
    if (end < 0) throw new Error(`Invalid value. Matching delimiter not found '${delimiter}'`);
    values[name] = lines.slice(index + 1, end).join('\n');
    index = end;
  }
  return values;
}
