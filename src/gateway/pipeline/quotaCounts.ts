import type { HoldCounts } from "../../ledger/index.ts";
import { DEFAULT_SAFETY_PERCENT } from "../../pricing/index.ts";
import type { Call } from "./call.ts";
import type { RelayDeps } from "./deps.ts";

/** The prompt as it is held: as counted, with the margin for a count that is too low, and the most of what cannot be seen here. */
const promptOf = (call: Call): number =>
  Math.ceil((call.promptTokens * (call.model!.safetyPercent ?? DEFAULT_SAFETY_PERCENT)) / 100) + call.unseenTokens;

/**
 * What a call counts in quotas of requests and tokens, in hundredths: one request and its tokens by the weight of its model, which is
 * what the plan says or what every limit on tokens goes by. `leastOutput` when the call may be given a lower cap than it asked for.
 */
export async function countsOf(
  deps: Pick<RelayDeps, "limits">,
  call: Call,
  weights: Readonly<Record<string, number>>,
  leastOutput: number | undefined,
): Promise<HoldCounts> {
  const model = call.model!.name;
  const weight = weights[model] ?? (deps.limits.peek() ?? (await deps.limits.get())).weightOf(model);
  const weighed = (output: number) => BigInt(promptOf(call) + output) * BigInt(weight);
  const most = call.outputLimit + call.besideAnswer;
  call.quotaWeight = weight;
  return {
    requests: BigInt(weight),
    tokens: weighed(most),
    ...(leastOutput === undefined || leastOutput >= most ? {} : { leastTokens: weighed(leastOutput) }),
  };
}

/** How long the answer may be when quotas leave the call so many tokens (in hundredths). */
export function outputWithin(call: Call, tokens: bigint): number {
  return Math.max(0, Number(tokens / BigInt(call.quotaWeight!)) - promptOf(call) - call.besideAnswer);
}
