import { sum, usageField, type Counts } from "../upstream/content/counts.ts";
import type { Plan } from "./plan.ts";

const PROMPT_PRICE = 0.001;
const COMPLETION_PRICE = 0.002;
const PER = 1_000;

const price = (tokens: unknown, each: number): string => ((Number(tokens) || 0) * (each / PER)).toFixed(7);

/** Usage of a message as Dify writes it: prices are decimal text. */
function messageUsage({ prompt, completion }: Counts): object {
  return {
    prompt_tokens: prompt,
    prompt_unit_price: String(PROMPT_PRICE),
    prompt_price_unit: "0.001",
    prompt_price: price(prompt, PROMPT_PRICE),
    completion_tokens: completion,
    completion_unit_price: String(COMPLETION_PRICE),
    completion_price_unit: "0.001",
    completion_price: price(completion, COMPLETION_PRICE),
    total_tokens: sum(prompt, completion),
    total_price: (Number(price(prompt, PROMPT_PRICE)) + Number(price(completion, COMPLETION_PRICE))).toFixed(7),
    currency: "USD",
    latency: 1.2345,
  };
}

/** `metadata` of a message. */
export const metadataOf = ({ counts }: Pick<Plan, "counts">): object => ({
  ...usageField(counts, messageUsage),
  retriever_resources: [],
});

/** `{total_tokens}` of a run, which has no more than the sum; {} for none. */
export function totalOf({ counts }: Pick<Plan, "counts">): { total_tokens?: unknown } {
  if (counts === "none") return {};
  return { total_tokens: counts === "shape" ? "plenty" : sum(counts.prompt, counts.completion) };
}
