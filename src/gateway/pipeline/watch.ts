import { timeouts } from "../upstream/faults.ts";
import { writeEvents } from "./answer.ts";
import type { Call } from "./call.ts";
import { checkPresence } from "./presence.ts";
import type { RelayDeps } from "./deps.ts";
import { failure } from "./failure.ts";
import { finish } from "./finish.ts";
import { takeAsEnded, upstreamFailed } from "./relay.ts";
import { stopPatience } from "./stop.ts";

/** A provider that goes on after its terminal event is cut off after this long. */
const LINGER_MS = 1_000;

/** Looks after one live call; called for each by one shared ticker, in place of timers of its own. */
export function watch(deps: RelayDeps, call: Call, nowMs: number): void {
  const { config } = deps;
  checkPresence(call, nowMs);
  switch (call.phase) {
    case "admitting":
      return awaitBody(deps, call, nowMs);
    case "relaying": {
      if (call.leftMs !== undefined && nowMs - call.leftMs > config.stoppedMs) return finish(deps, call, { kind: "gone" });
      if (call.reader?.closing && nowMs - call.lastReadMs > LINGER_MS) return takeAsEnded(deps, call);
      const limits = call.candidate!.provider.timeouts;
      if (nowMs - call.sentMs > limits.totalMs) {
        // What goes on whoever reads it is read on.
        if (call.following) return upstreamFailed(deps, call, timeouts.total());
        return finish(deps, call, { kind: "failed", failure: timeouts.total() });
      }
      if (call.stalledMs !== undefined) {
        // A client that takes nothing for the idle time is gone, whatever its socket says.
        if (nowMs - call.stalledMs > config.clientIdleMs) call.res.destroy();
        return;
      }
      if (call.firstByteMs === null) {
        if (nowMs - call.sentMs > firstByteMs(call)) return upstreamFailed(deps, call, timeouts.firstByte());
      } else if (nowMs - call.lastReadMs > limits.idleMs) return upstreamFailed(deps, call, timeouts.idle());
      return heartbeat(deps, call, nowMs);
    }
    case "waiting":
    case "settling":
      return heartbeat(deps, call, nowMs);
    case "ended":
      if (nowMs - call.endedMs > (call.awaitsStop ? stopPatience(call) : LINGER_MS)) call.exchange?.abort();
      if (nowMs - call.endedMs > config.clientIdleMs) call.res.destroy();
  }
}

/** What puts something out as it is made and is to answer at once has its first byte only when it is done; the rest begins as it is asked. */
function firstByteMs({ request, candidate }: Call): number {
  const { timeouts } = candidate!.provider;
  return request!.answer === "whole" && request!.outputCap !== 0 ? timeouts.wholeMs : timeouts.firstByteMs;
}

/** A body of which nothing more comes ends the call; nothing was held for it yet. */
function awaitBody(deps: RelayDeps, call: Call, nowMs: number): void {
  const { bytesRead } = call.req.socket;
  if (call.req.complete || bytesRead !== call.bytesRead) {
    call.bytesRead = bytesRead;
    call.lastReadMs = nowMs;
  } else if (nowMs - call.lastReadMs > deps.config.clientIdleMs) {
    finish(deps, call, {
      kind: "failed",
      failure: failure("validation_failed", { message: "body: did not arrive in time", param: "body" }),
    });
  }
}

/** Events are written whole, so a comment never lands inside one. */
function heartbeat(deps: RelayDeps, call: Call, nowMs: number): void {
  if (call.request?.answer !== "stream" || nowMs - call.lastWriteMs < deps.config.heartbeatMs) return;
  if (call.res.destroyed || call.res.writableEnded || call.stalledMs !== undefined) return;
  writeEvents(call, call.format.voice.heartbeat);
}
