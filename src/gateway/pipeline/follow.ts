import { addCallHeaders } from "./costHeaders.ts";
import { endWhole } from "./answer.ts";
import { closeAttempt } from "./attempt.ts";
import type { Call } from "./call.ts";
import type { RelayDeps } from "./deps.ts";
import type { Dialect } from "./format.ts";

/** Before what follows is asked for once more, in milliseconds: it may not be there at once, and goes on whoever reads it. */
const PAUSES_MS = [300, 1_500, 5_000, 15_000];

/** What a call reads on for when its client has its answer. */
export interface Following {
  dialect: Dialect;
  /** How often it was asked for again. */
  again: number;
}

/** Gives the client its answer, while the call goes on with what it has set going at the provider: for that it is charged. */
export function beginFollowing(deps: RelayDeps, call: Call, dialect: Dialect, answer: Buffer): void {
  closeAttempt(deps, call, { kind: "ok" });
  call.following = { dialect, again: 0 };
  if (call.res.destroyed) return;
  addCallHeaders(call);
  endWhole(call.answer, answer);
}

/** Asks again, after a pause, for what follows; false when that is of no more use. */
export function followAgain(deps: RelayDeps, call: Call, ask: () => void): boolean {
  const pauseMs = PAUSES_MS[call.following!.again];
  if (pauseMs === undefined || deps.routing.draining) return false;
  call.following!.again += 1;
  call.phase = "waiting";
  call.cancelWait = deps.routing.later(pauseMs, () => {
    if (call.phase !== "waiting") return;
    call.cancelWait = undefined;
    ask();
  });
  return true;
}
