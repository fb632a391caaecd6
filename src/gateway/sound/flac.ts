/** The header of a frame (RFC 9639, section 9.1). */
interface Frame {
  /** Counts frames where all have as many samples, else samples. */
  number: number;
  fixed: boolean;
  samples: number;
}

/** Frames are looked for from the end; one is hardly longer than this. */
const MOST_BYTES_BACK = 4 * 1024 * 1024;

function crc8(data: Buffer): number {
  let crc = 0;
  for (const byte of data) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : crc << 1;
  }
  return crc;
}

/** Samples of a frame by the four bits that say so; undefined for those that say it behind the number. */
function samplesOf(code: number): number | undefined {
  if (code === 1) return 192;
  if (code >= 2 && code <= 5) return 576 << (code - 2);
  return code >= 8 ? 256 << (code - 8) : undefined;
}

/** The header of a frame at `at`, where its check byte is right. */
function frameAt(data: Buffer, at: number): Frame | undefined {
  const first = data[at + 4];
  const code = (data[at + 2] ?? 0) >> 4;
  const rate = (data[at + 2] ?? 0) & 15;
  if (first === undefined || code === 0 || rate === 15) return undefined;
  // The number is written as UTF-8 writes characters, with up to seven bytes.
  const length = first < 0x80 ? 1 : Math.clz32(~(first << 24));
  if (length > 7 || (first >= 0x80 && length < 2) || at + 4 + length + 5 > data.length) return undefined;
  let number = first < 0x80 ? first : first & (0x7f >> length);
  for (let i = 1; i < length; i++) number = number * 64 + (data[at + 4 + i]! & 63);
  let end = at + 4 + length;
  const samples = samplesOf(code) ?? (code === 6 ? data.readUInt8(end) : data.readUInt16BE(end)) + 1;
  end += (code === 6 ? 1 : code === 7 ? 2 : 0) + (rate === 12 ? 1 : rate > 12 ? 2 : 0);
  return end < data.length && crc8(data.subarray(at, end)) === data[end]
    ? { number, fixed: (data[at + 1]! & 1) === 0, samples }
    : undefined;
}

/** How long a FLAC is, in seconds, by the numbers of its last two frames, whatever its header claims; 0 when they are not found. */
export function flacSeconds(data: Buffer): number {
  const rate = data.length > 24 ? data.readUIntBE(18, 3) >> 4 : 0;
  if (rate === 0) return 0;
  let last: Frame | undefined;
  for (let at = data.length - 6; at > Math.max(41, data.length - MOST_BYTES_BACK); at--) {
    if (data[at] !== 0xff || (data[at + 1]! & 0xfe) !== 0xf8) continue;
    const frame = frameAt(data, at);
    if (!frame) continue;
    // What looks like a header by chance is not followed by the next one.
    if (last && frame.fixed === last.fixed && last.number - frame.number === (last.fixed ? 1 : frame.samples)) {
      return (last.fixed ? last.number * frame.samples + last.samples : last.number + last.samples) / rate;
    }
    last = frame;
  }
  return 0;
}
