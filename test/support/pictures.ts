import { deflateSync } from "node:zlib";

const text = (words: string): Buffer => Buffer.from(words, "latin1");

/** The beginnings of picture files of this size, as base64; no more of them than a size needs. */
export const pictures: Record<string, (width: number, height: number) => string> = {
  png(width, height) {
    const head = Buffer.alloc(33);
    head.write("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "latin1");
    head.writeUInt32BE(width, 16);
    head.writeUInt32BE(height, 20);
    return head.toString("base64");
  },
  gif(width, height) {
    const screen = text("GIF89a\x01\0\x01\0\xf0\0\0" + "\0".repeat(6));
    const comment = text("\x21\xfe\x05hello\0");
    const frame = Buffer.alloc(10);
    frame[0] = 0x2c;
    frame.writeUInt16LE(width, 5);
    frame.writeUInt16LE(height, 7);
    return Buffer.concat([screen, comment, frame]).toString("base64");
  },
  /** With a preview and a profile before its size, as cameras and editors write them. */
  jpeg(width, height) {
    const segment = (marker: number, body: Buffer): Buffer => {
      const head = Buffer.from([0xff, marker, 0, 0]);
      head.writeUInt16BE(body.length + 2, 2);
      return Buffer.concat([head, body]);
    };
    const frame = Buffer.alloc(15);
    frame[0] = 8;
    frame.writeUInt16BE(height, 1);
    frame.writeUInt16BE(width, 3);
    const preview = segment(0xe1, Buffer.concat([text("Exif\0\0\xff\xd8"), segment(0xc0, Buffer.alloc(15, 1)), Buffer.alloc(30_000)]));
    return Buffer.concat([
      text("\xff\xd8"),
      preview,
      segment(0xe2, Buffer.alloc(60_000)),
      segment(0xc4, Buffer.alloc(20)),
      segment(0xc2, frame),
    ]).toString("base64");
  },
  webpLossy(width, height) {
    const head = Buffer.alloc(30);
    head.write("RIFF\0\0\0\0WEBPVP8 ", "latin1");
    head.writeUInt16LE(width, 26);
    head.writeUInt16LE(height, 28);
    return head.toString("base64");
  },
  webpLossless(width, height) {
    const head = Buffer.alloc(30);
    head.write("RIFF\0\0\0\0WEBPVP8L", "latin1");
    head.writeUInt32LE(((width - 1) | ((height - 1) << 14)) >>> 0, 21);
    return head.toString("base64");
  },
  webpExtended(width, height) {
    const head = Buffer.alloc(30);
    head.write("RIFF\0\0\0\0WEBPVP8X", "latin1");
    head.writeUIntLE(width - 1, 24, 3);
    head.writeUIntLE(height - 1, 27, 3);
    return head.toString("base64");
  },
};

/** A PDF of so many pages, as far as they can be counted; `packed` writes them into an object stream, as newer programs do. */
export function pdf(pages: number, options: { packed?: boolean; encrypted?: boolean } = {}): Buffer {
  const objects = Array.from({ length: pages }, () => "<< /Type /Page /Parent 2 0 R /PageLabel 1 >>").join("\n");
  const tree = `<< /Type /Pages /Count ${pages} >>`;
  if (!options.packed) return text(`%PDF-1.4\n1 0 obj\n${tree}\nendobj\n${objects}\n%%EOF`);
  const stream = options.encrypted ? Buffer.alloc(200, 0x55) : deflateSync(`${tree}\n${objects}`);
  return Buffer.concat([
    text("%PDF-1.7\n5 0 obj\n<< /Type /ObjStm /N 1 /Filter /FlateDecode >>\nstream\r\n"),
    stream,
    text("\r\nendstream\nendobj\n%%EOF"),
  ]);
}

function box(type: string, ...parts: Buffer[]): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + parts.reduce((sum, part) => sum + part.length, 0));
  head.write(type, 4, "latin1");
  return Buffer.concat([head, ...parts]);
}

const words = (...values: number[]): Buffer => {
  const data = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => data.writeUInt32BE(value >>> 0, i * 4));
  return data;
};

/** An MP4 with one track, its index behind its media as cameras write it; `claimed` is what its headers say, in seconds. */
export function mp4(seconds: number, options: { kind?: "vide" | "soun"; claimed?: number; timed?: number; bytes?: number } = {}): Buffer {
  const { kind = "vide", claimed = seconds, timed = seconds, bytes = 20_000 } = options;
  const scale = 12_000;
  const [format, samples] = kind === "vide" ? ["avc1", seconds * 25] : ["mp4a", Math.round((seconds * 44_100) / 1_024)];
  // AAC-LC at 44.1 kHz, two channels.
  const esds = box(
    "esds",
    Buffer.from([0, 0, 0, 0, 3, 25, 0, 1, 0, 4, 17, 0x40, 0x15, 5, 5, 5, 0, 0, 0, 5, 0, 0, 0, 5, 5, 2, 0x12, 0x10, 6, 1, 2]),
  );
  const entry = box(format, Buffer.alloc(28), ...(kind === "soun" ? [esds] : []));
  const table = box(
    "stbl",
    box("stsd", words(0, 1), entry),
    box("stts", words(0, 1, samples, Math.round((timed * scale) / samples))),
    box("stsz", words(0, 100, samples)),
  );
  const track = box(
    "trak",
    box("tkhd", words(0, 0, 0, 1, 0, claimed, ...Array.from({ length: 15 }, () => 0))),
    box(
      "mdia",
      box("mdhd", words(0, 0, 0, scale, claimed * scale, 0)),
      box("hdlr", words(0, 0), text(kind), words(0, 0, 0)),
      box("minf", table),
    ),
  );
  const header = words(0, 0, 0, scale, claimed * scale, ...Array.from({ length: 20 }, () => 0));
  return Buffer.concat([
    box("ftyp", text("isom"), words(0), text("isom")),
    box("mdat", Buffer.alloc(bytes)),
    box("moov", box("mvhd", header), track),
  ]);
}
