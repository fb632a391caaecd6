import { cost, type TokenClasses, type Units } from "../../pricing/index.ts";
import type { UpstreamAttempt, UsageEvent } from "../../usage/index.ts";
import type { UpstreamPrices } from "../providers/index.ts";
import type { Call } from "./call.ts";

const NOTHING: TokenClasses = { input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0 };
/** After these the provider had the whole prompt and worked on it, for all we know. */
const WORKED = new Set([
  "client_gone",
  "upstream_first_byte_timeout",
  "upstream_idle_timeout",
  "upstream_total_timeout",
  "upstream_closed",
  "upstream_malformed",
  "shutdown",
]);

type Ending = Pick<UsageEvent, "status" | "errorCode" | "errorClass">;

/** What a provider bills for an attempt, in millionths of its currency. */
function costOf(costs: UpstreamPrices | null, tokens: TokenClasses, units: Units | undefined): Pick<UpstreamAttempt, "cost" | "currency"> {
  return costs ? { cost: cost(costs.prices, tokens, units), currency: costs.currency } : { cost: null, currency: null };
}

const isNothing = (tokens: TokenClasses) =>
  tokens.input === 0 && tokens.cachedInput === 0 && tokens.cacheWrite === 0 && tokens.output === 0;

/**
 * The attempts of a call with what each is taken to cost. Aborting is not free: a provider bills the prompt it was given and what it put
 * out until then, whether or not the caller is charged; one that answered with an error, or could not be reached, bills nothing.
 */
export function attemptsOf(call: Call, used: { tokens: TokenClasses; units?: Units | undefined }, end: Ending): UpstreamAttempt[] {
  const { candidate } = call;
  if (!candidate) return [];
  const nowMs = performance.now();
  const worked = WORKED.has(end.errorCode ?? "");
  const unseen = end.status !== "ok" && isNothing(used.tokens);
  const tokens = !unseen ? used.tokens : worked ? { ...NOTHING, input: call.promptTokens } : NOTHING;
  const units = unseen && !worked ? { requests: 0 } : used.units;
  return [
    {
      providerId: candidate.provider.id,
      provider: candidate.provider.name,
      upstreamModel: candidate.upstreamModel,
      status: end.status === "client_gone" ? "gone" : end.status,
      errorCode: end.errorCode,
      errorClass: end.errorClass,
      startedMs: call.sentMs - call.startedMs,
      firstByteMs: call.firstByteMs === null ? null : call.firstByteMs - call.sentMs,
      durationMs: nowMs - call.sentMs,
      ...(tokens === used.tokens ? {} : { tokens }),
      ...costOf(candidate.costs, tokens, units),
    },
  ];
}
