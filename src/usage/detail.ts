import { formatCredits } from "../platform/credits.ts";
import type { AttemptRow, UsageRow } from "./models.ts";
import { inCredits, marginOf, type Rates } from "./rates.ts";
import { operatorView } from "./views.ts";

/** One call with its attempts, what they cost and what is left of the sale. */

const orNull = (micro: bigint | null | undefined) => (micro === null || micro === undefined ? null : formatCredits(micro));

/** An attempt's cost in micro-credits; undefined when the cost or the rate of its currency is not known. */
function creditsOf(attempt: AttemptRow, rates: Rates): bigint | undefined {
  if (attempt.cost === undefined || attempt.currency === undefined) return undefined;
  return inCredits(BigInt(attempt.cost), attempt.currency, rates);
}

/** The tokens a provider is taken to bill: its own count, or the call's when it is the one that answered. */
function tokensOf(attempt: AttemptRow, last: boolean, call: ReturnType<typeof operatorView>) {
  const { tokens } = attempt;
  if (!tokens) return last ? { input_tokens: call.input_tokens, output_tokens: call.output_tokens } : { input_tokens: 0, output_tokens: 0 };
  return {
    input_tokens: tokens.input + (tokens.cached_input ?? 0) + (tokens.cache_write ?? 0) + (tokens.cache_write_long ?? 0),
    output_tokens: tokens.output + (tokens.reasoning ?? 0),
  };
}

/** A call as operators see it in full. The margin is null until the call is settled, or while a cost or a rate is not known. */
export function detailView(row: UsageRow, rates: Rates) {
  const call = operatorView(row);
  const attempts = row.attempts ?? [];
  const costs = attempts.map((attempt) => creditsOf(attempt, rates));
  const cost = costs.reduce<bigint | undefined>(
    (total, next) => (total === undefined || next === undefined ? undefined : total + next),
    0n,
  );
  const { margin, percent } = marginOf(row.cost === null ? null : BigInt(row.cost), cost);
  return {
    ...call,
    attempts: attempts.map((attempt, index) => ({
      n: index + 1,
      provider_id: attempt.provider_id,
      provider: attempt.provider,
      upstream_model: attempt.upstream_model,
      key: attempt.key ?? null,
      status: attempt.status,
      http_status: attempt.http_status ?? null,
      error_code: attempt.error_code ?? null,
      error_class: attempt.error_class ?? null,
      said: attempt.said ?? null,
      started_ms: attempt.started_ms,
      first_byte_ms: attempt.first_byte_ms ?? null,
      duration_ms: attempt.duration_ms,
      ...tokensOf(attempt, index === attempts.length - 1, call),
      cost: attempt.cost === undefined ? null : formatCredits(BigInt(attempt.cost)),
      currency: attempt.currency ?? null,
      cost_in_credits: orNull(costs[index]),
    })),
    sale: call.cost,
    cost_in_credits: orNull(cost),
    margin: orNull(margin),
    margin_percent: percent,
  };
}
