import { allWeights } from "../gateway/limits/index.ts";
import type { SpentSince } from "../ledger/index.ts";
import type { Pool } from "../platform/postgres.ts";
import type { Pricing } from "../pricing/index.ts";
import { chargedSince, spentAndDueSince } from "../usage/index.ts";

/**
 * What a new counter begins with: what was charged before and is to be charged for what is recorded, or what the charged calls count by
 * the weights of their models. Asked once a counter.
 */
export function createOpenings(pool: Pool, pricing: Pick<Pricing, "cost" | "version">): SpentSince {
  return async (owner, since, { unit = "credits", weights = {} }) => {
    if (unit === "credits") return spentAndDueSince({ pool, pricing }, owner, since);
    const [calls, weightOf] = await Promise.all([chargedSince(pool, owner, since), allWeights(pool)]);
    return calls.reduce((sum, call) => sum + call[unit] * BigInt(weights[call.model] ?? weightOf(call.model)), 0n);
  };
}
