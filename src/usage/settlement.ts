import { isDeepStrictEqual } from "node:util";
import { createBus } from "../activity/index.ts";
import type { Ledger, SettleItem, SettleResult } from "../ledger/index.ts";
import { AppError } from "../platform/errors.ts";
import type { Logger } from "../platform/logger.ts";
import { createMetrics } from "../platform/metrics.ts";
import { inTransaction, type Pool, type PoolClient } from "../platform/postgres.ts";
import { formatMultiplier, ONE, type Pricing } from "../pricing/index.ts";
import { costOf } from "./due.ts";
import { isUncapped, REPORTED } from "./event.ts";
import { reportIncidents, type Incident } from "./incidents.ts";
import { createSettlementMetrics, type SettledBatch, type SettlementMetrics } from "./settlementMetrics.ts";
import type { SettlementTrace } from "./traces.ts";
import { isDataError, lockShard, setAside, settledBy, takeOne, takePending, type PendingEvent } from "./repository.ts";

/** What one batch did. `busy`: another worker has the shard. */
export interface BatchResult {
  taken: number;
  settled: number;
  setAside: number;
  busy: boolean;
}

export interface PrepareOptions {
  /** Events that are not in the table, as JSON by their ids: they are recorded settled, once. */
  unrecorded?: ReadonlyMap<string, string>;
  /** Rejects with a lock time-out (isLockTimeout) when somebody keeps a wallet locked for longer. By default waits as long as it takes. */
  patienceMs?: number | undefined;
}

/** Events whose wallets are locked and whose charges are known, and nothing that others share is locked yet. */
export interface Prepared {
  /** What will become of each by its id; one that can never be settled is missing and was set aside. */
  charges: ReadonlyMap<string, SettleResult>;
  /** Makes the charges: the last statement of the transaction, for everybody who charges waits from here on. */
  settle(): Promise<void>;
  /** Counts it all, once the transaction has committed. */
  committed(): void;
}

export interface Settlement {
  /**
   * Settles up to `limit` waiting events of a shard, oldest first, in one transaction: price, charge, close the hold, add to the
   * roll-ups. Exactly once per event id, whoever runs it how often. An event that can never be settled is set aside with an incident;
   * what could not be charged in full the ledger notes itself.
   */
  settleBatch(shard: number, limit: number, since?: Date): Promise<BatchResult>;
  /** The same for events that the caller has locked, or that are not recorded yet, in its own transaction. */
  prepare(tx: PoolClient, events: readonly PendingEvent[], options?: PrepareOptions): Promise<Prepared>;
  /** Settles one event at once; false when it was settled before (or is unknown). Throws what prevents it. */
  settleNow(id: string): Promise<boolean>;
}

export interface SettlementDeps {
  pool: Pool;
  ledger: Pick<Ledger, "settleAnd" | "foresee">;
  pricing: Pick<Pricing, "cost" | "version">;
  log: Logger;
  metrics?: SettlementMetrics;
  trace?: SettlementTrace | undefined;
}

const NOTHING: BatchResult = { taken: 0, settled: 0, setAside: 0, busy: false };
/** When so many single events fail one after the other the fault is not theirs: stop and let the activity be tried again. */
const MAX_FAILURES_IN_A_ROW = 10;

function describe(event: PendingEvent): string {
  const input = event.input_tokens + event.cached_input_tokens + event.cache_write_tokens + event.cache_write_long_tokens;
  const times = event.price_multiplier === ONE ? "" : `, × ${formatMultiplier(event.price_multiplier)}`;
  return `${event.model}: ${input} tokens in, ${event.output_tokens + event.reasoning_tokens} out${times}`;
}

interface Priced {
  event: PendingEvent;
  cost: bigint;
}

const itemOf = ({ event, cost }: Priced): SettleItem => ({
  id: event.id,
  holdId: event.hold_id === undefined ? (event.route === REPORTED ? null : event.id) : event.hold_id,
  owes: isUncapped(event.route),
  walletId: event.wallet_id,
  cost,
  to: "revenue:usage",
  type: "CONSUMPTION",
  description: describe(event),
  reference: event.id,
});

function incident(kind: Incident["kind"], event: PendingEvent, details: Record<string, unknown>): Incident {
  return {
    kind,
    subject: event.id,
    userId: event.user_id,
    walletId: event.wallet_id,
    details: { model: event.model, request_id: event.request_id, ...details },
  };
}

/** An error of the values (not of the moment): trying the same event again gives the same error. */
function isHopeless(error: unknown): boolean {
  if (error instanceof AppError) return error.status < 500;
  if (error instanceof RangeError) return true;
  return isDataError(error) || /^P0\d{3}$/.test(String((error as { code?: unknown } | null)?.code));
}

/** Creates the settlement of usage events. */
export function createSettlement(deps: SettlementDeps): Settlement {
  const { pool, ledger, pricing, log, trace, metrics = createSettlementMetrics(createMetrics(), createBus()) } = deps;

  /** What the events cost. Those without a price are set aside. */
  async function price(tx: PoolClient, events: readonly PendingEvent[], done: SettledBatch): Promise<Priced[]> {
    const priced: Priced[] = [];
    const poison: PendingEvent[] = [];
    for (const event of events) {
      const cost = await costOf(pricing, event);
      if (cost === undefined) poison.push(event);
      else priced.push({ event, cost });
    }
    if (poison.length > 0) {
      await setAside(tx, poison);
      await reportIncidents(
        tx,
        poison.map((event) => incident("price_version_missing", event, { price_version: event.price_version_id?.toString() ?? null })),
      );
      done.incidents.push(...poison.map(() => "price_version_missing"));
      log.error({ events: poison.map((event) => event.id) }, "usage events without a price were set aside");
    }
    return priced;
  }

  /** Charges and writes in one statement, the last of its transaction. Answers how many events were still unsettled, and each one's charge. */
  async function charge(
    tx: PoolClient,
    priced: readonly Priced[],
    done: SettledBatch,
    { takenAt, unrecorded }: { takenAt: number; unrecorded?: ReadonlyMap<string, string> | undefined },
  ): Promise<{ settled: number; charges: ReadonlyMap<string, SettleResult> }> {
    const events = priced.map(({ event }) => event);
    const { results, followed } = await ledger.settleAnd(tx, priced.map(itemOf), settledBy(events, unrecorded));
    const charges = new Map(results.map((result) => [result.id, result]));
    const took = (performance.now() - takenAt) / 1_000;
    for (const event of events) {
      const result = charges.get(event.id);
      if (!result) throw new Error(`the ledger gave no result for ${event.id}`);
      if (result.replayed) continue;
      const { charged, uncharged, holdMissing } = result;
      const { id, user_id: userId, request_id: requestId, model } = event;
      done.charges.push({ id, userId, requestId, model, charged, uncharged, holdMissing, lag: event.waited + took });
    }
    return { settled: followed, charges };
  }

  async function settle(
    tx: PoolClient,
    events: readonly PendingEvent[],
    done: SettledBatch,
  ): Promise<{ settled: number; setAside: number }> {
    const takenAt = performance.now();
    const priced = await price(tx, events, done);
    const { settled } = await charge(tx, priced, done, { takenAt });
    return { settled, setAside: events.length - priced.length };
  }

  /** What is done is counted once it is committed. */
  async function counting<T>(work: (done: SettledBatch) => Promise<T>): Promise<T> {
    const done: SettledBatch = { charges: [], incidents: [] };
    const startMs = performance.now();
    const result = await work(done);
    metrics.settled(done);
    void trace?.(done, startMs, performance.now());
    return result;
  }

  async function runBatch(
    shard: number,
    limit: number,
    since: Date | undefined,
    onTaken?: (events: PendingEvent[]) => void,
  ): Promise<BatchResult> {
    return counting((done) =>
      inTransaction(pool, async (tx) => {
        if (!(await lockShard(tx, shard))) return { ...NOTHING, busy: true };
        const events = await takePending(tx, shard, limit, since);
        onTaken?.(events);
        if (events.length === 0) return NOTHING;
        const { settled, setAside: aside } = await settle(tx, events, done);
        return { taken: events.length, settled, setAside: aside, busy: false };
      }),
    );
  }

  /** The slow way, after a batch was refused: one event per transaction, so that the one at fault stands alone. */
  async function runSingly(shard: number, limit: number, since: Date | undefined): Promise<BatchResult> {
    const total = { ...NOTHING };
    let failures = 0;
    while (total.taken < limit) {
      let event: PendingEvent | undefined;
      const one = await runBatch(shard, 1, since, (events) => (event = events[0])).catch((error: unknown) => {
        failures += 1;
        if (!event || !isHopeless(error) || failures > MAX_FAILURES_IN_A_ROW) throw error;
        return refuse(event, error as Error);
      });
      if (one.taken === 0) return { ...total, busy: one.busy };
      if (one.settled > 0) failures = 0;
      total.taken += one.taken;
      total.settled += one.settled;
      total.setAside += one.setAside;
    }
    return total;
  }

  async function refuse(event: PendingEvent, error: Error): Promise<BatchResult> {
    return counting((done) =>
      inTransaction(pool, async (tx) => {
        const waiting = await takeOne(tx, event.id);
        if (!waiting) return { ...NOTHING, taken: 1 };
        await setAside(tx, [waiting]);
        await reportIncidents(tx, [incident("settlement_refused", waiting, { error: error.message })]);
        done.incidents.push("settlement_refused");
        log.error({ err: error, event: event.id }, "a usage event could not be settled and was set aside");
        return { taken: 1, settled: 0, setAside: 1, busy: false };
      }),
    );
  }

  return {
    settleBatch: (shard, limit, since) =>
      runBatch(shard, limit, since).catch((error: unknown) => {
        if (!isHopeless(error)) throw error;
        return runSingly(shard, limit, since);
      }),
    async prepare(tx, events, { unrecorded, patienceMs } = {}) {
      const done: SettledBatch = { charges: [], incidents: [] };
      const startMs = performance.now();
      const priced = await price(tx, events, done);
      const foreseen = new Map((await ledger.foresee(tx, priced.map(itemOf), patienceMs)).map((result) => [result.id, result]));
      return {
        charges: foreseen,
        async settle() {
          const { charges } = await charge(tx, priced, done, { takenAt: startMs, unrecorded });
          for (const [id, before] of foreseen) {
            if (!isDeepStrictEqual(before, charges.get(id))) throw new Error(`${id} was settled otherwise than it was foreseen`);
          }
        },
        committed() {
          metrics.settled(done);
          void trace?.(done, startMs, performance.now());
        },
      };
    },
    settleNow: (id) =>
      counting((done) =>
        inTransaction(pool, async (tx) => {
          const event = await takeOne(tx, id);
          if (!event) return false;
          return (await settle(tx, [event], done)).settled === 1;
        }),
      ),
  };
}
