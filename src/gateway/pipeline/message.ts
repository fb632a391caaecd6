import { difyMessageKey } from "../../usage/index.ts";
import type { Call } from "./call.ts";
import type { RelayDeps } from "./deps.ts";
import type { Made } from "./format.ts";

type MessageDeps = Pick<RelayDeps, "usage">;

/** Says which call makes a message, so that whoever reports it before the call is recorded settles it against the call's hold. Never rejects. */
export async function noteMessage(deps: MessageDeps, call: Call, { charge }: Made): Promise<void> {
  if (charge === undefined) return;
  const { principal, keyId, tokenId } = call.caller!;
  const { id: providerId, name: providerName } = call.candidate!.provider;
  await deps.usage.noteMessage({
    messageKey: difyMessageKey(charge),
    callId: call.id,
    calledAt: call.startedAt,
    userId: principal.userId,
    walletId: principal.walletId,
    keyId,
    tokenId,
    model: call.model!.name,
    providerId,
    providerName,
    priceVersionId: call.price!.id,
    priceMultiplier: call.priceMultiplier,
    quotaWeight: call.quotaWeight ?? null,
  });
}

/**
 * Says that what was made costs nothing, before the hold is free: somebody else may report it as complete. Who has reported it before was
 * charged, and stays so. Resolves soon, and never rejects.
 */
export async function waiveMessage(deps: MessageDeps, call: Call, made: Made | undefined = call.made): Promise<void> {
  if (made?.charge === undefined) return;
  await deps.usage.waiveMessage({ messageKey: difyMessageKey(made.charge), callId: call.id, calledAt: call.startedAt });
}
