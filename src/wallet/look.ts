import type { Principal } from "../http/principal.ts";
import type { HoldOutcome, Ledger } from "../ledger/index.ts";
import { presentAt, type SpendLimits } from "../quotas/index.ts";
import type { Estimate } from "./estimate.ts";

export interface LookDeps {
  ledger: Pick<Ledger, "balance" | "look">;
  /** What calls of somebody are held against beside the wallet; null for nothing. */
  spendOf: (principal: Principal) => Promise<SpendLimits | null>;
  /** What tokens of a model count in limits, in percent, where no plan says otherwise. */
  weightOf: (model: string) => Promise<number>;
}

/** What the hold of a call of this size would be answered now. */
export async function lookAtCall(deps: LookDeps, principal: Principal, estimate: Estimate): Promise<HoldOutcome> {
  const spend = await deps.spendOf(principal);
  const present = spend && presentAt(spend, Date.now());
  const ask = { walletId: principal.walletId, amount: estimate.hold, budgets: present?.budgets ?? [] };
  if (!present?.weights) return deps.ledger.look(ask);
  const weight = BigInt(present.weights[estimate.model] ?? (await deps.weightOf(estimate.model)));
  return deps.ledger.look({ ...ask, counts: { requests: weight, tokens: BigInt(estimate.heldTokens) * weight } });
}
