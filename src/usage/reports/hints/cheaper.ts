import { cost, type PricedModel } from "../../../pricing/index.ts";
import { SHORT_ANSWER, type Mix } from "./facts.ts";
import { groupBy, LEAST_AMOUNT, LEAST_CALLS, readable, type Hint } from "./hint.ts";

const LEAST_PERCENT = 10n;

/** The routes at which models can be called now, by model. */
export type Callable = ReadonlyMap<string, ReadonlySet<string>>;

/** What the same calls would have cost with another model's price. */
function costWith(model: PricedModel, rows: readonly Mix[]): bigint {
  return rows.reduce((sum, { tokens, calls, multiplier }) => sum + cost(model.price!, tokens, { requests: calls }, multiplier), 0n);
}

/**
 * Short answers that another model would give for less, at the very tokens that were used. Only models of the same kind that can be called
 * now at the same routes and take the longest prompt there was are compared. Pure.
 */
export function cheaperModelHints(mixes: readonly Mix[], models: ReadonlyMap<string, PricedModel>, callable: Callable): Hint[] {
  const short = mixes.filter((mix) => mix.short);
  return [...groupBy(short, ({ model }) => model)].flatMap(([name, rows]): Hint[] => {
    const own = models.get(name);
    const calls = rows.reduce((sum, row) => sum + row.calls, 0);
    if (!own || calls < LEAST_CALLS) return [];
    const paid = rows.reduce((sum, row) => sum + row.cost, 0n);
    const longest = Math.max(...rows.map((row) => row.longestInput));
    const routes = new Set(rows.flatMap((row) => row.routes));
    const isCallable = (other: string): boolean => {
      const at = callable.get(other);
      return at !== undefined && [...routes].every((route) => at.has(route));
    };
    const offers = [...models.values()]
      .filter((other) => other.name !== name && other.price && isCallable(other.name) && other.modality === own.modality)
      .filter(({ contextLength }) => contextLength === null || contextLength >= longest + SHORT_ANSWER)
      .map((other) => ({ name: other.name, cost: costWith(other, rows) }))
      .sort((a, b) => (a.cost === b.cost ? (a.name < b.name ? -1 : 1) : a.cost < b.cost ? -1 : 1));
    const best = offers[0];
    if (!best) return [];
    const amount = paid - best.cost;
    if (amount < LEAST_AMOUNT || amount * 100n < paid * LEAST_PERCENT) return [];
    return [
      {
        kind: "cheaper_model",
        amount,
        per: "30_days",
        model: name,
        reason:
          `${calls} answers of ${name} had at most ${SHORT_ANSWER} tokens and cost ${readable(paid)} credits; with your tokens ${best.name} would ` +
          `cost ${readable(amount)} less. Try whether its answers are good enough.`,
        facts: { calls, paid: readable(paid), other_model: best.name, other_cost: readable(best.cost) },
      },
    ];
  });
}
