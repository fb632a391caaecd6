import type { Ask, Check, Figures, LimitVerdict, Permit, Plan, Refusal, Reservation } from "./types.ts";
import { resetMsOf, usedOf, waitMsOf, type Window } from "./window.ts";

/** What one call counts for a rate. A call may use more tokens than the limit itself, which then cannot stop it for ever. */
export const amountOf = (check: Check, tokens: number): number => (check.kind === "tokens" ? Math.min(tokens, check.limit) : 1);

/** The refusal of a rate, or undefined when it allows; `window` must have been rolled to `nowMs`. */
export function refusalOf(check: Check, tokens: number, window: Window, nowMs: number): Refusal | undefined {
  const amount = amountOf(check, tokens);
  const { scope, kind, id: counter, limit } = check;
  if (usedOf(window, nowMs) + amount <= limit) return undefined;
  return { allowed: false, scope, kind, counter, limit, retryMs: waitMsOf(window, limit, amount, nowMs) };
}

/** Until calls at once are asked for again: nobody knows when one ends. */
const PARALLEL_RETRY_MS = 1_000;

/** The refusal of a limit on calls at once. */
export const fullOf = ({ scope, kind, id: counter, limit }: Check): Refusal => ({
  allowed: false,
  scope,
  kind,
  counter,
  limit,
  retryMs: PARALLEL_RETRY_MS,
});

/** Of two refusals the one that lasts longer: who waits that long gets past both. */
export const later = (one: Refusal | undefined, other: Refusal | undefined): Refusal | undefined =>
  one && other ? (other.retryMs > one.retryMs ? other : one) : (one ?? other);

/** The tightest figures of one kind among the rates that are enforced, from the counters as they are now. */
function tightest(plan: Plan, tokens: boolean, windowOf: (check: Check) => Window, nowMs: number): Figures | undefined {
  let best: Figures | undefined;
  for (let i = 0; i < plan.rates; i++) {
    const check = plan.checks[i]!;
    const { kind, limit, shadow } = check;
    if (shadow || (kind === "tokens") !== tokens) continue;
    const window = windowOf(check);
    const remaining = Math.max(0, limit - usedOf(window, nowMs));
    if (!best || remaining < best.remaining) best = { limit, remaining, resetMs: resetMsOf(window, nowMs) };
  }
  return best;
}

/** The verdict on a call, from the counters as they are after it. */
export function verdictOf(
  ask: Ask,
  outcome: Refusal | { permit: Permit | undefined },
  windowOf: (check: Check) => Window,
  nowMs: number,
): LimitVerdict {
  const { plan } = ask;
  const requests = plan.rates === 0 ? undefined : tightest(plan, false, windowOf, nowMs);
  const tokens = plan.countsTokens ? tightest(plan, true, windowOf, nowMs) : undefined;
  if ("permit" in outcome) return { allowed: true, permit: outcome.permit, requests, tokens };
  return { ...outcome, requests, tokens };
}

const NOTHING_RESERVED: readonly Reservation[] = [];

/** The permit of a call that stands in `sets` and has `reserved`; undefined when there is nothing to give back. */
export function permitOf(ask: Ask, sets: readonly string[], reserved: readonly Reservation[] = NOTHING_RESERVED): Permit | undefined {
  if (sets.length + reserved.length === 0) return undefined;
  return { id: ask.callId, sets, reserved, weightPercent: ask.weightPercent };
}
