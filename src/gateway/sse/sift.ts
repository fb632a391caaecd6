import { nextBoundary } from "./cutter.ts";

/** Pieces as one; undefined for none. */
export const joined = (parts: Buffer[]): Buffer | undefined =>
  parts.length === 0 ? undefined : parts.length === 1 ? parts[0] : Buffer.concat(parts);

/**
 * What goes on of complete events, with `text` the same as latin1. `passes` is asked for each: true passes it on as it came, false does not,
 * bytes take its place. Nothing more goes on once the stream is open no more.
 */
export function sift(
  events: Buffer,
  text: string,
  stream: { readonly state: "open" | "done" | "failed" },
  passes: (at: number, end: number, hasCr: boolean) => boolean | Buffer,
): Buffer | undefined {
  const hasCr = text.includes("\r");
  let parts: Buffer[] | undefined;
  let kept = 0;
  for (let at = 0; at < text.length;) {
    const end = nextBoundary(text, at, hasCr);
    const passed = passes(at, end, hasCr);
    if (passed !== true || stream.state !== "open") {
      parts ??= [];
      if (at > kept) parts.push(events.subarray(kept, at));
      if (passed instanceof Buffer) parts.push(passed);
      kept = end;
      if (stream.state !== "open") return joined(parts);
    }
    at = end;
  }
  if (!parts) return events;
  if (kept < events.length) parts.push(events.subarray(kept));
  return joined(parts);
}
