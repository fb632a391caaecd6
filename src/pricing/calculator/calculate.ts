import { formatCredits } from "../../platform/credits.ts";
import { formatDecimal } from "../../platform/decimal.ts";
import { fieldError } from "../../platform/errors.ts";
import { multiplierFor } from "../multipliers/multiplier.ts";
import { costParts, formatMultiplier, partSum, type CostPart, type TokenClasses, type Units } from "../price.ts";
import type { Pricing } from "../pricing.ts";

/** One kind of call, made so many times. */
export interface CalculatorItem {
  model: string;
  tokens: TokenClasses;
  units: Units;
  calls: number;
}

/** For whom and when: what a multiplier may depend on. */
export interface CalculatorCase {
  tier: string;
  keyGroup: string | null;
  at: Date;
}

/** Thousandths of a micro-credit in credits, exact. */
const exactCredits = (sum: bigint): string => formatDecimal(sum, 9);

function lineView(part: CostPart) {
  const price = formatCredits(part.price);
  const sum = exactCredits(partSum(part));
  return {
    what: part.what,
    count: part.count,
    price,
    per: part.per,
    points: sum,
    text: part.per === 1 ? `${part.count} × ${price} = ${sum}` : `${part.count} × ${price} / 1000 = ${sum}`,
  };
}

/**
 * What calls cost, by the very function that charges them, with the arithmetic: each line exact, the sum multiplied and rounded up once per
 * call. Throws `validation_failed` for a model that is unknown or has no price.
 */
export async function calculate(
  pricing: Pick<Pricing, "model" | "versionAt" | "cost">,
  items: readonly CalculatorItem[],
  { tier, keyGroup, at }: CalculatorCase,
) {
  let total = 0n;
  const shown: object[] = [];
  for (const [n, item] of items.entries()) {
    const model = await pricing.model(item.model);
    if (!model) throw fieldError(`items.${n}.model`, "is not a model");
    const version = await pricing.versionAt(model, at);
    if (!version) throw fieldError(`items.${n}.model`, "has no price");
    const multiplier = multiplierFor(model.rules, { tier, keyGroup, model: model.name, at });
    const lines = costParts(version, item.tokens, item.units);
    const each = pricing.cost(version, item.tokens, item.units, multiplier);
    const all = each * BigInt(item.calls);
    total += all;
    const sum = exactCredits(lines.reduce((of, line) => of + partSum(line), 0n));
    const times = formatMultiplier(multiplier);
    const points = formatCredits(each);
    shown.push({
      model: model.name,
      price_version: version.version,
      price_multiplier: times,
      lines: lines.map(lineView),
      sum,
      points_per_call: points,
      calls: item.calls,
      points: formatCredits(all),
      text: `${sum}${times === "1" ? "" : ` × ${times}`} → ${points} a call${item.calls === 1 ? "" : `; × ${item.calls} calls = ${formatCredits(all)}`}`,
    });
  }
  return { items: shown, total: formatCredits(total), tier, key_group: keyGroup, at: at.toISOString() };
}
