import type { Call } from "./call.ts";
import type { RelayDeps } from "./deps.ts";
import { waiveMessage } from "./message.ts";

const LISTENED_MS = 30_000;

/** How long a provider whose client left is listened to for the word by which it can be stopped, in milliseconds. */
export const stopPatience = ({ candidate }: Call): number => Math.min(LISTENED_MS, candidate!.provider.timeouts.firstByteMs);

type StopDeps = Pick<RelayDeps, "stops" | "usage">;

/**
 * Nobody waits for the provider's answer any more: its connection is closed and, where that alone does not stop the work, the provider is
 * told. One that has not yet said by what it can be stopped is listened to until it does, unless another is asked now (`retry`).
 */
export function letGo(deps: StopDeps, call: Call, why: "gone" | "failed" | "retry"): void {
  const { exchange, dialect, reader } = call;
  if (!exchange || exchange.ended) return;
  if (dialect?.stop && call.leftMs === undefined && (reader?.state === "open" || reader?.goesOn) && !reader.closing) {
    const stop = dialect.stop(call.made);
    if (stop) deps.stops.tell(call.route!, stop);
    else if (why !== "retry") {
      call.awaitsStop = true;
      return;
    }
  }
  exchange.abort();
}

/** What comes from a provider that is to be stopped as soon as it can be. */
export function readOn(deps: StopDeps, call: Call, chunk: Buffer): void {
  const reader = call.reader!;
  reader.push(chunk);
  const stop = call.dialect?.stop?.(reader.made);
  if (stop) deps.stops.tell(call.route!, stop);
  if (!stop && reader.state === "open") return;
  // It ended before anything was named, and so free of charge.
  if (!call.made) void waiveMessage(deps, call, reader.made);
  call.awaitsStop = false;
  call.exchange?.abort();
}
