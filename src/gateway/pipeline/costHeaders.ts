import { formatCredits } from "../../platform/credits.ts";
import type { Call } from "./call.ts";
import type { RelayDeps } from "./deps.ts";
import type { Tally } from "./tally.ts";

/** What is known when an answer begins: the version of the model's price, and how many requests to providers it took. */
export function addCallHeaders(call: Call): void {
  if (call.price) call.answer.headers.push("x-tollkeeper-price-version", String(call.price.version));
  if (call.tries.length > 0) call.answer.headers.push("x-tollkeeper-attempts", String(call.tries.length));
}

/** An end user with a token is not told what the key's owner has. */
function addBalance(call: Call, balance: bigint): void {
  if (call.caller?.tokenId === null) call.answer.headers.push("x-tollkeeper-balance", formatCredits(balance));
}

/** What the wallet has left for others while a stream runs: all but what running calls hold, this one's hold included. */
export function addStreamBalance(call: Call): void {
  if (call.balance !== undefined) addBalance(call, call.balance);
}

/**
 * What a whole answer costs and what it leaves in the wallet, in credits. Left out when that is more than was held: what of the rest is
 * charged shows in settlement.
 */
export function addCostHeader(deps: Pick<RelayDeps, "pricing">, call: Call, tally: Tally): void {
  const cost = deps.pricing.cost(call.price!, tally.tokens, tally.units, call.priceMultiplier);
  if (cost > call.held) return;
  call.answer.headers.push("x-tollkeeper-cost", formatCredits(cost));
  if (call.balance !== undefined) addBalance(call, call.balance + call.held - cost);
}
