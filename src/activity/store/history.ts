import type { Pool } from "../../platform/postgres.ts";
import { COUNTED, countEvents, newestEvents, type ActivityFilter, type KeptEvent } from "./repository.ts";

/** Served calls of a user as events, which their usage records are; newest first, at most `limit`, with their number up to `counted`. */
export type ServedCalls = (
  filter: Pick<ActivityFilter, "userId" | "failed" | "from" | "to">,
  limit: number,
  counted: number,
) => Promise<{ items: KeptEvent[]; total: number }>;

export interface HistoryPage {
  items: KeptEvent[];
  /** Exact up to twice {@link COUNTED}. */
  total: number;
}

const CALL = "call.ended";

/** Newest first; what came in the same millisecond by id. */
const later = (a: KeptEvent, b: KeptEvent): number => b.at.getTime() - a.at.getTime() || (a.id < b.id ? 1 : -1);

/** A user's activity on every copy: what is kept of it here and the calls that were served, in the order of their times. */
export function createHistory(deps: { pool: Pool; calls: ServedCalls }) {
  const { pool, calls } = deps;
  return async (filter: ActivityFilter, { page, page_size }: { page: number; page_size: number }): Promise<HistoryPage> => {
    const until = page * page_size;
    const none = { items: [], total: 0 };
    const [kept, total, served] = await Promise.all([
      newestEvents(pool, filter, until),
      countEvents(pool, filter),
      !filter.kinds || filter.kinds.includes(CALL) ? calls(filter, until, COUNTED) : none,
    ]);
    // A call that the guardrail refused is both: once is enough.
    const ids = new Set(kept.map(({ id }) => id));
    const both = served.items.filter(({ id }) => ids.has(id)).length;
    const items = [...kept, ...served.items.filter(({ id }) => !ids.has(id))].sort(later);
    return { items: items.slice(until - page_size, until), total: total + served.total - both };
  };
}

export type History = ReturnType<typeof createHistory>;
