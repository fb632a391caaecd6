const CLUSTER = Buffer.from([0x1f, 0x43, 0xb6, 0x75]);
const TIMECODE = 0xe7;
const SIMPLE_BLOCK = 0xa3;
const BLOCK_GROUP = 0xa0;
/** Blocks of one cluster that are looked at; a cluster has a few seconds. */
const MOST_BLOCKS = 100_000;

/** A number of EBML at `at`: its length is in the first byte's leading zeros. */
function vint(data: Buffer, at: number, keepMarker: boolean): { value: number; length: number } | undefined {
  const first = data[at];
  if (first === undefined || first === 0) return undefined;
  const length = Math.clz32(first) - 23;
  if (at + length > data.length) return undefined;
  let value = keepMarker ? first : first & (0xff >> length);
  for (let i = 1; i < length; i++) value = value * 256 + data[at + i]!;
  return { value, length };
}

/**
 * The time of the last block of a WebM, in seconds: browsers record without a length in the header. Undefined when there is no cluster.
 * Times are taken for milliseconds, as every recorder writes them (https://www.matroska.org/technical/elements.html).
 */
export function webmSeconds(data: Buffer): number | undefined {
  const start = data.lastIndexOf(CLUSTER);
  const size = start < 0 ? undefined : vint(data, start + CLUSTER.length, false);
  if (!size) return undefined;
  let at = start + CLUSTER.length + size.length;
  let base: number | undefined;
  let last = 0;
  for (let i = 0; i < MOST_BLOCKS && at < data.length; i++) {
    const id = vint(data, at, true);
    const length = id && vint(data, at + id.length, false);
    if (!length) break;
    const body = at + id.length + length.length;
    if (id.value === TIMECODE && body + length.value <= data.length) base = data.readUIntBE(body, Math.min(6, length.value));
    const track = id.value === SIMPLE_BLOCK ? vint(data, body, false) : undefined;
    if (track && body + track.length + 2 <= data.length) last = Math.max(last, data.readInt16BE(body + track.length));
    // A group holds its block; one step goes in, the others over.
    at = id.value === BLOCK_GROUP ? body : body + length.value;
  }
  return base === undefined ? undefined : (base + last) / 1_000;
}
