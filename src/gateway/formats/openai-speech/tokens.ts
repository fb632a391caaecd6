/** A speaker says about so many letters a second, of scripts with a sign for a syllable or a word fewer. */
const LETTERS_A_SECOND = 15;
const SIGNS_A_SECOND = 5;
/** Output tokens of a second of sound: 0.015 dollars a minute at 12 dollars a million (https://platform.openai.com/docs/pricing). */
const TOKENS_A_SECOND = 1_250 / 60;
/** Bytes of a second of sound at the vendor's rates. */
const BYTES_A_SECOND: Record<string, number> = { mp3: 20_000, opus: 8_000, aac: 16_000, flac: 30_000, wav: 48_000, pcm: 48_000 };

/** Unicode code points: what the vendor calls characters. */
export function charactersOf(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** Output tokens of this text spoken at this speed. */
export function tokensOfSpeech(text: string, speed: number): number {
  let seconds = 0;
  for (const sign of text) seconds += sign.codePointAt(0)! < 0x2e80 ? 1 / LETTERS_A_SECOND : 1 / SIGNS_A_SECOND;
  return Math.ceil((seconds / speed) * TOKENS_A_SECOND);
}

/** Output tokens of so many bytes of sound. */
export const tokensOfSound = (bytes: number, format: string): number =>
  Math.ceil((bytes / (BYTES_A_SECOND[format] ?? BYTES_A_SECOND["mp3"]!)) * TOKENS_A_SECOND);
