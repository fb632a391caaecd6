import type { Directives } from "../control/directives.ts";

/** A number, or what a vendor should never have sent in its place. */
type Count = number | string | null;

/** Tokens of a call, to be written as the format does. `prompt` and `completion` are sums over everything. */
export interface Counts {
  prompt: Count;
  completion: Count;
  cached: number;
  cacheWrite: number;
  cacheWriteHour: number;
  reasoning: number;
}

const DEFAULT_HUGE = 100_000_000;
const PARTS = { cached: 0, cacheWrite: 0, cacheWriteHour: 0, reasoning: 0 };

const BAD: Record<string, [Count, Count]> = {
  negative: [-5, -7],
  text: ["12", "many"],
  float: [1.5, 2.25],
  null: [null, null],
  huge: [2 ** 53, 2 ** 53],
};

/** What is to be reported: the truth, unless told otherwise. "none" for nothing at all, "shape" for something that is no usage. */
export function countsOf(
  { faults, usage }: Directives,
  count: () => { prompt: number; completion: number; reasoning?: number },
): Counts | "none" | "shape" {
  if (faults.no_usage && faults.no_usage["where"] !== "end") return "none";
  if (faults.bad_usage?.["kind"] === "shape") return "shape";
  if (faults.bad_usage) {
    const [prompt, completion] = BAD[faults.bad_usage["kind"] ?? "negative"] ?? BAD["negative"]!;
    return { ...PARTS, prompt, completion };
  }
  if (faults.zero_usage) return { ...PARTS, prompt: 0, completion: 0 };
  if (faults.huge_usage) {
    const tokens = Number(faults.huge_usage["tokens"] ?? DEFAULT_HUGE);
    return { ...PARTS, prompt: tokens, completion: tokens };
  }
  return { ...PARTS, ...(usage ?? count()) };
}

/** The usage of an answer in the format's words: `{usage: …}`, or {} for none. */
export function usageField(counts: Counts | "none" | "shape", write: (counts: Counts) => unknown): { usage?: unknown } {
  if (counts === "none") return {};
  return { usage: counts === "shape" ? "plenty" : write(counts) };
}

/** The sum of two counts, if they are numbers. */
export function sum(a: Count, b: Count): Count {
  return typeof a === "number" && typeof b === "number" ? a + b : a;
}

/** `a` less `b`; what is no number stays as it is. */
export function less(a: Count, b: number): Count {
  return typeof a === "number" ? a - b : a;
}
