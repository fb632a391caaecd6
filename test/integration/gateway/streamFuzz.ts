import type { Behaviour } from "./rawUpstream.ts";
import { LAST_PIECE, piece, STREAM_HEAD } from "./rawUpstream.ts";

/** What was done to the bytes of a stream, as far as it decides what has to come of it. */
export type Harm = "none" | "cut short" | "unreadable" | "unknown";

/** One stream of a provider, spoiled. */
export interface FuzzedStream {
  bytes: Buffer;
  /** Where it is cut into pieces. */
  cuts: number[];
  /** The provider resets the connection in place of ending the body. */
  breaks: boolean;
  harm: Harm;
}

export type Random = () => number;

/** The generator mulberry32: small, and the same everywhere for one seed. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const below = (random: Random, limit: number): number => Math.floor(random() * limit);
const pick = <T>(random: Random, from: readonly T[]): T => from[below(random, from.length)]!;

/** What stands between events without meaning anything. */
const COMMENTS = [": keep-alive\n\n", ":\n\n"];
/** Bytes that mean something to one layer or another. */
const SHARP = [
  "\n",
  "\r",
  "\r\n\r\n",
  "\n\n",
  ":",
  "data:",
  '"',
  "{",
  "}",
  "\\",
  "[DONE]",
  "\0",
  "\u00ff",
  "null",
  ',"error":{}',
  '"usage":{',
];

/** The same answer in other bytes: line ends, comments, text that is said twice. */
function harmless(random: Random, events: readonly string[], said: string): Buffer {
  const out = events.flatMap((event, i) => {
    const twice = event.includes(said) && random() < 0.3 ? [event] : [];
    return i > 0 && random() < 0.2 ? [pick(random, COMMENTS), event, ...twice] : [event, ...twice];
  });
  const text = out.join("");
  return Buffer.from(random() < 0.3 ? text.replaceAll("\n", "\r\n") : text);
}

/** Bytes changed, put in, left out or said again, anywhere. */
function spoil(random: Random, bytes: Buffer): Buffer {
  const at = below(random, bytes.length);
  const length = 1 + below(random, random() < 0.5 ? 4 : 200);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (below(random, 5)) {
    case 0:
      return Buffer.concat([before, Buffer.from([below(random, 256)]), after.subarray(1)]);
    case 1:
      return Buffer.concat([before, Buffer.from(Array.from({ length: Math.min(length, 16) }, () => below(random, 256))), after]);
    case 2:
      return Buffer.concat([before, after.subarray(length)]);
    case 3:
      return Buffer.concat([before, after.subarray(0, length), after]);
    default:
      return Buffer.concat([before, Buffer.from(pick(random, SHARP), "latin1"), after]);
  }
}

/** Events said again or in another order. */
function shuffle(random: Random, events: readonly string[]): Buffer {
  const out = [...events];
  const [from, to] = [below(random, out.length), below(random, out.length)];
  const [moved] = random() < 0.5 ? out.splice(from, 1) : [out[from]!];
  out.splice(to, 0, moved!);
  return Buffer.from(out.join(""));
}

/**
 * A stream made of these events, of which the last one is terminal and those with `said` are text: a quarter of them only cut and written
 * otherwise, some end too early, some have an event that is not JSON, and the rest are spoiled in any way.
 */
export function fuzz(random: Random, events: readonly string[], said: string): FuzzedStream {
  const kind = random();
  let bytes = harmless(random, events, said);
  let harm: Harm = "none";
  let breaks = false;
  if (kind < 0.15) {
    harm = "cut short";
    breaks = random() < 0.5;
    // Short of the terminal event's first line: without its blank line it is still one.
    bytes = bytes.subarray(0, below(random, bytes.length - events.at(-1)!.length - 4));
  } else if (kind < 0.3) {
    harm = "unreadable";
    const place = 1 + below(random, events.length - 1);
    const bad = pick(random, ['data: {"a":\n\n', "data: {\n\n", 'data: "text"\n\n', "data: nonsense\n\n", '{"error":"x"}\n\n']);
    bytes = Buffer.from([...events.slice(0, place), bad, ...events.slice(place)].join(""));
  } else if (kind < 0.75) {
    harm = "unknown";
    if (random() < 0.3) bytes = shuffle(random, events);
    for (let times = 1 + below(random, 3); times > 0; times -= 1) bytes = spoil(random, bytes);
  }
  const cuts = Array.from({ length: below(random, 12) }, () => below(random, bytes.length)).sort((a, b) => a - b);
  return { bytes, cuts, breaks, harm };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Sends it. */
export function fuzzed({ bytes, cuts, breaks }: FuzzedStream): Behaviour {
  return async (socket) => {
    socket.write(STREAM_HEAD);
    for (const [i, from] of [0, ...cuts].entries()) {
      const part = bytes.subarray(from, cuts[i] ?? bytes.length);
      if (part.length > 0) socket.write(piece(part));
      await turn();
    }
    if (breaks) socket.resetAndDestroy();
    else socket.write(LAST_PIECE);
  };
}
