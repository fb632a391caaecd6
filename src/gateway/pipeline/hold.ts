import { presentAt } from "../../quotas/index.ts";
import type { Call } from "./call.ts";
import type { RelayDeps } from "./deps.ts";
import { failure, type Failure } from "./failure.ts";
import { measure } from "./measure.ts";
import { countsOf, outputWithin } from "./quotaCounts.ts";
import { refusedHold } from "./refusedHold.ts";

/** An answer that may not even have this many tokens is not worth asking for. */
export const MIN_USEFUL_TOKENS = 16;

/** The ledger holds no more than this, in micro-credits, and no wallet has it. */
const MOST_HELD = 10n ** 18n;

/**
 * Reserves the most the call may cost: the prompt as counted plus a margin, the most of what of it cannot be seen here, and all the
 * output it may make. When the client named no cap and wallet, spend limits or quotas leave less, what they leave is held and the
 * provider's cap is lowered to it. Rejects when Postgres cannot be reached.
 */
export async function makeHold(
  deps: Pick<RelayDeps, "ledger" | "pricing" | "limits" | "tokenizer" | "config" | "owner">,
  call: Call,
): Promise<Failure | undefined> {
  const request = call.request!;
  const price = call.price!;
  const misfit = measure(deps, call);
  if (misfit) return misfit;
  const inputTokens = call.promptTokens;
  const expected = {
    inputTokens,
    unseenTokens: call.unseenTokens,
    units: request.units,
    multiplier: call.priceMultiplier,
    safetyPercent: call.model!.safetyPercent ?? undefined,
  };
  const amount = deps.pricing.estimate(price, { ...expected, maxOutputTokens: call.outputLimit + call.besideAnswer });
  const leastOutput = Math.min(call.outputLimit, MIN_USEFUL_TOKENS * request.choices) + call.besideAnswer;
  const mayBeLess = request.outputCap === undefined && !request.uncapped;
  const least = mayBeLess ? deps.pricing.estimate(price, { ...expected, maxOutputTokens: leastOutput }) : undefined;
  if ((least ?? amount) > MOST_HELD) return failure("insufficient_balance", { message: "The wallet does not cover this call" });
  const { principal, spend, tokenId } = call.caller!;
  const present = spend && presentAt(spend, call.startedAt.getTime());
  const counts = present?.weights && (await countsOf(deps, call, present.weights, least === undefined ? undefined : leastOutput));
  call.trace?.holding();
  const outcome = await deps.ledger.authorize({
    id: call.id,
    walletId: principal.walletId,
    amount: amount > MOST_HELD ? MOST_HELD : amount,
    ...(least === undefined ? {} : { minAmount: least }),
    ...(present ? { budgets: present.budgets } : {}),
    ...(counts ? { counts } : {}),
    owner: deps.owner,
    ttlMs: deps.config.holdTtlMs,
  });
  call.trace?.held();
  if (outcome.kind === "refused") return refusedHold(outcome, tokenId);
  call.holdOpen = true;
  call.held = outcome.amount;
  call.balance = outcome.available;
  if (outcome.amount < amount) lowerCap(call, deps.pricing.affordableOutput(price, expected, outcome.amount) - call.besideAnswer);
  if (counts && outcome.tokens !== undefined && outcome.tokens < counts.tokens) lowerCap(call, outputWithin(call, outcome.tokens));
  return undefined;
}

/** All choices together may have no more than this many tokens. */
function lowerCap(call: Call, tokens: number): void {
  if (tokens >= call.outputLimit) return;
  const { choices } = call.request!;
  call.sentCap = Math.floor(tokens / choices);
  call.outputLimit = call.sentCap * choices;
}
