import { parseBuffer, type IFormat } from "music-metadata";
import { webmSeconds } from "./webm.ts";

/** The highest bit rate of MPEG layer 3: 320 kbit/s. */
const MP3_BYTES_A_SECOND = 40_000;
/** When a file of a known kind does not say how long it is: speech at 32 kbit/s. */
const UNKNOWN_BYTES_A_SECOND = 4_000;
/** Kinds of WAV that hold plain samples; the last is the newer header. */
const PLAIN = new Set(["PCM", "IEEE_FLOAT", "non-PCM (65534)"]);
/** The part of a WAV that titles and the like may take. */
const WAVE_OTHER = 0.1;

/** Bytes of an ID3 tag (pictures, texts) before the sound of an MP3; its length is in four bytes of seven bits. */
function tagBytes(data: Buffer): number {
  if (data.length < 10 || data.toString("latin1", 0, 3) !== "ID3") return 0;
  return 10 + ((data[6]! & 127) << 21) + ((data[7]! & 127) << 14) + ((data[8]! & 127) << 7) + (data[9]! & 127);
}

/**
 * Bytes of a second of a WAV. Of plain samples it follows from what a player goes by; what the header says besides, of the bytes of a
 * sample or of a second, players do not look at. Of compressed ones it is what the header says, but no more than the best MP3 has.
 */
function waveRate({ codec, sampleRate = 0, numberOfChannels = 0, bitsPerSample = 0, bitrate }: IFormat): number {
  const samples = (sampleRate * numberOfChannels * bitsPerSample) / 8;
  if (samples > 0 && bitsPerSample <= 64 && PLAIN.has(codec ?? "")) return samples;
  return bitrate ? Math.min(bitrate / 8, MP3_BYTES_A_SECOND) : UNKNOWN_BYTES_A_SECOND;
}

/**
 * How long the sound in a file is, in seconds; undefined when it is no sound. What a header claims is not believed against the size: a
 * WAV is as long as its bytes, an MP3 not shorter than they can be.
 */
export async function soundSeconds(data: Buffer, type: string): Promise<number | undefined> {
  const parsed = await parseBuffer(data, { mimeType: type, size: data.length }, { duration: true, skipCovers: true }).catch(
    () => undefined,
  );
  const format = parsed?.format;
  if (!format?.container || (!format.codec && !format.duration)) return undefined;
  const claimed = Number.isFinite(format.duration) ? format.duration! : undefined;
  switch (format.container) {
    case "WAVE": {
      const bySize = data.length / waveRate(format);
      return claimed && claimed <= bySize && claimed >= bySize * (1 - WAVE_OTHER) ? claimed : bySize;
    }
    case "MPEG":
      return Math.max(claimed ?? 0, (data.length - tagBytes(data)) / MP3_BYTES_A_SECOND);
    case "EBML/webm":
    case "EBML/matroska":
      return claimed ?? webmSeconds(data) ?? data.length / UNKNOWN_BYTES_A_SECOND;
    default:
      return claimed ?? data.length / UNKNOWN_BYTES_A_SECOND;
  }
}
