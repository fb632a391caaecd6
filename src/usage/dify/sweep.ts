import type { Logger } from "../../platform/logger.ts";
import type { Pool } from "../../platform/postgres.ts";
import type { Pricing } from "../../pricing/index.ts";
import type { Inbox } from "./inbox.ts";
import type { Payers } from "./payers.ts";
import { knownSince, openEvents } from "./repository.ts";
import type { Retry } from "./retry.ts";

/** Charges open events whose user has been mapped, or whose model priced, since, and closes those whose shortfall was paid. */
export type Sweep = () => Promise<{ charged: number; closed: number }>;

const PAGE = 500;
/** Events tried in one run; the next takes the rest. */
const MOST = 10_000;

/** Creates the sweep; it may run at any time, twice, and on several workers. What cannot be charged yet costs it one question per name. */
export function createSweep(deps: {
  pool: Pool;
  log: Logger;
  retry: Retry;
  inbox: Pick<Inbox, "closePaid">;
  payers: Payers;
  pricing: Pick<Pricing, "model">;
}): Sweep {
  const { pool, log, retry, inbox, payers, pricing } = deps;

  async function names(column: "external_user" | "model_name", reasons: readonly string[]): Promise<string[]> {
    const { rows } = await pool.query<{ name: string }>(
      `SELECT DISTINCT ${column} AS name FROM dify_events WHERE state = 'open' AND charged_at IS NULL AND reason = ANY ($1::text[]) LIMIT 10000`,
      [reasons],
    );
    return rows.map(({ name }) => name);
  }

  return async () => {
    let charged = 0;
    let tried = 0;

    async function retryAll(filter: { user?: string; model?: string; reason?: string }): Promise<number> {
      let done = 0;
      for (let after: string | undefined; tried < MOST;) {
        const ids = await openEvents(pool, { ...filter, after, limit: PAGE });
        tried += ids.length;
        if (ids.length > 0) done += (await retry(ids)).charged;
        if (ids.length < PAGE) return done;
        after = ids.at(-1);
      }
      return done;
    }

    const known = await payers(await names("external_user", ["user_not_found"]));
    for (const user of known.keys()) charged += await retryAll({ user });
    for (const name of await names("model_name", ["model_not_found", "model_not_priced"])) {
      if ((await pricing.model(name))?.price) charged += await retryAll({ model: name });
    }
    charged += await retryAll({ reason: "relay_waits" });
    charged += (await retry(await knownSince(pool, MOST))).charged;
    const closed = await inbox.closePaid();
    if (charged > 0) log.info({ charged }, "open dify events were charged");
    return { charged, closed };
  };
}
