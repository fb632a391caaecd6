/** One track of an MP4, as far as its length goes. */
export interface Track {
  kind: string;
  /** The format of its samples, "mp4a" say. */
  format: string;
  /** What its header claims, in seconds. */
  claimed: number;
  /** What the times of its samples add up to, in seconds. */
  timed: number;
  /** How many samples it has. */
  samples: number;
  /** Of sound, as its decoder is set up; 0 when that is not said. */
  sampleRate: number;
}

interface Box {
  type: string;
  /** Of what it holds. */
  from: number;
  to: number;
}

/** More boxes than this a file is not looked through. */
const MOST_BOXES = 100_000;
const RATES = [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/** The boxes from one place to another (ISO 14496-12, section 4.2). */
function* boxes(data: Buffer, from: number, to: number): Generator<Box> {
  for (let at = from, n = 0; at + 8 <= to && n < MOST_BOXES; n++) {
    const short = data.readUInt32BE(at);
    const head = short === 1 ? 16 : 8;
    const size = short === 1 ? Number(data.readBigUInt64BE(at + 8)) : short === 0 ? to - at : short;
    if (size < head) return;
    yield { type: data.toString("latin1", at + 4, at + 8), from: at + head, to: Math.min(to, at + size) };
    at += size;
  }
}

const find = (data: Buffer, { from, to }: Omit<Box, "type">, ...[type, ...rest]: string[]): Box | undefined => {
  for (const box of boxes(data, from, to)) if (box.type === type) return rest.length > 0 ? find(data, box, ...rest) : box;
  return undefined;
};

/** Units a second and length in units; the longer form has times of 64 bits. */
function readHeader(data: Buffer, at: number): { scale: number; length: number } {
  const long = data[at] === 1;
  return long
    ? { scale: data.readUInt32BE(at + 20), length: Number(data.readBigUInt64BE(at + 24)) }
    : { scale: data.readUInt32BE(at + 12), length: data.readUInt32BE(at + 16) };
}

function sumOfTimes(data: Buffer, { from, to }: Box): { samples: number; units: number } {
  const entries = Math.min(data.readUInt32BE(from + 4), Math.floor((to - from - 8) / 8));
  let samples = 0;
  let units = 0;
  for (let i = 0; i < entries; i++) {
    const count = data.readUInt32BE(from + 8 + i * 8);
    samples += count;
    units += count * data.readUInt32BE(from + 12 + i * 8);
  }
  return { samples, units };
}

/** Where a descriptor's content begins: after its tag and length (ISO 14496-1, section 8.3.3); -1 when it is another. */
function descriptor(data: Buffer, at: number, tag: number): number {
  if (at < 0 || data[at] !== tag) return -1;
  let end = at + 1;
  while ((data[end] ?? 0) & 0x80) end += 1;
  return end + 1;
}

/** The rate in the settings of an AAC decoder: after five bits of its kind, four of the rate (ISO 14496-3, section 1.6.2.1). */
function decoderRate(data: Buffer, { from, to }: Box): number {
  const entry = data.subarray(from, to);
  const named = entry.indexOf("esds");
  const stream = descriptor(entry, named < 0 ? -1 : named + 8, 3);
  const config = descriptor(entry, stream < 0 ? -1 : stream + 3, 4);
  const at = descriptor(entry, config < 0 ? -1 : config + 13, 5);
  if (at < 0 || at + 5 > entry.length) return 0;
  const rate = ((entry[at]! & 7) << 1) | (entry[at + 1]! >> 7);
  return rate === 15 ? (entry.readUInt32BE(at + 1) >>> 7) & 0xffffff : (RATES[rate] ?? 0);
}

/** Samples of the pieces of a file that is written as it goes, by track. */
function fragments(data: Buffer): Map<number, { samples: number; units: number }> {
  const sums = new Map<number, { samples: number; units: number }>();
  for (const moof of boxes(data, 0, data.length)) {
    if (moof.type !== "moof") continue;
    for (const traf of boxes(data, moof.from, moof.to)) {
      const header = traf.type === "traf" ? find(data, traf, "tfhd") : undefined;
      if (!header) continue;
      const flags = data.readUIntBE(header.from + 1, 3);
      const id = data.readUInt32BE(header.from + 4);
      const usual = flags & 8 ? data.readUInt32BE(header.from + 8 + (flags & 1 ? 8 : 0) + (flags & 2 ? 4 : 0)) : 0;
      const sum = sums.get(id) ?? { samples: 0, units: 0 };
      for (const run of boxes(data, traf.from, traf.to)) if (run.type === "trun") addRun(data, run, usual, sum);
      sums.set(id, sum);
    }
  }
  return sums;
}

function addRun(data: Buffer, { from, to }: Box, usual: number, sum: { samples: number; units: number }): void {
  const flags = data.readUIntBE(from + 1, 3);
  const count = data.readUInt32BE(from + 4);
  const first = from + 8 + (flags & 1 ? 4 : 0) + (flags & 4 ? 4 : 0);
  const width = [0x100, 0x200, 0x400, 0x800].filter((flag) => flags & flag).length * 4;
  // What is said of each sample has to be there.
  const samples = width === 0 ? count : Math.min(count, Math.floor((to - first) / width));
  sum.samples += samples;
  if (!(flags & 0x100)) sum.units += samples * usual;
  else for (let i = 0; i < samples; i++) sum.units += data.readUInt32BE(first + i * width);
}

function readTrack(data: Buffer, trak: Box, pieces: ReturnType<typeof fragments>): Track | undefined {
  const header = find(data, trak, "mdia", "mdhd");
  const table = find(data, trak, "mdia", "minf", "stbl");
  const description = table && find(data, table, "stsd");
  const entry = description && boxes(data, description.from + 8, description.to).next().value;
  if (!header || !table || !entry) return undefined;
  const { scale, length } = readHeader(data, header.from);
  const times = find(data, table, "stts");
  const sizes = find(data, table, "stsz");
  const own = times ? sumOfTimes(data, times) : { samples: 0, units: 0 };
  const head = find(data, trak, "tkhd");
  const id = head ? data.readUInt32BE(head.from + (data[head.from] === 1 ? 20 : 12)) : 0;
  const later = pieces.get(id) ?? { samples: 0, units: 0 };
  const kind = find(data, trak, "mdia", "hdlr");
  const seconds = (units: number): number => (scale > 0 ? units / scale : 0);
  return {
    kind: kind ? data.toString("latin1", kind.from + 8, kind.from + 12) : "",
    format: entry.type,
    claimed: seconds(length),
    timed: seconds(own.units + later.units),
    samples: Math.max(own.samples, sizes ? data.readUInt32BE(sizes.from + 8) : 0) + later.samples,
    sampleRate: decoderRate(data, entry),
  };
}

/** The tracks of an MP4 or QuickTime file; none of anything else and of what is broken. */
export function mp4Tracks(data: Buffer): Track[] {
  try {
    const moov = find(data, { from: 0, to: data.length }, "moov");
    if (!moov) return [];
    const pieces = fragments(data);
    return [...boxes(data, moov.from, moov.to)].flatMap((box) => (box.type === "trak" ? (readTrack(data, box, pieces) ?? []) : []));
  } catch (error) {
    if (error instanceof RangeError) return [];
    throw error;
  }
}

/** AAC has 1024 samples of sound in each sample of the file, ALAC 4096. */
const SAMPLES: Record<string, number> = { mp4a: 1_024, alac: 4_096 };

/** How long the sound of an MP4 is, in seconds: not shorter than what is in it takes, whatever its headers claim; 0 for none. */
export function mp4SoundSeconds(data: Buffer): number {
  return mp4Tracks(data)
    .filter(({ kind }) => kind === "soun")
    .reduce((longest, { format, claimed, timed, samples, sampleRate }) => {
      const decoded = sampleRate > 0 ? (samples * (SAMPLES[format] ?? 0)) / sampleRate : 0;
      return Math.max(longest, claimed, timed, decoded);
    }, 0);
}
