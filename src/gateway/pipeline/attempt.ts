import type { Candidate } from "../providers/index.ts";
import { concernsKey, type Route } from "../routing/index.ts";
import type { Call } from "./call.ts";
import type { RelayDeps } from "./deps.ts";
import { forOperators } from "./discreet.ts";
import type { Failure, FailureClass } from "./failure.ts";

/** One request to one provider on behalf of a call. A call makes several when providers fail before the client has seen anything. */
export interface Attempt {
  /** The provider, the model's name there, and what it costs us. */
  candidate: Candidate;
  /** Which of the provider's keys; not the key itself. */
  keyFingerprint: string;
  /** `performance.now()`, as are the next two. */
  startedMs: number;
  firstByteMs: number | null;
  /** Null while it runs. */
  endedMs: number | null;
  /** HTTP status of the provider; null when it gave none. */
  status: number | null;
  /** `gone`: the client left before the provider was done. */
  outcome: "running" | "ok" | "failed" | "gone";
  /** The precise code, e.g. "upstream_idle_timeout"; null unless it failed. */
  errorCode: string | null;
  errorClass: FailureClass | null;
  /** It failed for the key: the provider may take another one. */
  ofKey: boolean;
  upstreamRequestId: string | null;
  /** The beginning of its error answer, for operators. */
  said: string | null;
}

/** What a provider said with an error answer. */
export interface Said {
  body: Buffer;
  retryAfterMs: number | undefined;
}

export type AttemptEnd = { kind: "ok" } | { kind: "failed"; failure: Failure; said?: Said | undefined } | { kind: "gone" };

/** Notes that a request goes out. */
export function openAttempt(call: Call, { candidate, key }: Route, nowMs: number): void {
  call.tries.push({
    candidate,
    keyFingerprint: key.fingerprint,
    startedMs: nowMs,
    firstByteMs: null,
    endedMs: null,
    status: null,
    outcome: "running",
    errorCode: null,
    errorClass: null,
    ofKey: false,
    upstreamRequestId: null,
    said: null,
  });
}

/** Notes how the request under way has ended, if one is, and tells the router. */
export function closeAttempt(deps: Pick<RelayDeps, "routing">, call: Call, end: AttemptEnd): void {
  const attempt = call.tries.at(-1);
  if (attempt?.outcome !== "running") return;
  const { routing } = deps;
  const route = call.route!;
  const account = call.caller!.principal.userId;
  const nowMs = performance.now();
  attempt.endedMs = nowMs;
  attempt.firstByteMs = call.firstByteMs;
  attempt.upstreamRequestId = call.upstreamRequestId;
  attempt.outcome = end.kind;
  if (end.kind === "ok" || (end.kind === "gone" && call.delivered)) return routing.succeeded(route, account, nowMs);
  if (end.kind === "gone") return routing.abandoned(route);
  const { failure, said } = end;
  attempt.errorCode = failure.record;
  attempt.errorClass = failure.class;
  if (said) attempt.said = forOperators(said.body, attempt.candidate);
  attempt.ofKey = concernsKey(attempt.status, failure.record, said?.body);
  // Ended by us: nothing that the provider did.
  if (failure.class === "shutdown" || failure.class === "internal") return routing.abandoned(route);
  const again = call.tries.some((other) => other !== attempt && other.candidate === attempt.candidate && other.outcome === "failed");
  routing.failed(route, failure, { status: attempt.status, body: said?.body, retryAfterMs: said?.retryAfterMs, again, account }, nowMs);
}
