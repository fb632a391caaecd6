import type { Invalidation } from "../../../platform/invalidation.ts";
import type { Pool } from "../../../platform/postgres.ts";
import { createSnapshot } from "../../../platform/snapshot.ts";
import type { CallerPlans } from "../callers.ts";
import { checksOf, planOf, requestsOnly, type Rules } from "../plan.ts";
import type { Check, Plan } from "../types.ts";
import { networkOf } from "../../../platform/network.ts";
import { allLimits, type LimitRow, type Mode, type SharedScope } from "./repository.ts";

/** The limits that callers share, ready for use. */
export interface SharedRules {
  /** What a call is held against: the caller's own limits and those it shares. `model` is undefined for requests that use none. */
  planFor(own: CallerPlans, model: string | undefined, ip: string): Plan;
  /** What a token of a model counts, in percent. */
  weightOf(model: string): number;
}

export interface SharedLimits {
  /** The present rules without a query, or undefined when they must be read first. */
  peek(): SharedRules | undefined;
  /** The present rules. Rejects when they must be read and Postgres cannot be reached. */
  get(): Promise<SharedRules>;
  /** Forgets what is kept; for the copy that made a change. */
  drop(): void;
}

const MAX_AGE_MS = 60_000;
/** Plans kept for one caller: one for each model and address it uses. */
const PLANS_KEPT = 1_000;
const PLAIN_WEIGHT = 100;

const nameOf = (scope: SharedScope, model: string | null, mode: Mode): string => `${scope} ${model ?? ""} ${mode}`;

const WITHOUT: SharedRules = { planFor: (own, model) => (model === undefined ? own.requests : own.full), weightOf: () => PLAIN_WEIGHT };

/** Prepares rows for use. Plans are made once for each caller, model and address, not for each call. */
export function sharedRules(rows: readonly LimitRow[]): SharedRules {
  if (rows.length === 0) return WITHOUT;
  const plans = new WeakMap<CallerPlans, Map<string, Plan>>();
  const byTarget = new Map(rows.map((row) => [nameOf(row.scope, row.model, row.mode), row]));
  const hasIp = rows.some(({ scope }) => scope === "ip");
  const find = (...target: Parameters<typeof nameOf>): LimitRow | undefined => byTarget.get(nameOf(...target));

  function rulesOf(scope: SharedScope, model: string | undefined, mode: Mode): Rules {
    return { ...find(scope, null, mode)?.limits, ...(model === undefined ? undefined : find(scope, model, mode)?.limits) };
  }

  function checks(scope: SharedScope, root: string, model?: string): Check[] {
    return [...checksOf(scope, root, rulesOf(scope, model, "enforce")), ...checksOf(scope, root, rulesOf(scope, model, "shadow"), true)];
  }

  function make(own: CallerPlans, model: string | undefined, network: string): Plan {
    const all = planOf([
      ...own.full.checks,
      ...(hasIp ? checks("ip", `tk:ip:${network}`) : []),
      ...(model === undefined ? [] : checks("model", `tk:m:${model}`, model)),
      ...checks("global", "tk:g"),
    ]);
    return model === undefined ? requestsOnly(all) : all;
  }

  return {
    planFor(own, model, ip) {
      let made = plans.get(own);
      if (!made) plans.set(own, (made = new Map()));
      const network = hasIp ? networkOf(ip) : "";
      const name = `${network} ${model ?? ""}`;
      let plan = made.get(name);
      if (!plan) {
        if (made.size >= PLANS_KEPT) made.clear();
        made.set(name, (plan = make(own, model, network)));
      }
      return plan;
    },
    weightOf: (model) =>
      find("model", model, "enforce")?.token_weight_percent ?? find("model", null, "enforce")?.token_weight_percent ?? PLAIN_WEIGHT,
  };
}

/** What a token of each model counts now, in percent. */
export async function allWeights(pool: Pool): Promise<(model: string) => number> {
  return sharedRules(await allLimits(pool)).weightOf;
}

/** The limits that callers share, from Postgres, kept in memory and dropped by the topic `settings`. */
export function createSharedLimits(deps: { pool: Pool; invalidation: Invalidation }): SharedLimits {
  return createSnapshot({
    invalidation: deps.invalidation,
    topics: ["settings"],
    maxAgeMs: MAX_AGE_MS,
    load: async () => sharedRules(await allLimits(deps.pool)),
  });
}
