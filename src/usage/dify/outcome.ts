import type { SettleResult } from "../../ledger/index.ts";
import { appError } from "../../platform/errors.ts";
import type { UsageEvent } from "../event.ts";
import { chargedAnswer, refusedAnswer, type DifyAnswer } from "./answers.ts";
import { tokensUsed } from "./message.ts";
import { payerOf, type OpenReason } from "./price.ts";
import type { Claim, RelayedEvent } from "./relayed.ts";
import type { Payment, Unpaid } from "./reported.ts";
import type { KeptEvent } from "./repository.ts";

/** What became of a message. */
export interface Outcome {
  answer: DifyAnswer;
  kept: Pick<
    KeptEvent,
    | "state"
    | "reason"
    | "user_id"
    | "wallet_id"
    | "model"
    | "price_version_id"
    | "price_multiplier"
    | "event_id"
    | "event_at"
    | "relayed"
    | "cost"
    | "owed"
    | "balance_after"
    | "charged_at"
  >;
  /** The relay counted other tokens than the webhook reports. */
  disagrees?: { input: number; output: number };
  /** A call of ours that has not told of it yet may be making it: it is worth asking again in a moment. */
  soon?: true;
}

/** What the relay recorded of a message, or of a part of it; without an event only what is free is known. */
export interface Part {
  claim: Claim;
  event: RelayedEvent | undefined;
}

const SENTENCES: Record<OpenReason | "relay_waits", string> = {
  user_not_found: "There is no such user; the event is kept for an operator",
  model_not_found: "There is no such model; the event is kept for an operator",
  model_not_priced: "This model has no price; the event is kept and charged when it has one",
  cost_out_of_range: "The cost is out of range; the event is kept for an operator",
  totals_disagree: "total_tokens is not the sum of its parts; nobody is charged, and the event is kept for an operator",
  relay_waits: "The relay is making this message; the event is kept and charged with it",
};

const CODES = {
  user_not_found: "user_not_found",
  model_not_found: "model_not_found",
  model_not_priced: "model_not_priced",
  cost_out_of_range: "validation_failed",
  totals_disagree: "validation_failed",
  relay_waits: "conflict",
} as const;

/** Of a message that nobody was charged for. */
export const UNCHARGED = {
  user_id: null,
  wallet_id: null,
  model: null,
  price_version_id: null,
  price_multiplier: null,
  event_id: null,
  event_at: null,
  relayed: false,
  cost: null,
  owed: null,
  balance_after: null,
  charged_at: null,
} as const;

/** Nobody was charged. */
export function stillOpen({ decision, traceId }: Unpaid, reason: OpenReason | "relay_waits"): Outcome {
  const payer = payerOf(decision);
  return {
    answer: refusedAnswer(CODES[reason], SENTENCES[reason], traceId),
    kept: { ...UNCHARGED, state: "open", reason, user_id: payer?.userId ?? null, wallet_id: payer?.walletId.toString() ?? null },
  };
}

/** A call of ours may be making it, and its hold is open. */
export const waitsForRelay = (unpaid: Unpaid): Outcome => ({ ...stillOpen(unpaid, "relay_waits"), soon: true });

const costOf = (parts: readonly Part[]): bigint => parts.reduce((sum, { event }) => sum + (event?.cost ?? 0n), 0n);

/** The webhook was first with a message, or with what came of it after its run had paused; `before` is what the relay recorded until then. */
export function ownOutcome(
  { id, message, traceId }: Unpaid,
  { event, payment }: { event: UsageEvent; payment: Payment },
  result: SettleResult | undefined,
  before: readonly Part[],
): Outcome {
  if (!result) throw appError("internal_error", { message: `the message ${message.messageId} was recorded and not settled` });
  const { charged, owed } = result;
  const earlier = costOf(before);
  const note = message.totalTokens === tokensUsed(message) ? undefined : "total_tokens is not the sum of its parts, which were charged";
  return {
    answer: chargedAnswer({ eventId: id, taken: earlier + charged, owed, tokensUsed: tokensUsed(message) }, traceId, note),
    kept: {
      state: owed > 0n ? "open" : "charged",
      reason: owed > 0n ? "insufficient_balance" : null,
      user_id: payment.userId,
      wallet_id: payment.walletId.toString(),
      model: payment.model,
      price_version_id: payment.priceVersionId.toString(),
      price_multiplier: payment.priceMultiplier,
      event_id: id,
      event_at: event.startedAt.toISOString(),
      relayed: before.length > 0,
      cost: (earlier + charged + owed).toString(),
      owed: owed.toString(),
      balance_after: result.balanceAfter.toString(),
      charged_at: new Date().toISOString(),
    },
  };
}

/**
 * The relay was first, with all of it. What came to nothing for the relay's client costs nothing here either. What the last part owes is told;
 * those before it have bills of their own.
 */
export function relayedOutcome(unpaid: Unpaid, parts: readonly Part[], charges: ReadonlyMap<string, SettleResult>): Outcome {
  const { message, traceId, decision } = unpaid;
  const { claim, event } = parts.at(-1)!;
  const payer = payerOf(decision);
  const kept = {
    user_id: event?.userId ?? payer?.userId ?? null,
    wallet_id: (event?.walletId ?? payer?.walletId)?.toString() ?? null,
    model: event?.model ?? null,
    price_version_id: event?.priceVersionId?.toString() ?? null,
    price_multiplier: event?.priceMultiplier ?? null,
    event_id: claim.eventId,
    event_at: new Date(claim.eventAt).toISOString(),
    relayed: true,
  };
  if (parts.some((part) => !part.claim.free && !part.event?.settledAt)) {
    return {
      answer: refusedAnswer("conflict", "The relay recorded this message and an operator is to look at it", traceId),
      kept: { ...UNCHARGED, ...kept, state: "open", reason: "relay_waits" },
    };
  }
  const charged = parts.filter((part) => !part.claim.free);
  const owed = event && !claim.free ? event.owed : 0n;
  const cost = costOf(charged);
  const counted = charged.reduce((sum, part) => ({ input: sum.input + part.event!.input, output: sum.output + part.event!.output }), {
    input: 0,
    output: 0,
  });
  const same =
    charged.length < parts.length ||
    (parts.length === 1
      ? counted.input === message.inputTokens && counted.output === message.outputTokens
      : counted.input + counted.output === tokensUsed(message));
  return {
    answer: chargedAnswer({ eventId: claim.eventId, taken: cost - owed, owed, tokensUsed: tokensUsed(message) }, traceId),
    kept: {
      ...kept,
      state: owed > 0n ? "open" : "charged",
      reason: owed > 0n ? "insufficient_balance" : null,
      cost: cost.toString(),
      owed: owed.toString(),
      balance_after: charges.get(claim.eventId)?.balanceAfter.toString() ?? null,
      charged_at: (event?.settledAt ?? new Date()).toISOString(),
    },
    ...(same ? {} : { disagrees: counted }),
  };
}
