import { parseBuffer, type IFormat } from "music-metadata";
import { flacSeconds } from "./flac.ts";
import { mp4SoundSeconds } from "./mp4.ts";
import { oggSeconds } from "./ogg.ts";
import { waveFormat, waveRate } from "./wave.ts";
import { webmSeconds } from "./webm.ts";

/** The highest bit rate of MPEG layer 3: 320 kbit/s. */
const MP3_BYTES_A_SECOND = 40_000;
/** When a file of a known kind does not say how long it is, or cannot be looked into: speech at 32 kbit/s. */
const UNKNOWN_BYTES_A_SECOND = 4_000;
/** The highest bit rate of Opus and, for two channels, of AAC and Vorbis. */
const CODED_BYTES_A_SECOND = 64_000;
/** Samples of 24 bits, two channels, 48 kHz: FLAC never takes more room than these. */
const PLAIN_BYTES_A_SECOND = 288_000;
/** The part of a WAV that titles and the like may take. */
const WAVE_OTHER = 0.1;

/** Bytes of an ID3 tag (pictures, texts) before the sound of an MP3; its length is in four bytes of seven bits. */
function tagBytes(data: Buffer): number {
  if (data.length < 10 || data.toString("latin1", 0, 3) !== "ID3") return 0;
  return 10 + ((data[6]! & 127) << 21) + ((data[7]! & 127) << 14) + ((data[8]! & 127) << 7) + (data[9]! & 127);
}

function waveSeconds(data: Buffer, claimed: number): number {
  const format = waveFormat(data);
  const bySize = data.length / (format ? waveRate(format) : UNKNOWN_BYTES_A_SECOND);
  return claimed > 0 && claimed <= bySize && claimed >= bySize * (1 - WAVE_OTHER) ? claimed : bySize;
}

/** Bytes of a second of plain samples. */
const plainRate = ({ sampleRate = 0, numberOfChannels = 0, bitsPerSample = 0 }: IFormat): number =>
  (sampleRate * numberOfChannels * bitsPerSample) / 8 || UNKNOWN_BYTES_A_SECOND;

/**
 * How long the sound in a file is, in seconds; undefined when it is no sound. What a header claims is not believed: a WAV is as long as
 * its bytes, an MP4 and an Ogg as their packets, a WebM lasts to its last block, and nothing is shorter than its bytes can be.
 */
export async function soundSeconds(data: Buffer, type: string): Promise<number | undefined> {
  const parsed = await parseBuffer(data, { mimeType: type, size: data.length }, { duration: true, skipCovers: true }).catch(
    () => undefined,
  );
  const format = parsed?.format;
  if (!format?.container || (!format.codec && !format.duration)) return undefined;
  const claimed = Number.isFinite(format.duration) ? format.duration! : 0;
  const atMost = (bytesASecond: number): number => (data.length - tagBytes(data)) / bytesASecond;
  const { container } = format;
  if (container === "WAVE") return waveSeconds(data, claimed);
  if (container === "MPEG") return Math.max(claimed, atMost(MP3_BYTES_A_SECOND));
  if (container === "FLAC") return Math.max(claimed, flacSeconds(data.subarray(tagBytes(data))), atMost(PLAIN_BYTES_A_SECOND));
  // Its frames are counted, not believed.
  if (container.startsWith("ADTS")) return Math.max(claimed, atMost(CODED_BYTES_A_SECOND));
  if (container === "AIFF") return Math.max(claimed, atMost(plainRate(format)));
  const inside = container.startsWith("EBML") ? webmSeconds(data) : container === "Ogg" ? oggSeconds(data) : mp4SoundSeconds(data);
  // Nothing that can be looked into: what it claims may be anything.
  if (!inside) return Math.max(claimed, atMost(UNKNOWN_BYTES_A_SECOND));
  return Math.max(container === "Ogg" ? inside : Math.max(claimed, inside), atMost(CODED_BYTES_A_SECOND));
}
