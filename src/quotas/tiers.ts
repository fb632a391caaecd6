import type { Invalidation } from "../platform/invalidation.ts";
import type { Pool } from "../platform/postgres.ts";

/** What a user or key may do at most; a missing entry means no limit of its own. Spend limits are decimal text in credits. */
export interface Limits {
  requests_per_minute?: number;
  requests_per_second?: number;
  tokens_per_minute?: number;
  max_parallel?: number;
  spend_total?: string;
  spend_daily?: string;
  spend_monthly?: string;
}

export interface Tiers {
  /** The limits of a tier; of the lowest tier when the name is unknown. Rejects when Postgres cannot be reached. */
  limitsOf(name: string): Promise<Limits>;
  exists(name: string): Promise<boolean>;
}

const MAX_AGE_MS = 60_000;

/** Tiers from Postgres, kept in memory for a minute and dropped by the topic `settings`. */
export function createTiers(deps: { pool: Pool; invalidation: Invalidation; requestsPerMinute: number }): Tiers {
  let loaded: { at: number; tiers: Map<string, Limits> } | undefined;
  let changes = 0;
  deps.invalidation.on("settings", () => {
    loaded = undefined;
    changes += 1;
  });

  async function tiers(): Promise<Map<string, Limits>> {
    if (loaded && deps.invalidation.fresh && Date.now() - loaded.at < MAX_AGE_MS) return loaded.tiers;
    const before = changes;
    const { rows } = await deps.pool.query<{ name: string; limits: Limits }>("SELECT name, limits FROM tiers ORDER BY position");
    const found = new Map(rows.map((row) => [row.name, { requests_per_minute: deps.requestsPerMinute, ...row.limits }]));
    // A change announced while we were reading may not be in what we read.
    if (before === changes) loaded = { at: Date.now(), tiers: found };
    return found;
  }

  return {
    async limitsOf(name) {
      const all = await tiers();
      return all.get(name) ?? all.values().next().value ?? { requests_per_minute: deps.requestsPerMinute };
    },
    async exists(name) {
      return (await tiers()).has(name);
    },
  };
}
