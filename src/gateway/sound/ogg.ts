/** Samples of a frame of Opus at 48 kHz by the upper five bits of its first byte (RFC 6716, section 3.1, table 2). */
const OPUS_FRAMES = [480, 960, 1_920, 2_880, 480, 960, 1_920, 2_880, 480, 960, 1_920, 2_880, 480, 960, 480, 960].concat(
  Array.from({ length: 4 }, () => [120, 240, 480, 960]).flat(),
);
/** Header packets of a stream. */
const HEADERS: Record<string, number> = { opus: 2, vorbis: 3 };
/** Much of a Vorbis file may be short blocks; of speech never nearly all of it. */
const LEAST_OF_LONG_BLOCKS = 0.4;

interface Stream {
  kind: "opus" | "vorbis" | "other";
  headers: number;
  /** Samples, at the stream's rate. */
  samples: number;
  rate: number;
  /** Half of the longest block of Vorbis: what one packet adds at most. */
  perPacket: number;
  /** The last page's position, which the file claims. */
  position: number;
}

function openStream(packet: Buffer): Stream {
  const opus = packet.toString("latin1", 0, 8) === "OpusHead";
  const vorbis = packet.toString("latin1", 0, 7) === "\x01vorbis" && packet.length >= 30;
  const kind = opus ? "opus" : vorbis ? "vorbis" : "other";
  return {
    kind,
    headers: (HEADERS[kind] ?? 1) - 1,
    samples: 0,
    rate: vorbis ? packet.readUInt32LE(12) : 48_000,
    perPacket: vorbis ? (1 << (packet[28]! >> 4)) / 2 : 0,
    position: 0,
  };
}

/** Samples of a packet of Opus: one frame, two, or as many as its second byte says. */
function opusSamples(packet: Buffer): number {
  const code = packet[0]! & 3;
  const frames = code === 0 ? 1 : code === 3 ? (packet[1] ?? 0) & 63 : 2;
  return frames * OPUS_FRAMES[packet[0]! >> 3]!;
}

function addPacket(stream: Stream, packet: Buffer): void {
  if (stream.headers > 0) stream.headers -= 1;
  else if (stream.kind === "opus" && packet.length > 0) stream.samples += opusSamples(packet);
  else if (stream.kind === "vorbis") stream.samples += stream.perPacket;
}

/** Of Vorbis, whose packets are of two lengths, the position is believed when it can be true. */
function secondsOf({ kind, samples, rate, position }: Stream): number {
  if (rate <= 0 || kind === "other") return 0;
  const possible = kind === "vorbis" && position <= samples && position >= samples * LEAST_OF_LONG_BLOCKS;
  return (possible ? position : samples) / rate;
}

/**
 * How long the sound of an Ogg file is, in seconds, by its packets and not by the positions that its pages claim (RFC 3533); streams that
 * follow each other add up. 0 when it holds neither Opus nor Vorbis.
 */
export function oggSeconds(data: Buffer): number {
  const open = new Map<number, Stream>();
  const ended: Stream[] = [];
  for (let at = 0; at + 27 <= data.length;) {
    if (data.toString("latin1", at, at + 4) !== "OggS") {
      at = data.indexOf("OggS", at + 1);
      if (at < 0) break;
      continue;
    }
    const flags = data[at + 5]!;
    const serial = data.readUInt32LE(at + 14);
    const table = data.subarray(at + 27, at + 27 + data[at + 26]!);
    let from = at + 27 + table.length;
    // The first packet of a page may be the rest of one that was counted.
    let counted = (flags & 1) === 1;
    for (let i = 0, length = 0; i < table.length; i++) {
      length += table[i]!;
      if (table[i] === 255 && i < table.length - 1) continue;
      const packet = data.subarray(from, from + length);
      if ((flags & 2) !== 0 && !open.has(serial)) open.set(serial, openStream(packet));
      else if (!counted && open.has(serial)) addPacket(open.get(serial)!, packet);
      counted = false;
      from += length;
      length = 0;
    }
    const stream = open.get(serial);
    const position = data.readBigInt64LE(at + 6);
    if (stream && position > 0n) stream.position = Number(position);
    if (stream && (flags & 4) !== 0) {
      ended.push(stream);
      open.delete(serial);
    }
    at = from;
  }
  return [...ended, ...open.values()].reduce((sum, stream) => sum + secondsOf(stream), 0);
}
