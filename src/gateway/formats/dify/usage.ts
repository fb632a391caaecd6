import type { TokenClasses } from "../../../pricing/index.ts";
import type { Usage } from "../../pipeline/format.ts";
import { countOf, disjointClasses } from "../../tokens/classes.ts";

/** `metadata.usage` of a message. Its prices are decimal text, and what the app pays; they are not read. Undefined when it cannot be read. */
export function readUsage(usage: unknown): Usage | undefined {
  return disjointClasses({
    input: countOf(usage, "prompt_tokens"),
    output: countOf(usage, "completion_tokens"),
    total: countOf(usage, "total_tokens"),
    cached: undefined,
    written: undefined,
    reasoning: undefined,
  });
}

/** What of a run was charged before, and how its total is parted. */
export interface Parting {
  /** How much of a total is taken for input, in percent: the blended price is so much of the input price and the rest of the output price. */
  inputPercent: number;
  settled: { input: number; output: number };
  /** It goes on after a pause. */
  resumed?: boolean;
}

/** A total of tokens in classes. Half a token is taken for input. */
export function partTotal(total: number, inputPercent: number): TokenClasses {
  const input = Math.ceil((total * inputPercent) / 100);
  return { input, cachedInput: 0, cacheWrite: 0, output: total - input, reasoning: 0 };
}

/** `total_tokens` of a workflow, which knows no more than the sum. Undefined when it is not said or cannot be read. */
export function readTotal(holder: unknown, { inputPercent }: Pick<Parting, "inputPercent">): Usage | undefined {
  const total = countOf(holder, "total_tokens");
  if (total === undefined || Number.isNaN(total)) return undefined;
  if (total < 0) return { tokens: partTotal(0, inputPercent), notes: [`total would be ${total}`] };
  return { tokens: partTotal(total, inputPercent), notes: [] };
}

/** What is left to charge of a run that was charged for in part when it paused. Never more than its total leaves. */
export function restOf(usage: Usage, { settled }: Parting): Usage {
  if (settled.input + settled.output === 0) return usage;
  const { tokens } = usage;
  const rest = Math.max(0, tokens.input + tokens.output - settled.input - settled.output);
  const input = Math.min(rest, Math.max(0, tokens.input - settled.input));
  return { ...usage, tokens: { ...tokens, input, output: rest - input } };
}
