import type { HoldOutcome } from "../../ledger/index.ts";
import { formatCredits } from "../../platform/credits.ts";
import { failure, type Failure } from "./failure.ts";

type Refused = Extract<HoldOutcome, { kind: "refused" }>;

/** What a refused hold means to the caller: what running calls hold comes back and is worth another try, the rest is not. */
export function refusedHold(refused: Refused): Failure {
  switch (refused.reason) {
    case "insufficient_balance":
      if (refused.owed !== undefined) {
        const shortfall = formatCredits(refused.owed);
        return failure("insufficient_balance", { message: `The wallet owes ${shortfall} credits for earlier use`, details: { shortfall } });
      }
      return failure("insufficient_balance", { message: "The wallet does not cover this call" });
    case "balance_on_hold":
      return failure("balance_on_hold", { retryAfter: 1 });
    case "spend_limit_reached": {
      const { budget } = refused;
      const which = nameOf(budget);
      const message = budget.spent >= budget.limit ? `${which} is reached` : `${which} does not leave enough for this call`;
      return failure("spend_limit_reached", { message, shouldRetry: false });
    }
    case "spend_limit_on_hold":
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
