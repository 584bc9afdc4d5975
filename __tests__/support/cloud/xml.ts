import { XMLParser, XMLValidator } from 'fast-xml-parser';

/** Content of an element: text, nothing, children by tag, or a list that repeats the tag. */
export type XmlContent = string | number | boolean | undefined | XmlContent[] | { [tag: string]: XmlContent };

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Control characters become references, which XML 1.0 forbids and S3 sends all the same. */
const escapeXml = (text: string) =>
  text.replace(/[&<>"]/g, (c) => ENTITIES[c]!).replace(/[\x00-\x1f]/g, (c) => `&#x${c.charCodeAt(0).toString(16)};`);

function element(tag: string, content: XmlContent): string {
  if (content === undefined) return '';
  if (Array.isArray(content)) return content.map((one) => element(tag, one)).join('');
  const inner =
    typeof content === 'object'
      ? Object.entries(content)
          .map(([name, child]) => element(name, child))
          .join('')
      : escapeXml(String(content));
  return `<${tag}>${inner}</${tag}>`;
}

/** A whole document; `namespace` goes on the root. */
export function xml(root: string, content: XmlContent, namespace?: string): string {
  const body = element(root, content);
  const open = namespace ? `<${root} xmlns="${namespace}">${body.slice(root.length + 2)}` : body;
  return `<?xml version="1.0" encoding="UTF-8"?>\n${open}`;
}

export const S3_NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';

// Entities are decoded below: the parser's own decoding stops after a thousand of them.
const parser = new XMLParser({
  ignoreAttributes: true,
  parseTagValue: false,
  trimValues: false,
  processEntities: false,
});

function unescapeXml(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(amp|lt|gt|quot|apos));/gi, (_, hex, decimal, name) => {
    if (name) return { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }[name as 'amp']!;
    return String.fromCodePoint(hex ? Number.parseInt(hex, 16) : Number(decimal));
  });
}

export type XmlElement = { [tag: string]: XmlElement | XmlElement[] | string | string[] | undefined };

/**
 * The root element of `text`, or undefined when it is no XML with this root. What XML 1.0 cannot hold, raw control
 * characters above all, makes it malformed, as it does for S3.
 */
export function parseXml(text: string, root: string): XmlElement | undefined {
  if (/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.test(text)) return undefined;
  if (/&#x(?:[0-8bcef]|1[0-9a-f]);/i.test(text) || XMLValidator.validate(text) !== true) return undefined;
  const document = parser.parse(text) as XmlElement;
  const content = document[root];
  return content === undefined ? undefined : typeof content === 'string' ? {} : (content as XmlElement);
}

/** The children of this tag, none, one or many. */
export function children(parent: XmlElement, tag: string): XmlElement[] {
  const found = parent[tag];
  if (found === undefined) return [];
  return (Array.isArray(found) ? found : [found]).map((one) => (typeof one === 'string' ? {} : one));
}

/** The text of a child, decoded; undefined when there is none. */
export function childText(parent: XmlElement, tag: string): string | undefined {
  const found = parent[tag];
  return typeof found === 'string' ? unescapeXml(found) : undefined;
}
