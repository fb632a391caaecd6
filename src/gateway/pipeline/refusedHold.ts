import type { Budget, BudgetState, HoldOutcome } from "../../ledger/index.ts";
import { formatCredits } from "../../platform/credits.ts";
import { formatDecimal } from "../../platform/decimal.ts";
import { failure, type Failure } from "./failure.ts";

type Refused = Extract<HoldOutcome, { kind: "refused" }>;

/**
 * What a refused hold means to the caller: what running calls hold comes back and is worth another try, the rest is not. What the account
 * owes is told to its keys alone, not to end-user tokens.
 */
export function refusedHold(refused: Refused, tokenId: string | null): Failure {
  switch (refused.reason) {
    case "insufficient_balance":
      if (refused.owed !== undefined && tokenId === null) {
        const shortfall = formatCredits(refused.owed);
        return failure("insufficient_balance", { message: `The wallet owes ${shortfall} credits for earlier use`, details: { shortfall } });
      }
      return failure("insufficient_balance", { message: "The wallet does not cover this call" });
    case "balance_on_hold":
      return failure("balance_on_hold", { retryAfter: 1 });
    case "spend_limit_reached": {
      const { budget } = refused;
      if (budget.resetsAt) return failure("quota_exceeded", { message: usedUp(budget, budget.resetsAt), shouldRetry: false });
      const which = nameOf(budget);
      const message = budget.spent >= budget.limit ? `${which} is reached` : `${which} does not leave enough for this call`;
      return failure("spend_limit_reached", { message, shouldRetry: false });
    }
    case "spend_limit_on_hold":
      if (refused.budget.resetsAt) {
        return failure("quota_on_hold", {
          message: `What ${lower(quotaName(refused.budget))} leaves is held by running calls`,
          retryAfter: 1,
        });
      }
      return failure("spend_limit_on_hold", {
        message: `What ${lower(nameOf(refused.budget))} leaves is held by running calls`,
        retryAfter: 1,
      });
  }
}

/** "The daily spend limit of this key". */
function nameOf({ id, period }: { id: string; period: string }): string {
  const whose = id.startsWith("key:") ? "key" : id.startsWith("token:") ? "token" : "account";
  if (whose === "token") return "The budget of this token";
  return `The ${period.startsWith("d:") ? "daily" : period.startsWith("m:") ? "monthly" : "total"} spend limit of this ${whose}`;
}

const lower = (text: string) => text[0]!.toLowerCase() + text.slice(1);

/** "The quota of 1000 requests of this account". Requests and tokens are counted in hundredths. */
function quotaName({ id, unit = "credits", limit }: Budget): string {
  const amount = unit === "credits" ? formatCredits(limit) : formatDecimal(limit, 2);
  return `The quota of ${amount} ${unit} of this ${id.startsWith("key:") ? "key" : "account"}`;
}

function usedUp(budget: Budget & BudgetState, resetsAt: Date): string {
  const what = budget.spent >= budget.limit ? "is used up" : "does not leave enough for this call";
  return `${quotaName(budget)} ${what}; it begins anew at ${resetsAt.toISOString().slice(0, 16)}Z`;
}
