/** An event larger than this is malformed; one of 1 MB is normal. */
export const EVENT_LIMIT = 8 * 1024 * 1024;

const LF = 10;
const CR = 13;

/** The index after the last blank line in `bytes[from..to)`, or 0. A blank line ends an event: LF LF, LF CR LF or CR CR. */
export function lastBoundary(bytes: Buffer, from: number, to: number): number {
  if (to - from >= 2 && bytes[to - 1] === LF) {
    if (bytes[to - 2] === LF) return to;
    if (to - from >= 3 && bytes[to - 2] === CR && bytes[to - 3] === LF) return to;
  }
  const range = bytes.subarray(from, to);
  const after = (needle: string): number => {
    const at = range.lastIndexOf(needle, undefined, "latin1");
    return at < 0 ? 0 : from + at + needle.length;
  };
  return Math.max(after("\n\n"), after("\n\r\n"), after("\r\r"));
}

/** The index after the first blank line at or after `from`; the text ends with one. */
export function nextBoundary(text: string, from: number, hasCr: boolean): number {
  const plain = text.indexOf("\n\n", from);
  if (!hasCr) return plain < 0 ? text.length : plain + 2;
  let end = plain < 0 ? text.length : plain + 2;
  for (const needle of ["\n\r\n", "\r\r"]) {
    const at = text.indexOf(needle, from);
    if (at >= 0) end = Math.min(end, at + needle.length);
  }
  return end;
}

/** The index after the first blank line at or after `from`, which there is. */
function firstEnd(bytes: Buffer, from: number): number {
  const ends = ["\n\n", "\n\r\n", "\r\r"].map((needle) => {
    const at = bytes.indexOf(needle, from, "latin1");
    return at < 0 ? Infinity : at + needle.length;
  });
  return Math.min(...ends);
}

/**
 * Cuts a byte stream into runs of complete events. Bytes of an unfinished event are copied into one growing buffer, so that a stream
 * cut into single bytes costs no more than one cut into large pieces.
 */
export class EventCutter {
  #held: Buffer = Buffer.alloc(0);
  #length = 0;
  #started = false;

  /** Complete events up to now, or undefined. */
  push(input: Buffer): Buffer | undefined {
    let chunk = input;
    if (!this.#started && this.#length === 0) {
      this.#started = true;
      // A byte order mark at the very start is not part of the first field's name.
      if (chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf) chunk = chunk.subarray(3);
    }
    if (this.#length === 0) {
      const cut = lastBoundary(chunk, 0, chunk.length);
      if (cut === chunk.length) return cut === 0 ? undefined : chunk;
      this.#keep(chunk.subarray(cut));
      return cut === 0 ? undefined : chunk.subarray(0, cut);
    }
    const before = this.#length;
    this.#keep(chunk);
    const all = this.#held.subarray(0, this.#length);
    const cut = lastBoundary(all, Math.max(0, before - 3), all.length);
    if (cut === 0 || (all.length > EVENT_LIMIT && firstEnd(all, Math.max(0, before - 3)) > EVENT_LIMIT)) return undefined;
    this.#held = Buffer.alloc(0);
    this.#length = 0;
    if (cut < all.length) this.#keep(all.subarray(cut));
    return all.subarray(0, cut);
  }

  /** Bytes of the unfinished event, or of one that is whole but larger than {@link EVENT_LIMIT}: such a one is never handed on. */
  get pending(): number {
    return this.#length;
  }

  #keep(bytes: Buffer): void {
    const need = this.#length + bytes.length;
    if (need > this.#held.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(1_024, need, this.#held.length * 2));
      this.#held.copy(grown, 0, 0, this.#length);
      this.#held = grown;
    }
    bytes.copy(this.#held, this.#length);
    this.#length = need;
  }
}
