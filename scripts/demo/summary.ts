import { stripVTControlCharacters, styleText } from 'node:util';

/** A job summary of ours, markdown with HTML in it, as text for a terminal. What is folded stays folded. */
export function summaryText(summary: string): string {
  const unfolded = summary
    .replace(/<details><summary>(.*?)<\/summary>[\s\S]*?<\/details>/g, '▸ $1')
    .replace(/<details open><summary>(.*?)<\/summary>\s*/g, '▾ $1\n')
    .replaceAll('</details>', '');
  const blocks = unfolded.split(/(<table>[\s\S]*?<\/table>)/);
  const text = blocks.map((block) => (block.startsWith('<table>') ? tableText(block) : inlineText(block))).join('');
  return text.trim().replace(/\n{3,}/g, '\n\n');
}

/** A table with its columns in line. */
function tableText(table: string): string {
  const rows = [...table.matchAll(/<tr>(.*?)<\/tr>/g)].map(([, row = '']) =>
    [...row.matchAll(/<t([hd])>(.*?)<\/t[hd]>/g)].map(([, kind, cell = '']) =>
      kind === 'h' ? styleText('bold', inlineText(cell)) : inlineText(cell),
    ),
  );
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => widthOf(row[column] ?? '')))) ?? [];
  const pad = (cell: string, column: number) => cell + ' '.repeat((widths[column] ?? 0) - widthOf(cell));
  return rows.map((row) => row.map(pad).join('  ').trimEnd()).join('\n');
}

/** Markup within lines as style, and then the characters that were escaped. */
function inlineText(html: string): string {
  return html
    .replace(/^### (.*)$/gm, (_, text: string) => styleText('bold', text))
    .replace(/<b>(.*?)<\/b>/g, (_, text: string) => styleText('bold', text))
    .replace(/<a [^>]*>(.*?)<\/a>/g, (_, text: string) => styleText('underline', text))
    .replace(/<[^>]*>/g, '')
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)));
}

/** Columns that a text takes in a terminal: an emoji takes two. */
function widthOf(text: string): number {
  const characters = [...new Intl.Segmenter().segment(stripVTControlCharacters(text))];
  return characters.reduce((sum, { segment }) => sum + (/\p{Emoji_Presentation}|\ufe0f/u.test(segment) ? 2 : 1), 0);
}
