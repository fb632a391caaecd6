import { cost, type TokenClasses, type Units } from "../../pricing/index.ts";
import type { UpstreamAttempt, UsageEvent } from "../../usage/index.ts";
import type { UpstreamPrices } from "../providers/index.ts";
import type { Attempt } from "./attempt.ts";
import type { Call } from "./call.ts";
import type { Tally } from "./tally.ts";

interface Used {
  tokens: TokenClasses;
  units?: Units | undefined;
}

const NOTHING: Used = { tokens: { input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0 }, units: { requests: 0 } };
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
function costOf(costs: UpstreamPrices | null, used: Used): Pick<UpstreamAttempt, "cost" | "currency"> {
  return costs ? { cost: cost(costs.prices, used.tokens, used.units), currency: costs.currency } : { cost: null, currency: null };
}

const isNothing = ({ tokens }: Used) =>
  tokens.input === 0 &&
  tokens.cachedInput === 0 &&
  tokens.cacheWrite === 0 &&
  !tokens.cacheWriteLong &&
  tokens.output === 0 &&
  tokens.reasoning === 0;

/** What was used as far as was seen; of an attempt that showed nothing, the prompt when the provider worked on it. */
function usedBy(call: Call, seen: Used, status: UpstreamAttempt["status"], errorCode: string | null): Used {
  if (status === "ok" || !isNothing(seen)) return seen;
  return WORKED.has(errorCode ?? "") ? { tokens: { ...NOTHING.tokens, input: call.promptTokens } } : NOTHING;
}

function recordOf(
  call: Call,
  attempt: Attempt,
  ending: Pick<UpstreamAttempt, "status" | "errorCode" | "errorClass">,
  seen: Used,
  charged?: TokenClasses,
): UpstreamAttempt {
  const { candidate } = attempt;
  const used = usedBy(call, seen, ending.status, ending.errorCode ?? null);
  return {
    providerId: candidate.provider.id,
    provider: candidate.provider.name,
    upstreamModel: candidate.upstreamModel,
    key: attempt.keyFingerprint,
    ...ending,
    httpStatus: attempt.status,
    said: attempt.said,
    startedMs: attempt.startedMs - call.startedMs,
    firstByteMs: attempt.firstByteMs === null ? null : attempt.firstByteMs - attempt.startedMs,
    durationMs: (attempt.endedMs ?? performance.now()) - attempt.startedMs,
    ...(used.tokens === charged || isNothing(used) ? {} : { tokens: used.tokens }),
    ...costOf(candidate.costs, used),
  };
}

/** What set going what the call went on to read has not failed. */
const endingOf = ({ outcome, errorCode, errorClass }: Attempt): Pick<UpstreamAttempt, "status" | "errorCode" | "errorClass"> =>
  outcome === "ok" ? { status: "ok", errorCode: null, errorClass: null } : { status: "failed", errorCode, errorClass };

/**
 * The attempts of a call with what each is taken to cost. Aborting is not free: a provider bills the prompt it was given and what it put
 * out until then, whether or not the caller is charged; one that answered with an error, or could not be reached, bills nothing. All but
 * the last ended before any content.
 */
export function attemptsOf(call: Call, tally: Tally, end: Ending): UpstreamAttempt[] {
  const { tries } = call;
  const last = tries.length - 1;
  return tries.map((attempt, index) => {
    // Also the last one, when the client left while the call waited to be sent again.
    if (index < last || (attempt.outcome === "failed" && end.status === "client_gone"))
      return recordOf(call, attempt, endingOf(attempt), NOTHING);
    const { errorCode, errorClass } = end;
    const status = end.status === "client_gone" ? "gone" : end.status;
    const used = { tokens: tally.made ?? tally.tokens, units: tally.units };
    return recordOf(call, attempt, { status, errorCode, errorClass }, used, tally.tokens);
  });
}
