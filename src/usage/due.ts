import { inTransaction, type Pool, type Queryable } from "../platform/postgres.ts";
import type { Pricing, TokenClasses } from "../pricing/index.ts";
import { waitingSince, type PendingEvent } from "./repository.ts";
import { ownerOf, spentSince } from "./spent.ts";

const tokensOf = (event: PendingEvent): TokenClasses => ({
  input: Number(event.input_tokens),
  cachedInput: Number(event.cached_input_tokens),
  cacheWrite: Number(event.cache_write_tokens),
  cacheWriteLong: Number(event.cache_write_long_tokens),
  output: Number(event.output_tokens),
  reasoning: Number(event.reasoning_tokens),
});

/** What a recorded call costs by its price version and multiplier, in micro-credits; undefined when that version is not known. */
export async function costOf(pricing: Pick<Pricing, "cost" | "version">, event: PendingEvent): Promise<bigint | undefined> {
  const version = event.price_version_id === null ? undefined : await pricing.version(event.price_version_id);
  return version && pricing.cost(version, tokensOf(event), event.units ?? undefined, event.price_multiplier);
}

/**
 * What the calls of a key or a user that began since a moment were charged, and what those that are recorded will cost when they are
 * settled. A counter that is opened with this misses none of them, and none is counted on it twice: a call counts on the counters that
 * were open when it was held for. Both are read as of one instant, for a call may be settled meanwhile.
 */
export async function spentAndDueSince(
  deps: { pool: Pool; pricing: Pick<Pricing, "cost" | "version"> },
  owner: string,
  since: Date,
): Promise<bigint> {
  const { settled, waiting } = await inTransaction(deps.pool, async (tx: Queryable) => {
    await tx.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
    const of = ownerOf(owner);
    return { settled: await spentSince(tx, owner, since), waiting: of ? await waitingSince(tx, of, since) : [] };
  });
  let sum = settled;
  for (const event of waiting) sum += (await costOf(deps.pricing, event)) ?? 0n;
  return sum;
}
