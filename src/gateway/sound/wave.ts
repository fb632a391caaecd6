/** What the format chunk of a WAV says (Microsoft's WAVEFORMATEX and WAVEFORMATEXTENSIBLE). */
interface WaveFormat {
  /** 1 are plain samples, 3 plain samples as fractions. */
  tag: number;
  channels: number;
  sampleRate: number;
  bits: number;
}

const EXTENSIBLE = 0xfffe;
const PLAIN = new Set([1, 3]);
/** Bits of a sample where a kind has so many: A-law and µ-law, the ADPCMs. */
const BITS: Record<number, number> = { 6: 8, 7: 8, 2: 4, 0x11: 4 };
/** GSM 6.10 has 320 samples in 65 bytes. */
const GSM = 0x31;
const GSM_BYTES_A_SAMPLE = 65 / 320;
/** Of any other kind: speech at 32 kbit/s. */
const OTHER_BYTES_A_SECOND = 4_000;

/** The format chunk of a WAV; undefined when there is none. */
export function waveFormat(data: Buffer): WaveFormat | undefined {
  for (let at = 12; at + 24 <= data.length;) {
    const size = data.readUInt32LE(at + 4);
    const from = at + 8;
    if (data.toString("latin1", at, at + 4) === "fmt ") {
      const tag = data.readUInt16LE(from);
      // Behind the newer header's tag stands what the samples are, in the first bytes of a GUID.
      const real = tag === EXTENSIBLE && size >= 26 && from + 26 <= data.length ? data.readUInt16LE(from + 24) : tag;
      return {
        tag: real,
        channels: data.readUInt16LE(from + 2),
        sampleRate: data.readUInt32LE(from + 4),
        bits: data.readUInt16LE(from + 14),
      };
    }
    at = from + size + (size & 1);
  }
  return undefined;
}

/**
 * Bytes of a second of a WAV. Of plain samples it follows from what a player goes by; what the header says besides, of the bytes of a
 * sample or of a second, players do not look at. Of compressed ones it is what their kind makes of the sample rate, else few:
 * what the header says of them is the uploader's word.
 */
export function waveRate({ tag, channels, sampleRate, bits }: WaveFormat): number {
  const samples = sampleRate * channels;
  const rate =
    PLAIN.has(tag) && bits <= 64 ? (samples * bits) / 8 : tag === GSM ? sampleRate * GSM_BYTES_A_SAMPLE : (samples * (BITS[tag] ?? 0)) / 8;
  return rate > 0 ? rate : OTHER_BYTES_A_SECOND;
}
