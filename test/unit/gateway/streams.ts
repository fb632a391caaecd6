import type { StreamReader } from "../../../src/gateway/pipeline/format.ts";

/** What came of a provider's stream. */
export interface Seen<R extends StreamReader> {
  stream: R;
  /** Everything handed on before the tail. */
  text: string;
  state: string;
  record: string | undefined;
  tail: string | undefined;
  usage: object | undefined;
}

/** Feeds these pieces to a reader as a provider would that closes afterwards. */
export function drain<R extends StreamReader>(stream: R, pieces: Buffer[]): Seen<R> {
  const out: Buffer[] = [];
  const keep = (bytes: Buffer | undefined): void => void (bytes && out.push(Buffer.from(bytes)));
  for (const piece of pieces) keep(stream.push(piece));
  keep(stream.end());
  return {
    stream,
    text: Buffer.concat(out).toString("utf8"),
    state: stream.state,
    record: stream.failure?.record,
    tail: stream.tail?.toString("utf8"),
    usage: stream.usage?.tokens,
  };
}

/** Cuts bytes at these places, which may be anything. */
export function cut(bytes: Buffer, at: number[]): Buffer[] {
  const places = [...new Set(at.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, i) => bytes.subarray(from, places[i] ?? bytes.length));
}
