import type { CallTerms, OpenRun } from "../../dify/runs/index.ts";
import type { Call } from "../../pipeline/call.ts";

/** By which terms a call pays for what it lets go on. */
export function termsOf(call: Call): CallTerms {
  const { keyId, tokenId } = call.caller!;
  return {
    keyId,
    tokenId,
    priceVersionId: call.price!.id,
    priceMultiplier: call.priceMultiplier,
    quotaWeight: call.quotaWeight ?? null,
    beganBy: call.id,
    beganAt: call.startedAt,
  };
}

/** The run that a call has made, as it is paid for to its end; undefined for what is no run. */
export function openRun(call: Call, owner: string): OpenRun | undefined {
  const { run, message, task } = call.made ?? {};
  if (run === undefined) return undefined;
  const { principal } = call.caller!;
  const { id: providerId, name: providerName } = call.candidate!.provider;
  return {
    owner,
    run,
    charge: message ?? run,
    task: task ?? null,
    ofMessage: message !== undefined,
    userId: principal.userId,
    walletId: principal.walletId,
    model: call.model!.name,
    providerId,
    providerName,
    ...termsOf(call),
  };
}
