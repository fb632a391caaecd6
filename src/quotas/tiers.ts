import type { Invalidation } from "../platform/invalidation.ts";
import type { Pool } from "../platform/postgres.ts";
import { readBook } from "./plans/repository.ts";
import type { PlanBook } from "./planBook.ts";

/** What a user or key may do at most; a missing entry means no limit of its own. Spend limits are decimal text in credits. */
export interface Limits {
  requests_per_minute?: number;
  requests_per_second?: number;
  tokens_per_minute?: number;
  max_parallel?: number;
  spend_total?: string;
  spend_daily?: string;
  spend_monthly?: string;
  /** Quotas: of each period, which ends on the reset day. Tokens are those of prompt and answer; both are weighted by model. */
  quota_requests?: number;
  quota_tokens?: number;
  quota_credits?: string;
}

export interface Tiers {
  /** The limits of a tier; of the lowest tier when the name is unknown. Rejects when Postgres cannot be reached. */
  limitsOf(name: string): Promise<Limits>;
  exists(name: string): Promise<boolean>;
  /** All plans. Rejects when Postgres cannot be reached. */
  book(): Promise<PlanBook>;
}

interface Loaded {
  at: number;
  tiers: Map<string, Limits>;
  book: PlanBook;
}

const MAX_AGE_MS = 60_000;

/** Tiers and plans from Postgres, kept in memory for a minute and dropped by the topic `settings`. */
export function createTiers(deps: { pool: Pool; invalidation: Invalidation; requestsPerMinute: number }): Tiers {
  let loaded: Loaded | undefined;
  let changes = 0;
  deps.invalidation.on("settings", () => {
    loaded = undefined;
    changes += 1;
  });

  async function load(): Promise<Loaded> {
    if (loaded && deps.invalidation.fresh && Date.now() - loaded.at < MAX_AGE_MS) return loaded;
    const before = changes;
    const [{ rows }, book] = await Promise.all([
      deps.pool.query<{ name: string; limits: Limits }>("SELECT name, limits FROM tiers ORDER BY position"),
      readBook(deps.pool),
    ]);
    const tiers = new Map(rows.map((row) => [row.name, { requests_per_minute: deps.requestsPerMinute, ...row.limits }]));
    const found = { at: Date.now(), tiers, book };
    // A change announced while we were reading may not be in what we read.
    if (before === changes) loaded = found;
    return found;
  }

  return {
    async limitsOf(name) {
      const { tiers } = await load();
      return tiers.get(name) ?? tiers.values().next().value ?? { requests_per_minute: deps.requestsPerMinute };
    },
    async exists(name) {
      return (await load()).tiers.has(name);
    },
    book: async () => (await load()).book,
  };
}
