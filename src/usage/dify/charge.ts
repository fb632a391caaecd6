import { appError } from "../../platform/errors.ts";
import type { PoolClient } from "../../platform/postgres.ts";
import { difyMessageKey } from "../difyMessage.ts";
import { eventJson, REPORTED, shardOf, type UsageEvent } from "../event.ts";
import { takeOne, type PendingEvent } from "../repository.ts";
import type { Settlement } from "../settlement.ts";
import { chargedAnswer, refusedAnswer, type DifyAnswer } from "./answers.ts";
import { tokensUsed, type DifyMessage } from "./message.ts";
import { tokensOf, type Charge, type Decision, type OpenReason } from "./price.ts";
import { recordedFor, recordReported, relayedEvents, type KeptEvent, type RelayedEvent } from "./repository.ts";

/** A message that nobody has been charged for, as its transaction holds it. */
export interface Unpaid {
  /** Of the kept event, and of the usage event if the webhook is first. */
  id: string;
  message: DifyMessage;
  decision: Decision;
  traceId: string;
}

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
}

const SENTENCES: Record<OpenReason, string> = {
  user_not_found: "There is no such user; the event is kept for an operator",
  model_not_found: "There is no such model; the event is kept for an operator",
  model_not_priced: "This model has no price; the event is kept and charged when it has one",
  cost_out_of_range: "The cost is out of range; the event is kept for an operator",
};

const CODES = {
  user_not_found: "user_not_found",
  model_not_found: "model_not_found",
  model_not_priced: "model_not_priced",
  cost_out_of_range: "validation_failed",
} as const;

function usageEvent(id: string, message: DifyMessage, charge: Charge): UsageEvent {
  return {
    id,
    requestId: message.requestId,
    userId: charge.payer.userId,
    walletId: charge.payer.walletId,
    keyId: null,
    model: charge.model.name,
    providerId: null,
    providerName: "dify",
    route: REPORTED,
    priceVersionId: charge.version.id,
    priceMultiplier: charge.multiplier,
    tokens: tokensOf(message),
    status: "ok",
    errorCode: null,
    estimated: false,
    startedAt: message.at,
    firstChunkMs: null,
    durationMs: 0,
    httpStatus: 200,
    clientIp: null,
    retryCount: 0,
    stream: false,
    upstreamRequestId: message.messageId,
    messageKey: difyMessageKey(message.messageId),
  };
}

/** The event just recorded, as settlement reads it from the table. */
function pendingOf(event: UsageEvent): PendingEvent {
  return {
    id: event.id,
    created_at: event.startedAt.toISOString(),
    request_id: event.requestId ?? event.id,
    user_id: event.userId,
    wallet_id: event.walletId,
    model: event.model,
    price_version_id: event.priceVersionId,
    input_tokens: BigInt(event.tokens.input),
    cached_input_tokens: 0n,
    cache_write_tokens: 0n,
    cache_write_long_tokens: 0n,
    output_tokens: BigInt(event.tokens.output),
    reasoning_tokens: 0n,
    units: null,
    price_multiplier: event.priceMultiplier!,
    route: event.route,
    waited: 0,
  };
}

function stillOpen({ decision, traceId }: Unpaid, reason: OpenReason): Outcome {
  const payer = decision.kind === "open" ? decision.payer : undefined;
  return {
    answer: refusedAnswer(CODES[reason], SENTENCES[reason], traceId),
    kept: { ...UNCHARGED, state: "open", reason, user_id: payer?.userId ?? null, wallet_id: payer?.walletId.toString() ?? null },
  };
}

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

/**
 * Charges messages in the caller's transaction: each is recorded as a usage event and settled by the settlement that settles relayed calls.
 * One that the relay has recorded before costs what the relay's event costs, which is settled here when it is not yet. One outcome per
 * message, in order. `committed` is for after the commit.
 */
export async function chargeMessages(
  tx: PoolClient,
  deps: { settlement: Pick<Settlement, "settleIn">; shards: number },
  messages: readonly Unpaid[],
): Promise<{ outcomes: Outcome[]; committed(): void }> {
  const events = new Map<string, UsageEvent>();
  for (const { id, message, decision } of messages) {
    if (decision.kind === "charge") events.set(id, usageEvent(id, message, decision.charge));
  }
  const known =
    events.size === 0
      ? []
      : await recordReported(
          tx,
          [...events.values()].map((event) => eventJson(event, shardOf(event.walletId, deps.shards))),
        );
  // Whoever is not known here, or whose model is not, may have been charged by the relay all the same.
  const seconds = messages.filter(({ id, decision }) => decision.kind === "open" || known.includes(id));
  const relayed =
    seconds.length === 0
      ? new Map<string, string>()
      : await recordedFor(
          tx,
          seconds.map(({ message }) => difyMessageKey(message.messageId)),
        );
  const relays = [...new Set(relayed.values())].sort();
  const waiting: PendingEvent[] = [];
  for (const id of relays) {
    const event = await takeOne(tx, id);
    if (event) waiting.push(event);
  }
  const fresh = [...events.values()].filter(({ id }) => !known.includes(id));
  const { charges, committed } = await deps.settlement.settleIn(tx, [...fresh.map(pendingOf), ...waiting]);
  const found: ReadonlyMap<string, RelayedEvent> = relays.length === 0 ? new Map() : await relayedEvents(tx, relays);

  function own({ id, message, traceId }: Unpaid, charge: Charge): Outcome {
    const result = charges.get(id);
    if (!result) throw appError("internal_error", { message: `the message ${message.messageId} was recorded and not settled` });
    const cost = result.charged + result.owed;
    const note = message.totalTokens === tokensUsed(message) ? undefined : "total_tokens is not the sum of its parts, which were charged";
    return {
      answer: chargedAnswer({ eventId: id, taken: result.charged, owed: result.owed, tokensUsed: tokensUsed(message) }, traceId, note),
      kept: {
        state: result.owed > 0n ? "open" : "charged",
        reason: result.owed > 0n ? "insufficient_balance" : null,
        user_id: charge.payer.userId,
        wallet_id: charge.payer.walletId.toString(),
        model: charge.model.name,
        price_version_id: charge.version.id.toString(),
        price_multiplier: charge.multiplier,
        event_id: id,
        event_at: message.at.toISOString(),
        relayed: false,
        cost: cost.toString(),
        owed: result.owed.toString(),
        balance_after: result.balanceAfter.toString(),
        charged_at: new Date().toISOString(),
      },
    };
  }

  function second(unpaid: Unpaid, relayId: string): Outcome {
    const { message, traceId } = unpaid;
    const event = found.get(relayId);
    const kept = {
      user_id: event?.user_id ?? null,
      wallet_id: event?.wallet_id.toString() ?? null,
      model: event?.model ?? null,
      price_version_id: event?.price_version_id?.toString() ?? null,
      price_multiplier: event?.price_multiplier ?? null,
      event_id: relayId,
      event_at: event?.created_at ?? null,
      relayed: true,
    };
    if (!event?.settled_at) {
      return {
        answer: refusedAnswer("conflict", "The relay recorded this message and an operator is to look at it", traceId),
        kept: { ...UNCHARGED, ...kept, state: "open", reason: "relay_waits" },
      };
    }
    const taken = event.cost ?? 0n;
    const counted = { input: Number(event.input), output: Number(event.output) };
    const same = counted.input === message.inputTokens && counted.output === message.outputTokens;
    return {
      answer: chargedAnswer({ eventId: relayId, taken, owed: 0n, tokensUsed: tokensUsed(message) }, traceId),
      kept: {
        ...kept,
        state: "charged",
        reason: null,
        cost: taken.toString(),
        owed: "0",
        balance_after: charges.get(relayId)?.balanceAfter.toString() ?? null,
        charged_at: event.settled_at.toISOString(),
      },
      ...(same ? {} : { disagrees: counted }),
    };
  }

  const outcomes = messages.map((unpaid): Outcome => {
    const { decision, message } = unpaid;
    const relayId = relayed.get(difyMessageKey(message.messageId));
    if (relayId !== undefined && relayId !== unpaid.id) return second(unpaid, relayId);
    return decision.kind === "charge" ? own(unpaid, decision.charge) : stillOpen(unpaid, decision.reason);
  });
  return { outcomes, committed };
}
