import type { CallEnded, CallRefused, NewEvent, RefusedBy } from "../activity/index.ts";
import { formatCredits } from "../platform/credits.ts";
import type { ErrorCode } from "../platform/errors.ts";
import type { Pricing } from "../pricing/index.ts";
import type { Call } from "./pipeline/call.ts";
import type { Failure } from "./pipeline/failure.ts";
import type { End } from "./pipeline/end.ts";

/** Whose doing the refusals are that are not the request's own fault. */
const REFUSED_BY: Partial<Record<ErrorCode, RefusedBy>> = {
  rate_limited: "limit",
  spend_limit_reached: "quota",
  spend_limit_on_hold: "quota",
  insufficient_balance: "balance",
  balance_on_hold: "balance",
  content_refused: "guardrail",
  unauthenticated: "access",
  account_suspended: "access",
  email_not_verified: "access",
  forbidden: "access",
  model_not_allowed: "access",
  model_not_priced: "service",
  no_provider: "service",
  unavailable: "service",
};

/** Hundredths of a millisecond are enough. */
const rounded = (ms: number): number => Math.round(ms * 100) / 100;

type About = Pick<CallRefused, "call_id" | "key_id" | "route" | "model" | "duration_ms"> & {
  id: string;
  user_id: string | null;
  request_id: string;
  ip: string;
};

function about(call: Call): About {
  const { caller } = call;
  return {
    id: call.id,
    user_id: caller?.principal.userId ?? null,
    request_id: call.traceId,
    ip: call.ip,
    call_id: call.id,
    key_id: caller?.keyId ?? null,
    route: call.format.route,
    model: call.model?.name ?? null,
    duration_ms: rounded(performance.now() - call.startedMs),
  };
}

/** What is charged for a call, in micro-credits, as far as the relay knows. */
function costOf(call: Call, pricing: Pick<Pricing, "cost">): bigint | undefined {
  const { charge } = call;
  return charge && pricing.cost(call.price!, charge.tokens, charge.units ?? undefined, call.priceMultiplier);
}

function ended(
  call: Call,
  pricing: Pick<Pricing, "cost">,
  outcome: CallEnded["outcome"],
  failed: Pick<CallEnded, "http_status" | "error_code" | "error_class">,
): NewEvent {
  const { charge } = call;
  const cost = costOf(call, pricing);
  const tokens = charge?.tokens;
  return {
    kind: "call.ended",
    ...about(call),
    outcome,
    ...failed,
    answer: call.request?.answer ?? null,
    provider: call.candidate?.provider.name ?? null,
    attempts: call.tries.length,
    first_byte_ms: call.firstByteMs === null ? null : rounded(call.firstByteMs - call.startedMs),
    tokens: tokens
      ? {
          input: tokens.input,
          cached_input: tokens.cachedInput,
          cache_write: tokens.cacheWrite + (tokens.cacheWriteLong ?? 0),
          output: tokens.output,
          reasoning: tokens.reasoning,
        }
      : null,
    estimated: charge?.estimated ?? false,
    cost: cost === undefined ? null : formatCredits(cost),
    cached: call.cached !== undefined,
  };
}

const failedBy = ({ status, record, class: kind }: Failure) => ({ http_status: status, error_code: record, error_class: kind });

/** What is told of a call when it has ended. */
export function callEvent(call: Call, end: End, pricing: Pick<Pricing, "cost">): NewEvent {
  const why = end.kind === "failed" ? end.failure : call.failed;
  if (why?.class === "refused") {
    const by = REFUSED_BY[why.code] ?? "request";
    return { kind: "call.refused", ...about(call), http_status: why.status, error_code: why.record, by };
  }
  if (why) return ended(call, pricing, "failed", failedBy(why));
  if (end.kind === "gone") return ended(call, pricing, "client_gone", { http_status: 499, error_code: "client_gone", error_class: null });
  return ended(call, pricing, "ok", { http_status: 200, error_code: null, error_class: null });
}
