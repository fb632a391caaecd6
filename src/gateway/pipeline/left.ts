import type { Call } from "./call.ts";
import type { RelayDeps } from "./deps.ts";

/**
 * The client has left: whether its call goes on without it. One that outlives its client does, once it is known what goes on. A provider
 * that goes on by itself is told to stop, and then says what it used: that is waited for, `stoppedMs` at most, and nothing is handed on any
 * more. The call's place among those at once is free at that moment, as for any other call.
 */
export function goesOnAlone(deps: Pick<RelayDeps, "stops" | "limiter">, call: Call): boolean {
  const { request, dialect, reader } = call;
  if (call.phase === "admitting") return false;
  if (request?.outlives && (!reader || reader.gathers || call.following || reader.made)) {
    // Nobody is told when it breaks off: it is asked for again.
    if (reader && dialect) call.following ??= { dialect, again: 0 };
    flow(call);
    return true;
  }
  if (call.phase !== "relaying" || reader?.state !== "open" || reader.closing || !dialect?.stop || !reader.hasContent()) return false;
  const stop = dialect.stop(reader.made);
  if (!stop) return false;
  deps.stops.tell(call.route!, stop);
  call.leftMs = performance.now();
  if (call.permit) deps.limiter.release(call.permit, call.promptTokens + call.unseenTokens + call.outputLimit);
  flow(call);
  return true;
}

/** What comes is not kept back any more for a client that did not take it. */
function flow(call: Call): void {
  call.lastReadMs = performance.now();
  if (call.stalledMs === undefined) return;
  call.stalledMs = undefined;
  call.exchange?.resume();
}
