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

/** A recording as browsers make it: clusters at these milliseconds, two blocks in each, no length and no sizes known beforehand. */
export function webm(clusters: number[]): Buffer {
  const header = element([0x1a, 0x45, 0xdf, 0xa3], element([0x42, 0x82], Buffer.from("webm")));
  const info = element([0x15, 0x49, 0xa9, 0x66], element([0x2a, 0xd7, 0xb1], Buffer.from([0x0f, 0x42, 0x40])));
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
