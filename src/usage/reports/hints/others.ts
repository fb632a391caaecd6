import type { Balance } from "../../../ledger/index.ts";
import type { Broken, RecentCall } from "./facts.ts";
import { groupBy, LEAST_AMOUNT, LEAST_CALLS, readable, type Hint } from "./hint.ts";

/** A hold so many times the cost keeps other calls from running. */
const MANY_TIMES = 5n;
/** Credit that expires later than this can still be used as it comes. */
const SOON_MS = 30 * 86_400_000;
const DAY_MS = 86_400_000n;

/** Calls whose hold is far above their cost: their max_tokens is never used. `held` by call. Pure. */
export function largeHoldHints(calls: readonly RecentCall[], held: ReadonlyMap<string, bigint>): Hint[] {
  const known = calls.filter(({ id }) => held.has(id));
  return [...groupBy(known, ({ model }) => model)].flatMap(([model, rows]): Hint[] => {
    const count = BigInt(rows.length);
    if (rows.length < LEAST_CALLS) return [];
    const holding = rows.reduce((sum, { id }) => sum + held.get(id)!, 0n) / count;
    const costing = rows.reduce((sum, call) => sum + call.cost, 0n) / count;
    const amount = holding - costing;
    if (holding < costing * MANY_TIMES || amount < LEAST_AMOUNT) return [];
    const longest = Math.max(...rows.map(({ output }) => output));
    return [
      {
        kind: "large_max_tokens",
        amount,
        per: "call",
        model,
        reason:
          `Your last ${rows.length} calls of ${model} each held ${readable(holding)} credits and cost ${readable(costing)}. The longest answer had ` +
          `${longest} tokens: with max_tokens near that, ${readable(amount)} credits of each running call stay free for others.`,
        facts: { calls: rows.length, held: readable(holding), cost: readable(costing), longest_answer: longest },
      },
    ];
  });
}

/** Calls that were paid although they failed or their client left. Pure. */
export function brokenCallHints({ calls, cost }: Broken): Hint[] {
  if (cost < LEAST_AMOUNT) return [];
  return [
    {
      kind: "broken_calls",
      amount: cost,
      per: "30_days",
      model: null,
      reason:
        `${calls} calls were left by their client or failed after they had begun to answer, and cost ${readable(cost)} credits for what had ` +
        `been delivered. Longer time limits at the client, or shorter answers, save that.`,
      facts: { calls },
    },
  ];
}

/** Credit that will expire unused if spending goes on as it did: `daily` micro-credits a day. Sources are in the order in which they burn. Pure. */
export function expiringCreditHints(sources: Balance["sources"], daily: bigint, now: Date): Hint[] {
  const hints: Hint[] = [];
  let before = 0n;
  for (const { source, amount, expiresAt } of sources) {
    const leftMs = expiresAt === null ? Infinity : expiresAt.getTime() - now.getTime();
    if (expiresAt !== null && leftMs > 0 && leftMs <= SOON_MS) {
      const spending = (daily * BigInt(leftMs)) / DAY_MS;
      const burned = spending > before ? spending - before : 0n;
      const unused = amount > burned ? amount - burned : 0n;
      const date = expiresAt.toISOString().slice(0, 10);
      if (unused >= LEAST_AMOUNT) {
        hints.push({
          kind: "expiring_credit",
          amount: unused,
          per: "once",
          model: null,
          reason:
            `${readable(amount)} credits (${source}) expire on ${date}; at ${readable(daily)} credits a day about ${readable(unused)} of them would ` +
            `not be used.`,
          facts: { source, credits: readable(amount), expires_on: date, daily: readable(daily) },
        });
      }
    }
    before += amount;
  }
  return hints;
}
