import type { ServerResponse } from "node:http";
import { endUnread } from "../../http/linger.ts";
import type { Call } from "./call.ts";
import { addCallHeaders, addStreamBalance } from "./costHeaders.ts";
import type { Failure } from "./failure.ts";
import type { Voice } from "./format.ts";

/** Where an answer goes and what it carries whatever it is: the request ids, later the limits. */
export interface Answer {
  res: ServerResponse;
  traceId: string;
  /** Names and values in turn; written at once, which is cheaper than setting them one by one. */
  headers: string[];
}

/** The answer of a new request. OpenAI's clients show the one id, Anthropic's the other. */
export function newAnswer(res: ServerResponse, traceId: string): Answer {
  return { res, traceId, headers: ["x-request-id", traceId, "request-id", traceId] };
}

/** Begins a stream's answer, if it has not begun. */
function beginStream(call: Call): void {
  if (call.res.headersSent) return;
  addCallHeaders(call);
  addStreamBalance(call);
  call.answer.headers.push(
    "content-type",
    call.request!.answer === "bytes" ? (call.contentType ?? "application/octet-stream") : "text/event-stream; charset=utf-8",
    "cache-control",
    "no-cache, no-transform",
    "x-accel-buffering",
    "no",
  );
  call.res.writeHead(200, call.answer.headers);
}

/** Hands complete events to the client's socket. When it does not take them as fast, the provider is paused until it does. */
export function writeEvents(call: Call, bytes: Buffer | string): void {
  beginStream(call);
  const flowing = call.res.write(bytes);
  const nowMs = performance.now();
  call.lastWriteMs = nowMs;
  if (flowing || call.stalledMs !== undefined) return;
  call.stalledMs = nowMs;
  call.exchange?.pause();
  call.res.once("drain", () => {
    call.stalledMs = undefined;
    call.lastReadMs = performance.now();
    call.exchange?.resume();
  });
}

/** The last bytes of a stream. */
export function endStream(call: Call, tail: Buffer | string): void {
  beginStream(call);
  call.res.end(tail);
}

/** A complete answer, JSON unless said otherwise. */
export function endWhole(answer: Answer, body: Buffer, contentType = "application/json", status = 200): void {
  answer.headers.push("content-type", contentType, "content-length", String(body.length));
  answer.res.writeHead(status, answer.headers);
  answer.res.end(body);
}

/** An error answer in the format's shape, before anything else was sent. */
export function sendFailure({ res, headers, traceId }: Answer, voice: Pick<Voice, "errorBody">, failure: Failure): void {
  const body = Buffer.from(voice.errorBody(failure, traceId));
  if (failure.retryAfter !== undefined) {
    const seconds = String(Math.max(1, Math.ceil(failure.retryAfter)));
    headers.push("retry-after", seconds, "retry-after-ms", String(Math.max(1, Math.ceil(failure.retryAfter * 1_000))));
  }
  if (failure.shouldRetry === false) headers.push("x-should-retry", "false");
  const unread = !res.req.complete;
  // What is left of a body that was not read would be taken for the next request.
  if (unread) headers.push("connection", "close");
  headers.push("content-type", "application/json; charset=utf-8", "content-length", String(body.length));
  res.writeHead(failure.status, headers);
  if (unread) endUnread(res, body);
  else res.end(body);
}

/** A failure in the provider's own words. */
function endVerbatim(call: Call, words: Buffer): void {
  if (call.request!.answer === "stream") return endStream(call, words);
  addCallHeaders(call);
  endWhole(call.answer, words);
}

/** Ends a call with its error: as an answer while the status can still be chosen, else as the stream's last event. Never a clean end. */
export function endWithFailure(call: Call, failure: Failure): void {
  const { res } = call;
  if (res.destroyed || res.writableEnded) return;
  if (failure.verbatim && !call.withheld) return endVerbatim(call, failure.verbatim);
  if (!res.headersSent) {
    if (call.tries.length > 0) addCallHeaders(call);
    sendFailure(call.answer, call.format.voice, failure);
  } else if (call.request?.answer === "bytes") res.destroy();
  else res.end(call.format.voice.errorEvent(failure, call.traceId, call.reader?.nextNumber ?? 0));
}
