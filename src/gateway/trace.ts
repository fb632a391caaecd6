import type { Redis } from "../platform/redis.ts";
import type { Span, Tracing } from "../platform/tracing/index.ts";
import { createTraceLeaver } from "../usage/index.ts";
import type { Attempt } from "./pipeline/attempt.ts";
import type { Call } from "./pipeline/call.ts";
import type { End } from "./pipeline/end.ts";

/** The trace of one sampled call. Its steps are noted as times and become spans at the call's end. */
export interface CallTrace {
  /** For a provider that takes part in traces. */
  readonly traceparent: string;
  /** The hold is asked for, and decided. */
  holding(): void;
  held(): void;
  /** The record is on its way to Postgres, and durable. */
  recording(): void;
  recorded(): void;
  ended(call: Call, end: End): void;
}

/** Begins the traces of calls; there is none where tracing is off. */
export interface RelayTracing {
  /** Undefined for a call that is not sampled. */
  begin(call: Call): CallTrace | undefined;
}

const POSTGRES = { "db.system.name": "postgresql" };

class SampledCall implements CallTrace {
  readonly #root: Span;
  readonly #leave: (traceparent: string) => void;
  #holdMs: number | undefined;
  #heldMs: number | undefined;
  #recordMs: number | undefined;
  #recordedMs: number | undefined;

  constructor(root: Span, leave: (traceparent: string) => void) {
    this.#root = root;
    this.#leave = leave;
  }

  get traceparent(): string {
    return this.#root.traceparent;
  }

  holding(): void {
    this.#holdMs = performance.now();
  }

  held(): void {
    this.#heldMs = performance.now();
  }

  recording(): void {
    this.#recordMs = performance.now();
    // Before the record is: its settlement may follow within milliseconds.
    this.#leave(this.#root.traceparent);
  }

  recorded(): void {
    this.#recordedMs = performance.now();
  }

  ended(call: Call, end: End): void {
    const root = this.#root;
    const { startedMs, endedMs, tries } = call;
    root.child("admission", { startMs: startedMs }).end(this.#holdMs ?? tries[0]?.startedMs ?? endedMs);
    if (this.#holdMs !== undefined) {
      const facts = { ...POSTGRES, "tollkeeper.held_credits": Number(call.held) / 1e6 };
      root.child("hold", { kind: "client", startMs: this.#holdMs, facts }).end(this.#heldMs ?? endedMs);
    }
    for (const [index, attempt] of tries.entries()) addAttempt(root, attempt, index + 1, endedMs);
    if (this.#recordMs !== undefined)
      root.child("record", { kind: "client", startMs: this.#recordMs, facts: POSTGRES }).end(this.#recordedMs ?? endedMs);
    root.set({
      "http.request.method": call.req.method,
      "http.route": call.format.route,
      "tollkeeper.request_id": call.traceId,
      "tollkeeper.call_id": call.id,
      "http.response.status_code": call.res.headersSent ? call.res.statusCode : undefined,
      "gen_ai.request.model": call.model?.name,
      "tollkeeper.user_id": call.caller?.principal.userId,
      "tollkeeper.answer": call.request?.answer,
      "tollkeeper.outcome": end.kind,
    });
    if (end.kind === "failed") {
      root.set({ "error.type": end.failure.record });
      if (end.failure.class !== "refused") root.fail(end.failure.record);
    }
    root.end(endedMs);
  }
}

function addAttempt(root: Span, attempt: Attempt, number: number, endedMs: number): void {
  const { candidate, startedMs, firstByteMs, status, outcome, errorCode } = attempt;
  const span = root.child("upstream attempt", {
    kind: "client",
    startMs: startedMs,
    facts: {
      "tollkeeper.provider": candidate.provider.name,
      "gen_ai.request.model": candidate.upstreamModel,
      "http.response.status_code": status ?? undefined,
      "error.type": errorCode ?? undefined,
      "tollkeeper.attempt": number,
      "tollkeeper.first_byte_ms": firstByteMs === null ? undefined : firstByteMs - startedMs,
      "tollkeeper.outcome": outcome,
    },
  });
  if (outcome === "failed") span.fail(errorCode ?? "failed");
  span.end(attempt.endedMs ?? endedMs);
}

/** Creates the tracing of relayed calls. */
export function createRelayTracing(deps: { tracing: Tracing; redis: Redis }): RelayTracing {
  const { tracing, redis } = deps;
  const leave = createTraceLeaver(redis);
  return {
    begin(call) {
      const { headers } = call.req;
      const { traceparent } = headers;
      const root = tracing.begin("relay", {
        kind: "server",
        // A request id that the caller chose is no trace id: it may be used again and again.
        id: headers["x-request-id"] === call.traceId ? call.id : call.traceId,
        parent: typeof traceparent === "string" ? traceparent : undefined,
        startMs: call.startedMs,
      });
      return root && new SampledCall(root, (own) => leave(call.id, own));
    },
  };
}
