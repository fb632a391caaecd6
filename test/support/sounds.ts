/** Silence as 16-bit samples at 24 kHz. `claimed` is what its header says of the sound's bytes. */
export function wav(seconds: number, options: { claimed?: number } = {}): Buffer {
  const bytes = Math.round(24_000 * seconds) * 2;
  const header = Buffer.alloc(44);
  header.write("RIFF", 0);
  header.writeUInt32LE((36 + bytes) >>> 0, 4);
  header.write("WAVEfmt ", 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(24_000, 24);
  header.writeUInt32LE(48_000, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write("data", 36);
  header.writeUInt32LE(options.claimed ?? bytes, 40);
  return Buffer.concat([header, Buffer.alloc(bytes)]);
}

const FRAMES_A_SECOND = 44_100 / 1_152;

/** Frames of silence at 128 kbit/s and 44.1 kHz; with `claimedFrames` the first is a Xing header that says so many. */
export function mp3(seconds: number, options: { claimedFrames?: number } = {}): Buffer {
  const frame = Buffer.alloc(417);
  frame.set([0xff, 0xfb, 0x90, 0x64]);
  const frames = Array.from({ length: Math.round(seconds * FRAMES_A_SECOND) }, () => frame);
  if (options.claimedFrames !== undefined) {
    const xing = Buffer.from(frame);
    xing.write("Xing", 36);
    xing.writeUInt32BE(1, 40);
    xing.writeUInt32BE(options.claimedFrames, 44);
    frames.unshift(xing);
  }
  return Buffer.concat(frames);
}

function element(id: number[], body: Buffer, size?: number[]): Buffer {
  const length = Buffer.alloc(8);
  length.writeUInt32BE(0x01000000, 0);
  length.writeUInt32BE(body.length, 4);
  return Buffer.concat([Buffer.from(id), size ? Buffer.from(size) : length, body]);
}

/**
 * A recording as browsers make it: clusters at these milliseconds, two blocks in each, no sizes known beforehand, and no length, unless one is
 * claimed, in seconds.
 */
export function webm(clusters: number[], options: { claimed?: number } = {}): Buffer {
  const header = element([0x1a, 0x45, 0xdf, 0xa3], element([0x42, 0x82], Buffer.from("webm")));
  const scale = element([0x2a, 0xd7, 0xb1], Buffer.from([0x0f, 0x42, 0x40]));
  const claimed = Buffer.alloc(8);
  claimed.writeDoubleBE((options.claimed ?? 0) * 1_000);
  const info = element([0x15, 0x49, 0xa9, 0x66], Buffer.concat([scale, ...(options.claimed ? [element([0x44, 0x89], claimed)] : [])]));
  const rate = Buffer.alloc(4);
  rate.writeFloatBE(48_000);
  const audio = element([0xe1], Buffer.concat([element([0xb5], rate), element([0x9f], Buffer.from([1]))]));
  const kind = element([0x83], Buffer.from([2]));
  const track = element([0xae], Buffer.concat([element([0xd7], Buffer.from([1])), kind, element([0x86], Buffer.from("A_OPUS")), audio]));
  const tracks = element([0x16, 0x54, 0xae, 0x6b], track);
  const parts = clusters.map((at) => {
    const time = Buffer.alloc(4);
    time.writeUInt32BE(at);
    const block = (offset: number): Buffer => element([0xa3], Buffer.concat([Buffer.from([0x81, 0, offset, 0x80]), Buffer.alloc(60)]));
    return element([0x1f, 0x43, 0xb6, 0x75], Buffer.concat([element([0xe7], time), block(0), block(40)]));
  });
  return Buffer.concat([
    header,
    element([0x18, 0x53, 0x80, 0x67], Buffer.concat([info, tracks, ...parts]), [0x01, 255, 255, 255, 255, 255, 255, 255]),
  ]);
}

/** Compressed sound (µ-law, say, as 7) under the newer header of a WAV, which says that elsewhere than the older one. */
export function extensibleWav(bytes: number, kind: number, bits = 16): Buffer {
  const header = Buffer.alloc(68);
  header.write("RIFF", 0);
  header.writeUInt32LE(60 + bytes, 4);
  header.write("WAVEfmt ", 8);
  header.writeUInt32LE(40, 16);
  header.writeUInt16LE(0xfffe, 20);
  header.writeUInt16LE(2, 22);
  header.writeUInt32LE(48_000, 24);
  header.writeUInt32LE(192_000, 28);
  header.writeUInt16LE(4, 32);
  header.writeUInt16LE(bits, 34);
  header.writeUInt16LE(22, 36);
  header.writeUInt16LE(kind, 44);
  header.write("data", 60);
  header.writeUInt32LE(bytes, 64);
  return Buffer.concat([header, Buffer.alloc(bytes)]);
}

/** A page of an Ogg stream with whole packets; readers that matter here do not look at its checksum. */
function page(packets: Buffer[], options: { flags?: number; position?: number; number?: number } = {}): Buffer {
  const lacing = packets.flatMap((packet) => [...Array.from({ length: Math.floor(packet.length / 255) }, () => 255), packet.length % 255]);
  const head = Buffer.alloc(27);
  head.write("OggS", 0);
  head[5] = options.flags ?? 0;
  head.writeBigInt64LE(BigInt(options.position ?? 0), 6);
  head.writeUInt32LE(7, 14);
  head.writeUInt32LE(options.number ?? 0, 18);
  head[26] = lacing.length;
  return Buffer.concat([head, Buffer.from(lacing), ...packets]);
}

/** Speech as Opus: packets of 20 ms and 40 bytes (16 kbit/s). `claimed` is what its last page says, in seconds. */
export function opus(seconds: number, claimed = seconds): Buffer {
  const head = Buffer.alloc(19);
  head.write("OpusHead", 0);
  head.set([1, 1], 8);
  head.writeUInt32LE(48_000, 12);
  const tags = Buffer.concat([Buffer.from("OpusTags"), Buffer.alloc(8)]);
  // CELT, 20 ms, one frame.
  const packet = Buffer.alloc(40, 1);
  packet[0] = 31 << 3;
  const pages = Math.ceil(seconds);
  const sound = Array.from({ length: pages }, (_, i) =>
    page(
      Array.from({ length: 50 }, () => packet),
      { flags: i === pages - 1 ? 4 : 0, position: Math.round(((i + 1) * 48_000 * claimed) / seconds), number: i + 2 },
    ),
  );
  return Buffer.concat([page([head], { flags: 2 }), page([tags], { number: 1 }), ...sound]);
}

function crc8(data: Buffer): number {
  let crc = 0;
  for (const byte of data) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = crc & 0x80 ? ((crc << 1) ^ 7) & 0xff : crc << 1;
  }
  return crc;
}

/** Silence at 44.1 kHz as FLAC, frames of 4096 samples and 60 bytes. `claimed` is what its header says, in seconds. */
export function flac(seconds: number, claimed = seconds): Buffer {
  const info = Buffer.alloc(34);
  info.writeUInt16BE(4_096, 0);
  info.writeUInt16BE(4_096, 2);
  const samples = Math.round(claimed * 44_100);
  info.writeUIntBE((44_100 << 4) | 0, 10, 3);
  info[12]! |= 1;
  info[13] = 0xf0;
  info.writeUInt32BE(samples, 14);
  const frames = Array.from({ length: Math.round((seconds * 44_100) / 4_096) }, (_, number) => {
    const coded =
      number < 0x80
        ? [number]
        : number < 0x800
          ? [0xc0 | (number >> 6), 0x80 | (number & 63)]
          : [0xe0 | (number >> 12), 0x80 | ((number >> 6) & 63), 0x80 | (number & 63)];
    const head = Buffer.from([0xff, 0xf8, 0xc9, 0x08, ...coded]);
    return Buffer.concat([head, Buffer.from([crc8(head)]), Buffer.alloc(60)]);
  });
  return Buffer.concat([Buffer.from("fLaC"), Buffer.from([0x80, 0, 0, 34]), info, ...frames]);
}
