/** Width and height of a picture by its first bytes (PNG, JPEG, GIF, WebP); undefined for anything else. */
export function dimensionsOf(bytes: Buffer): { width: number; height: number } | undefined {
  if (bytes.length >= 24 && bytes.readUInt32BE(0) === 0x89504e47) return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
  if (bytes.length >= 10 && bytes.toString("latin1", 0, 3) === "GIF")
    return { width: bytes.readUInt16LE(6), height: bytes.readUInt16LE(8) };
  if (bytes.length >= 30 && bytes.toString("latin1", 8, 15) === "WEBPVP8" && bytes[15] === 0x58)
    return { width: bytes.readUIntLE(24, 3) + 1, height: bytes.readUIntLE(27, 3) + 1 };
  return bytes.length >= 4 && bytes.readUInt16BE(0) === 0xffd8 ? jpegSize(bytes) : undefined;
}

/** From the frame header, which follows any number of other segments. */
function jpegSize(bytes: Buffer): { width: number; height: number } | undefined {
  let at = 2;
  while (at + 9 < bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1]!;
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker))
      return { height: bytes.readUInt16BE(at + 5), width: bytes.readUInt16BE(at + 7) };
    at += 2 + bytes.readUInt16BE(at + 2);
  }
  return undefined;
}

const UNKNOWN = { width: 1_024, height: 1_024 };

/** The size of the picture behind a `data:` URL or a base64 text; a usual one for an address, which is not fetched. */
export function sizeOfSource(source: string): { width: number; height: number } {
  const comma = source.startsWith("data:") ? source.indexOf(",") + 1 : 0;
  if (comma === 0 && /^https?:/.test(source)) return UNKNOWN;
  return dimensionsOf(Buffer.from(source.slice(comma, comma + 65_536), "base64")) ?? UNKNOWN;
}

/**
 * What OpenAI counts for a picture: 85, and 170 for each tile of 512 pixels after it was made to fit 2048 and then 768 on its
 * shorter side; 85 alone with low detail (their guide to images and vision).
 */
export function openaiImageTokens(size: { width: number; height: number }, detail: unknown): number {
  if (detail === "low") return 85;
  const fit = Math.min(1, 2_048 / Math.max(size.width, size.height));
  const shrink = fit * Math.min(1, 768 / (Math.min(size.width, size.height) * fit));
  return 85 + 170 * Math.ceil((size.width * shrink) / 512) * Math.ceil((size.height * shrink) / 512);
}

/** What Anthropic counts for a picture: a token for 750 pixels after it was made to fit 1568 (their guide to vision). */
export function anthropicImageTokens({ width, height }: { width: number; height: number }): number {
  const fit = Math.min(1, 1_568 / Math.max(width, height));
  return Math.min(1_600, Math.ceil((width * fit * height * fit) / 750));
}
