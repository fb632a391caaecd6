import type { Limits } from "../../quotas/index.ts";
import type { Check, Kind, Plan, Scope } from "./types.ts";
import { MINUTE_MS, SECOND_MS } from "./window.ts";

/** Limits as they are set, of anything. */
export type Rules = Pick<Limits, "requests_per_minute" | "requests_per_second" | "tokens_per_minute" | "max_parallel">;

const KINDS: readonly { kind: Kind; rule: keyof Rules; letter: string; suffix: string; lengthMs: number }[] = [
  { kind: "requests_per_second", rule: "requests_per_second", letter: "s", suffix: "s", lengthMs: SECOND_MS },
  { kind: "requests", rule: "requests_per_minute", letter: "r", suffix: "r", lengthMs: MINUTE_MS },
  { kind: "tokens", rule: "tokens_per_minute", letter: "t", suffix: "t", lengthMs: MINUTE_MS },
  { kind: "parallel", rule: "max_parallel", letter: "p", suffix: "p", lengthMs: 0 },
];
const LETTERS = new Map(KINDS.map(({ kind, letter }) => [kind, letter]));

/** The checks that follow from the rules of one thing; `root` names its counters. */
export function checksOf(scope: Scope, root: string, rules: Rules, shadow = false): Check[] {
  return KINDS.flatMap(({ kind, rule, suffix, lengthMs }): Check[] => {
    const limit = rules[rule];
    return limit === undefined ? [] : [{ scope, kind, id: `${root}:${suffix}${shadow ? "?" : ""}`, limit, lengthMs, shadow }];
  });
}

/** Puts checks in order and finds what is the same for every call. */
export function planOf(given: readonly Check[]): Plan {
  const rates = given.filter(({ kind }) => kind !== "parallel");
  const checks = [...rates, ...given.filter(({ kind }) => kind === "parallel")];
  const tokens = rates.filter(({ kind }) => kind === "tokens");
  const enforced = tokens.filter(({ shadow }) => !shadow).map(({ limit }) => limit);
  return {
    checks,
    shape: checks.map(({ kind, shadow }) => (shadow ? LETTERS.get(kind)!.toUpperCase() : LETTERS.get(kind)!)).join(""),
    rates: rates.length,
    mostTokens: enforced.length > 0 ? Math.min(...enforced) : undefined,
    countsTokens: tokens.length > 0,
  };
}

/** Of the same limits those on the number of requests, for routes that use no tokens and do not run on. */
export const requestsOnly = (plan: Plan): Plan =>
  planOf(plan.checks.filter(({ kind }) => kind === "requests" || kind === "requests_per_second"));
