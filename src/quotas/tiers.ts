import type { Invalidation } from "../platform/invalidation.ts";
import type { Pool } from "../platform/postgres.ts";
import { readBook } from "./plans/book.ts";
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
  /** Files: bytes and number that an account may store. Of accounts alone, not of keys. */
  storage_bytes?: number;
  storage_files?: number;
  /** Of tiers and users: render tasks that are not over, frames of one, pixels of a frame, frames of a task at the same time, priority. */
  render_tasks?: number;
  render_frames?: number;
  render_pixels?: number;
  render_parallel?: number;
  render_priority?: "low" | "normal" | "high";
}

/** What calls of a model count in quotas, in percent, by model. */
export type Weights = Readonly<Record<string, number>>;

/** What somebody's limits follow from, beside his own. */
export interface Given {
  tier: Limits;
  /** The tier's; a plan's go before them. */
  weights: Weights;
  /** All plans. */
  book: PlanBook;
}

export interface Tiers {
  /** What a tier and plans say; of the lowest tier when the name is unknown. Rejects when Postgres cannot be reached. */
  givenFor(tier: string): Promise<Given>;
  exists(name: string): Promise<boolean>;
}

interface Loaded {
  at: number;
  tiers: Map<string, Given>;
  /** For a name that is unknown. */
  lowest: Given;
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
      deps.pool.query<{ name: string; limits: Limits; weights: Weights }>("SELECT name, limits, weights FROM tiers ORDER BY position"),
      readBook(deps.pool),
    ]);
    const byDefault: Limits = { requests_per_minute: deps.requestsPerMinute };
    const tiers = new Map(rows.map(({ name, limits, weights }) => [name, { tier: { ...byDefault, ...limits }, weights, book }]));
    const found = { at: Date.now(), tiers, lowest: tiers.values().next().value ?? { tier: byDefault, weights: {}, book } };
    // A change announced while we were reading may not be in what we read.
    if (before === changes) loaded = found;
    return found;
  }

  return {
    async givenFor(name) {
      const { tiers, lowest } = await load();
      return tiers.get(name) ?? lowest;
    },
    async exists(name) {
      return (await load()).tiers.has(name);
    },
  };
}
