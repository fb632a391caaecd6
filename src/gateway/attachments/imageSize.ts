/** Width and height in pixels, as a decoder would take them. */
export interface Size {
  width: number;
  height: number;
}

/** Characters of base64 that are decoded: enough for what cameras write before a JPEG's own size, and nothing to wait for. */
const HEAD = 256 * 1024;
/** Of all but JPEG, whose size may stand far behind, the first bytes have it. */
const SHORT_HEAD = 2_048;
const JPEG = "/9j/";

/** The size of a PNG, JPEG, GIF or WebP from the beginning of its base64; undefined for any other and for what is broken. */
export function imageSize(base64: string): Size | undefined {
  const head = Buffer.from(base64.slice(0, base64.startsWith(JPEG) ? HEAD : SHORT_HEAD), "base64");
  try {
    const size = sizeIn(head);
    return size && size.width > 0 && size.height > 0 ? size : undefined;
  } catch (error) {
    // It ends before its size.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function sizeIn(head: Buffer): Size | undefined {
  const start = head.toString("latin1", 0, 16);
  if (start.startsWith("\x89PNG\r\n\x1a\n")) return { width: head.readUInt32BE(16), height: head.readUInt32BE(20) };
  if (start.startsWith("GIF8")) return gifSize(head);
  if (start.startsWith("RIFF") && start.endsWith("VP8 "))
    return { width: head.readUInt16LE(26) & 0x3fff, height: head.readUInt16LE(28) & 0x3fff };
  if (start.startsWith("RIFF") && start.endsWith("VP8L")) {
    const bits = head.readUInt32LE(21);
    return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
  }
  if (start.startsWith("RIFF") && start.endsWith("VP8X")) return { width: head.readUIntLE(24, 3) + 1, height: head.readUIntLE(27, 3) + 1 };
  return start.startsWith("\xff\xd8\xff") ? jpegSize(head) : undefined;
}

/** Of the screen and of its first picture the larger: a picture may go beyond the screen, which decoders then enlarge. */
function gifSize(head: Buffer): Size | undefined {
  const [width, height, flags] = [head.readUInt16LE(6), head.readUInt16LE(8), head.readUInt8(10)];
  let at = 13 + (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0);
  while (head.readUInt8(at) === 0x21) {
    at += 2;
    for (let length = head.readUInt8(at); length > 0; length = head.readUInt8(at)) at += length + 1;
    at += 1;
  }
  if (head.readUInt8(at) !== 0x2c) return undefined;
  const [left, top] = [head.readUInt16LE(at + 1), head.readUInt16LE(at + 3)];
  return { width: Math.max(width, left + head.readUInt16LE(at + 5)), height: Math.max(height, top + head.readUInt16LE(at + 7)) };
}

/** Frame headers are C0 to CF without the tables C4, C8 and CC (ITU T.81, table B.1). */
const isFrame = (marker: number): boolean => marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;

function jpegSize(head: Buffer): Size | undefined {
  let at = 2;
  while (head.readUInt8(at) === 0xff) {
    const marker = head.readUInt8(at + 1);
    if (isFrame(marker)) return { height: head.readUInt16BE(at + 5), width: head.readUInt16BE(at + 7) };
    // Fill bytes before a marker.
    at += marker === 0xff ? 1 : 2 + head.readUInt16BE(at + 2);
  }
  return undefined;
}
