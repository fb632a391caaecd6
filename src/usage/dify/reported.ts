import type { TokenClasses } from "../../pricing/index.ts";
import { difyMessageKey } from "../difyMessage.ts";
import { REPORTED, type UsageEvent } from "../event.ts";
import type { MessageCall } from "../messageCalls.ts";
import type { PendingEvent } from "../repository.ts";
import type { DifyMessage } from "./message.ts";
import type { Charge, Decision } from "./price.ts";
import type { RelayedEvent } from "./relayed.ts";

/** A message that nobody has been charged for, as its transaction holds it. */
export interface Unpaid {
  /** Of the kept event, and of the usage event if the webhook is first. */
  id: string;
  message: DifyMessage;
  decision: Decision;
  traceId: string;
  receivedAt: Date;
}

/** Who pays for a message by which price, and the call that made it, if it was relayed. */
export interface Payment {
  userId: string;
  walletId: bigint;
  keyId: string | null;
  tokenId: string | null;
  model: string;
  providerId: string | null;
  providerName: string | null;
  priceVersionId: bigint;
  priceMultiplier: number;
  /** When what is charged began: the call, or the message itself. */
  at: Date;
  /** The hold of the call. It pays by the rules of relayed calls, so that it is the same who reports a message first. */
  call?: Pick<MessageCall, "callId" | "quotaWeight">;
  /** The usage event before it, where no call has a hold for it: it counts on the limits of that. */
  after?: { eventId: string; quotaWeight: number | null };
}

/** The payment of a message that no call of ours made, as far as anybody knows. */
export const paymentOf = ({ payer, model, version, multiplier }: Charge, message: DifyMessage): Payment => ({
  userId: payer.userId,
  walletId: payer.walletId,
  keyId: null,
  tokenId: null,
  model: model.name,
  providerId: null,
  providerName: "dify",
  priceVersionId: version.id,
  priceMultiplier: multiplier,
  at: message.at,
});

/** The payment of a message as the call that makes it. */
export const paymentAs = (call: Omit<MessageCall, "messageKey">): Payment => ({ ...call, at: call.calledAt, call });

/** The payment of what came after a run's pause, or its client left, by the terms of what came before. `quotaWeight`: of its model, then. */
export const paymentAfter = (part: RelayedEvent, message: DifyMessage, quotaWeight: number | null): Payment => ({
  ...part,
  providerId: null,
  providerName: "dify",
  priceVersionId: part.priceVersionId!,
  at: message.at,
  after: { eventId: part.id, quotaWeight },
});

/** The usage event of a report: `id` is the kept event's, `messageKey` what of the message it is. */
export const usageEventOf = (
  id: string,
  message: DifyMessage,
  payment: Payment,
  tokens: Pick<TokenClasses, "input" | "output">,
  messageKey = difyMessageKey(message.messageId),
): UsageEvent => ({
  id,
  requestId: message.requestId,
  userId: payment.userId,
  walletId: payment.walletId,
  keyId: payment.keyId,
  tokenId: payment.tokenId,
  model: payment.model,
  providerId: payment.providerId,
  providerName: payment.providerName,
  route: REPORTED,
  priceVersionId: payment.priceVersionId,
  priceMultiplier: payment.priceMultiplier,
  tokens: { input: tokens.input, cachedInput: 0, cacheWrite: 0, output: tokens.output, reasoning: 0 },
  status: "ok",
  errorCode: null,
  estimated: false,
  startedAt: payment.at,
  firstChunkMs: null,
  durationMs: 0,
  httpStatus: 200,
  clientIp: null,
  retryCount: 0,
  stream: false,
  upstreamRequestId: message.messageId,
  messageKey,
});

/** The event just recorded, as settlement reads it from the table. `holdId`: the hold that pays for it, null for none. */
export const pendingOf = (event: UsageEvent, holdId?: string | null): PendingEvent => ({
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
  ...(holdId === undefined ? {} : { hold_id: holdId }),
});
