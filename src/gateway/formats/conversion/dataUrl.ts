/** What a `data:` URL holds. */
export interface Inline {
  mediaType: string;
  /** Base64. */
  data: string;
}

const DATA_URL = /^data:([\w.+-]+\/[\w.+-]+)(?:;[\w-]+=[^;,]*)*;base64,/i;

/** The content of a `data:` URL in base64; undefined for any other. The data itself is not looked at: that is the provider's. */
export function readDataUrl(url: string): Inline | undefined {
  const match = DATA_URL.exec(url.slice(0, 256));
  return match ? { mediaType: match[1]!.toLowerCase(), data: url.slice(match[0].length) } : undefined;
}

export const dataUrl = ({ mediaType, data }: Inline): string => `data:${mediaType};base64,${data}`;

/** A link that a provider may follow. */
export const isLink = (url: string): boolean => /^https?:\/\//i.test(url);
