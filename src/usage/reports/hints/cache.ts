import { cost, type PricedModel, type TokenClasses } from "../../../pricing/index.ts";
import type { Repeated } from "./facts.ts";
import { groupBy, LEAST_AMOUNT, LEAST_CALLS, readable, type Hint } from "./hint.ts";

const NONE: TokenClasses = { input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0 };
/** Below this share of repeated input there is nothing to gain by arranging prompts. */
const LEAST_PERCENT = 10;

/** Prompts that are sent again and paid in full although the model has a price for cached input. Pure. */
export function unusedCacheHints(repeated: readonly Repeated[], models: ReadonlyMap<string, PricedModel>): Hint[] {
  return [...groupBy(repeated, ({ model }) => model)].flatMap(([name, rows]): Hint[] => {
    const price = models.get(name)?.price;
    const total = (pick: (row: Repeated) => number) => rows.reduce((sum, row) => sum + pick(row), 0);
    const input = total((row) => row.input);
    const percent = input === 0 ? 0 : Math.floor((total((row) => row.repeated) * 100) / input);
    if (!price || price.cachedInputPrice === null || percent < LEAST_PERCENT || total((row) => row.calls) < LEAST_CALLS) return [];
    const amount = rows.reduce((sum, { missed, multiplier }) => {
      const full = cost(price, { ...NONE, input: missed }, { requests: 0 }, multiplier);
      return sum + full - cost(price, { ...NONE, cachedInput: missed }, { requests: 0 }, multiplier);
    }, 0n);
    if (amount < LEAST_AMOUNT) return [];
    const cached = Math.floor((total((row) => row.cached) * 100) / input);
    return [
      {
        kind: "unused_cache",
        amount,
        per: "30_days",
        model: name,
        reason:
          `At least ${percent} % of the input of ${name} was sent again within 5 minutes, and ${cached} % was read from the provider's cache. ` +
          `Keep the beginning of prompts the same and send prompt_cache_key or x-session-id: about ${readable(amount)} credits a month.`,
        facts: { repeated_percent: percent, cached_percent: cached, missed_tokens: total((row) => row.missed) },
      },
    ];
  });
}
