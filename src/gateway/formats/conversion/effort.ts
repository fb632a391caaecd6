/** The smallest budget for thinking that Anthropic takes. */
export const LEAST_THINKING = 1_024;

/** OpenAI's words for how much to think, as parts of the answer's cap. */
const PARTS: Record<string, number> = { minimal: 0, low: 0.2, medium: 0.5, high: 0.8, xhigh: 0.9 };

/** How much to think, in OpenAI's words; `none` is not to. */
export const EFFORTS: readonly string[] = ["none", ...Object.keys(PARTS)];

/** The budget that an effort is of an answer of `cap` tokens; undefined when the answer is too short to think in. */
export function budgetOf(effort: string, cap: number): number | undefined {
  const part = PARTS[effort];
  if (part === undefined || cap <= LEAST_THINKING) return undefined;
  return Math.min(cap - 1, Math.max(LEAST_THINKING, Math.floor(cap * part)));
}

/** The effort that a budget is of an answer of `cap` tokens. */
export function effortOf(budget: number, cap: number): string {
  const part = cap > 0 ? budget / cap : 1;
  return part <= 0.35 ? "low" : part <= 0.65 ? "medium" : "high";
}
