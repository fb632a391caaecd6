import type { CallerKey } from "../../identity/index.ts";
import { uuidv7 } from "../../platform/ids.ts";
import { DEFAULT_SAFETY_PERCENT } from "../../pricing/index.ts";
import { addRateHeaders } from "../limits/headers.ts";
import { plansOf, type LimitVerdict, type Permit } from "../limits/index.ts";
import type { Call } from "./call.ts";
import type { RelayDeps } from "./deps.ts";
import { failure, type Failure } from "./failure.ts";
import type { Voice } from "./format.ts";
import { measure } from "./measure.ts";

type PassDeps = Pick<RelayDeps, "limiter" | "permitWait" | "limits" | "metrics" | "tokenizer" | "config">;
type Refused = Extract<LimitVerdict, { allowed: false }>;

/** A client's timer may fire this much early. */
const TIMER_SLACK_MS = 1;

/**
 * Counts a call against all its limits, reserves its tokens, takes a permit and tells the figures. One that is free uses no tokens, but
 * works at a provider like any other. Nothing is taken when the call ended while it waited for a permit.
 */
export async function passLimits(deps: PassDeps, call: Call): Promise<Failure | undefined> {
  const rules = deps.limits.peek() ?? (await deps.limits.get());
  const model = call.model!.name;
  const plan = rules.planFor(plansOf(call.caller!), model, call.ip);
  let tokens = 0;
  let weightPercent = 100;
  // The prompt is counted here only for those whose tokens are limited, so that nobody who is refused costs that work for nothing.
  if (plan.countsTokens) weightPercent = rules.weightOf(model);
  if (plan.countsTokens && !call.format.free) {
    const misfit = measure(deps, call);
    if (misfit) return misfit;
    const prompt = weighted(call.promptTokens, weightPercent);
    if (plan.mostTokens !== undefined && prompt > plan.mostTokens) return tooLarge(deps, prompt, plan.mostTokens);
    // As much as is held for: what is used beyond what was reserved would be over the limit.
    const seen = weighted(call.promptTokens, call.model!.safetyPercent ?? DEFAULT_SAFETY_PERCENT);
    tokens = weighted(seen + call.unseenTokens + call.outputLimit + call.besideAnswer, weightPercent);
  }
  const ask = { plan, callId: call.id, tokens, weightPercent };
  const { principal, keyId, tokenId } = call.caller!;
  const who = { userId: principal.userId, keyId, tokenId };
  const verdict = await deps.permitWait.admit(ask, who, (leave) => (call.cancelWait = leave));
  call.cancelWait = undefined;
  if (!verdict) return undefined;
  addRateHeaders(call.answer.headers, call.format.voice.vendor, verdict);
  if (!verdict.allowed) return refused(deps, verdict);
  call.permit = verdict.permit;
  return undefined;
}

/** Counts a request that uses no tokens and does not run on. */
export async function passRequest(
  deps: Pick<PassDeps, "limiter" | "limits" | "metrics">,
  caller: CallerKey,
  ip: string,
  headers: string[],
  vendor: Voice["vendor"],
): Promise<Failure | undefined> {
  const rules = deps.limits.peek() ?? (await deps.limits.get());
  const plan = rules.planFor(plansOf(caller), undefined, ip);
  const verdict = await deps.limiter.admit({ plan, callId: "", tokens: 0, weightPercent: 100 });
  addRateHeaders(headers, vendor, verdict);
  return verdict.allowed ? undefined : refused(deps, verdict);
}

/**
 * Counts a request that works at a provider for a model without using tokens, and takes a permit for it; to be released at its end. The
 * plan is that of a call.
 */
export async function passWork(
  deps: Pick<PassDeps, "limiter" | "limits" | "metrics">,
  caller: CallerKey,
  { model, ip, headers, vendor }: { model: string; ip: string; headers: string[]; vendor: Voice["vendor"] },
): Promise<Failure | { permit: Permit | undefined }> {
  const rules = deps.limits.peek() ?? (await deps.limits.get());
  const plan = rules.planFor(plansOf(caller), model, ip);
  const verdict = await deps.limiter.admit({ plan, callId: uuidv7(), tokens: 0, weightPercent: 100 });
  addRateHeaders(headers, vendor, verdict);
  return verdict.allowed ? { permit: verdict.permit } : refused(deps, verdict);
}

const weighted = (tokens: number, percent: number): number => Math.ceil((tokens * percent) / 100);

/** No waiting makes room for a prompt that is larger than all that a minute has. */
function tooLarge(deps: Pick<PassDeps, "metrics">, prompt: number, limit: number): Failure {
  deps.metrics.limited("request", "tokens");
  return failure("rate_limited", {
    message: `The prompt alone counts ${prompt} tokens; ${limit} tokens a minute are allowed`,
    shouldRetry: false,
  });
}

const WHOSE: Record<Refused["scope"], string> = {
  user: "this account",
  key: "this key",
  token: "this token",
  ip: "this address",
  model: "this model",
  global: "this service",
};
const WHAT: Record<Refused["kind"], string> = {
  requests: "requests a minute",
  requests_per_second: "requests a second",
  tokens: "tokens a minute",
  parallel: "parallel calls",
};

function refused(deps: Pick<PassDeps, "metrics">, { scope, kind, limit, retryMs }: Refused): Failure {
  deps.metrics.limited(scope, kind);
  return failure("rate_limited", {
    message: `Too many ${WHAT[kind]} for ${WHOSE[scope]}: ${limit} are allowed`,
    retryAfter: (kind === "parallel" ? retryMs : retryMs + TIMER_SLACK_MS) / 1_000,
  });
}
