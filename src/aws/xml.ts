const NAMED: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };

/** Text of XML as it is meant, or undefined when it holds a reference that XML does not define, or half a character. */
export function unescapeXml(text: string): string | undefined {
  if (!text.includes('&')) return text;
  let known = true;
  const plain = text.replace(
    /&(?:(lt|gt|quot|apos|amp)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}))?;?/g,
    (all, named: string | undefined, decimal: string | undefined, hex: string | undefined) => {
      const point = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal);
      if (all.endsWith(';') && named !== undefined) return NAMED[named] ?? '';
      if (all.endsWith(';') && point <= 0x10ffff) return String.fromCodePoint(point);
      known = false;
      return all;
    },
  );
  return known && plain.isWellFormed() ? plain : undefined;
}

/** The text of the first element of this name, in an answer of the service's that is no more than a few elements. */
export function elementOf(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return text === undefined ? undefined : (unescapeXml(text) ?? text);
}
