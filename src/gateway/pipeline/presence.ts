import type { Call } from "./call.ts";

/** Whoever waits for an answer. */
export type Waiting = Pick<Call, "req" | "res" | "looks" | "lookedMs" | "stalledMs" | "request">;

/** A comment, which every client of an event stream skips. */
const COMMENT = ":\n\n";
/** The system of a client that left answers the first bytes with a reset; the next bytes then fail. Nearby that takes less than this. */
const SECOND_MS = 20;
/** After so many looks in a row a half-closed client is believed, and looked at once a second. */
const EAGER_LOOKS = 20;
const PATIENT_MS = 1_000;

/**
 * Finds out whether a client that closed its half of the connection is still there: the end of its half says nothing, bytes sent to it
 * do. Called by the shared ticker; costs a look at the socket while a client has not closed its half. A client that left makes the
 * write fail and so `close` the response.
 */
export function checkPresence(call: Waiting, nowMs: number): void {
  const { res } = call;
  if (res.socket?.readableEnded !== true || res.writableEnded || call.stalledMs !== undefined) return;
  if (call.looks > EAGER_LOOKS && nowMs - call.lookedMs < PATIENT_MS) return;
  call.looks += 1;
  call.lookedMs = nowMs;
  send(call);
  if (call.looks === 1) setTimeout(() => send(call), SECOND_MS).unref();
}

function send({ res, req, request }: Waiting): void {
  if (res.destroyed || res.writableEnded) return;
  if (res.headersSent) {
    if (request?.answer === "stream") res.write(COMMENT);
  } else if (req.httpVersion !== "1.0") res.writeContinue();
}
