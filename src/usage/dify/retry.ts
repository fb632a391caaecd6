import type { Logger } from "../../platform/logger.ts";
import { inTransaction, type Pool } from "../../platform/postgres.ts";
import { reportIncidents, resolveIncidents } from "../incidents.ts";
import { aroundBusy } from "./busy.ts";
import { chargeMessages } from "./charge.ts";
import type { ReadyDays } from "./days.ts";
import type { ChargeDeps } from "./due.ts";
import { isolating } from "./isolate.ts";
import type { Decide } from "./price.ts";
import { lockOpen, readOpen, storeEvents, type FirstEvent } from "./repository.ts";
import { asideIncident, asideOutcome, rowOf } from "./rows.ts";

/** What came of trying again. */
export interface Retried {
  tried: number;
  charged: number;
}

/**
 * Tries again to charge open events that nobody was charged for; answers how many of them were. Safe at any time and from several sides.
 * `byParts`: an operator said that the parts count where the total is not their sum.
 */
export type Retry = (ids: readonly string[], options?: { byParts?: boolean }) => Promise<Retried>;

const BATCH = 200;

const placeOf = (first: FirstEvent) => ({
  received_at: first.receivedAt.toISOString(),
  deliveries: 1,
  processing_ms: first.processingMs,
});

/** Creates the trying again. One that cannot be charged at all is put aside, and keeps no other from being charged. */
export function createRetry(deps: ChargeDeps & { pool: Pool; log: Logger; decide: Decide; readyDays: ReadyDays }): Retry {
  const { pool, log, decide, readyDays } = deps;

  /** Of each event that is open still whether it was charged. */
  async function retryBatch(ids: readonly string[], options: { byParts?: boolean } | undefined): Promise<ReadonlyMap<string, boolean>> {
    // Decided before anything is locked: no transaction waits for a second connection.
    const open = await readOpen(pool, ids);
    if (open.length === 0) return new Map();
    const made = await decide(
      open.map(({ message }) => message),
      options,
    );
    const decisions = new Map(open.map(({ id }, n) => [id, made[n]!]));
    await readyDays(open.map(({ message }) => message.at));
    let after = () => {};
    const charged = await inTransaction(pool, async (tx) => {
      const locked = await lockOpen(tx, [...decisions.keys()]);
      if (locked.length === 0) return new Map<string, boolean>();
      const unpaid = locked.map(({ id, message, receivedAt }) => ({ id, message, receivedAt, traceId: id, decision: decisions.get(id)! }));
      const { outcomes, settle, committed } = await chargeMessages(tx, deps, unpaid);
      after = committed;
      const rows = unpaid.flatMap((one, n) => {
        const { kept } = outcomes[n]!;
        // Still open for the same reason: it keeps the answer it had.
        return kept.charged_at === null && kept.reason === locked[n]!.reason ? [] : [rowOf(one, outcomes[n]!, placeOf(locked[n]!))];
      });
      if (rows.length > 0) await storeEvents(tx, rows);
      const aside = locked.filter(({ reason }, n) => reason === "settlement_refused" && outcomes[n]!.kept.reason !== reason);
      await resolveIncidents(
        tx,
        "settlement_refused",
        aside.map(({ id }) => id),
      );
      await settle();
      return new Map(locked.map(({ id }, n) => [id, outcomes[n]!.kept.charged_at !== null]));
    });
    after();
    return charged;
  }

  /** Of each event whether it was charged; undefined when it was not open any more, or somebody keeps its wallet locked: then later. */
  async function retryFree(ids: readonly string[], options: { byParts?: boolean } | undefined): Promise<(boolean | undefined)[]> {
    const { answer } = await aroundBusy(deps, ids, (free) => retryBatch(free, options));
    return ids.map((id) => answer?.get(id));
  }

  async function putAside(id: string, error: Error): Promise<boolean | undefined> {
    log.error({ err: error, event: id }, "an open dify event cannot be charged and is put aside");
    return inTransaction(pool, async (tx) => {
      const [first] = await lockOpen(tx, [id]);
      if (!first) return undefined;
      await storeEvents(tx, [rowOf(first, asideOutcome(id), placeOf(first))]);
      await reportIncidents(tx, [asideIncident(id, first.message, error)]);
      return false;
    });
  }

  return async (ids, options) => {
    const total: Retried = { tried: 0, charged: 0 };
    for (let from = 0; from < ids.length; from += BATCH) {
      for (const result of await isolating(ids.slice(from, from + BATCH), (some) => retryFree(some, options), putAside)) {
        if (result instanceof Error) throw result;
        if (result !== undefined) total.tried += 1;
        if (result === true) total.charged += 1;
      }
    }
    return total;
  };
}
