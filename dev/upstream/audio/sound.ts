const RATE = 24_000;
const MP3_FRAME_BYTES = 417;
const MP3_FRAMES_A_SECOND = 38.28;
const BYTES_A_SECOND = 4_000;

/** A tone as samples of 16 bits, one channel, 24 kHz. */
function pcm(seconds: number): Buffer {
  const samples = new Int16Array(Math.round(RATE * seconds));
  for (let i = 0; i < samples.length; i++) samples[i] = Math.round(3_000 * Math.sin((i * 440 * 2 * Math.PI) / RATE));
  return Buffer.from(samples.buffer);
}

function wav(seconds: number): Buffer {
  const sound = pcm(seconds);
  const header = Buffer.alloc(44);
  header.write("RIFF", 0);
  header.writeUInt32LE(36 + sound.length, 4);
  header.write("WAVEfmt ", 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(RATE, 24);
  header.writeUInt32LE(RATE * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write("data", 36);
  header.writeUInt32LE(sound.length, 40);
  return Buffer.concat([header, sound]);
}

/** Frames of silence: MPEG 1, layer 3, 128 kbit/s, 44.1 kHz. */
function mp3(seconds: number): Buffer {
  const frame = Buffer.alloc(MP3_FRAME_BYTES);
  frame.set([0xff, 0xfb, 0x90, 0x64]);
  return Buffer.concat(Array.from({ length: Math.max(1, Math.round(seconds * MP3_FRAMES_A_SECOND)) }, () => frame));
}

/** The right first bytes, and filler: nobody here plays it. */
const filler =
  (magic: string) =>
  (seconds: number): Buffer =>
    Buffer.concat([Buffer.from(magic, "latin1"), Buffer.alloc(Math.ceil(seconds * BYTES_A_SECOND), 0x55)]);

/** Formats of speech: their content type, and so many seconds of sound. */
export const FORMATS: Record<string, { type: string; make(seconds: number): Buffer }> = {
  mp3: { type: "audio/mpeg", make: mp3 },
  opus: { type: "audio/ogg", make: filler("OggS") },
  aac: { type: "audio/aac", make: filler("\xff\xf1") },
  flac: { type: "audio/flac", make: filler("fLaC") },
  wav: { type: "audio/wav", make: wav },
  pcm: { type: "audio/pcm", make: pcm },
};

/** How long an uploaded sound is: by its header if it is a WAV, else as if it had 128 kbit/s. */
export function secondsOf(bytes: Buffer): number {
  const isWav = bytes.length >= 44 && bytes.toString("latin1", 0, 4) === "RIFF";
  const rate = isWav ? bytes.readUInt32LE(28) : 0;
  return rate > 0 ? (bytes.length - 44) / rate : bytes.length / 16_000;
}
