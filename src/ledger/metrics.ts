import { SHORT_SECONDS, type Metrics } from "../platform/metrics.ts";
import type { Pool } from "../platform/postgres.ts";
import type { HoldOutcome, SweptHold } from "./types.ts";

const ITEMS = [1, 2, 5, 10, 20, 50, 100, 200, 500] as const;
/** The sum of all balances reads every account, so it is not asked more often. */
const SUM_AGE_MS = 60_000;

/** What holds count. */
export interface HoldMetrics {
  decided(outcome: HoldOutcome | Error): void;
  released(holds: number): void;
  swept(holds: readonly SweptHold[]): void;
  committed(operation: "authorize" | "release"): (items: number, seconds: number) => void;
}

/** Declares what holds count; once per process. */
export function createHoldMetrics(metrics: Metrics): HoldMetrics {
  const opened = metrics.counter({ name: "tollkeeper_holds_opened_total", help: "Holds made." });
  const refused = metrics.counters({ name: "tollkeeper_holds_refused_total", help: "Holds refused, by reason.", labels: ["reason"] });
  const reasons = {
    insufficient_balance: refused.of("insufficient_balance"),
    balance_on_hold: refused.of("balance_on_hold"),
    spend_limit_reached: refused.of("spend_limit_reached"),
    spend_limit_on_hold: refused.of("spend_limit_on_hold"),
  };
  const failed = refused.of("error");
  const released = metrics.counter({ name: "tollkeeper_holds_released_total", help: "Holds given back without a charge." });
  const swept = metrics.counter({
    name: "tollkeeper_holds_swept_total",
    help: "Holds given back by the sweep because their owner was gone; each is an incident.",
  });
  const items = metrics.histograms({
    name: "tollkeeper_ledger_batch_items",
    help: "Holds in one group commit.",
    labels: ["operation"],
    buckets: ITEMS,
  });
  const seconds = metrics.histograms({
    name: "tollkeeper_ledger_batch_seconds",
    help: "How long a group commit of holds took.",
    labels: ["operation"],
    buckets: SHORT_SECONDS,
  });
  return {
    decided(outcome) {
      if (outcome instanceof Error) failed.add();
      else if (outcome.kind === "held") opened.add();
      else reasons[outcome.reason].add();
    },
    released: (holds) => released.add(holds),
    swept: (holds) => swept.add(holds.length),
    committed(operation) {
      const size = items.of(operation);
      const time = seconds.of(operation);
      return (count, took) => {
        size.observe(count);
        time.observe(took);
      };
    },
  };
}

/**
 * The sum of all balances of the ledger, which is 0 at every instant, and what wallets hold: a cheap look that finds what would be found
 * by the full proof most often. The same on every copy.
 */
export function watchLedger(metrics: Metrics, pool: Pool): void {
  let asked: { at: number; answer: ReturnType<typeof sums> } | undefined;
  const recent = () => {
    if (!asked || Date.now() - asked.at > SUM_AGE_MS) asked = { at: Date.now(), answer: sums(pool) };
    return asked.answer;
  };
  const gauge = (name: string, help: string, pick: (found: Awaited<ReturnType<typeof sums>>) => bigint) =>
    metrics.gauge({ name, help, read: async () => Number(pick(await recent())) / 1e6 });
  gauge(
    "tollkeeper_ledger_imbalance_credits",
    "Sum of all balances of an asset, whatever its sign, over all assets; anything but 0 means a broken ledger.",
    (found) => found.all,
  );
  gauge("tollkeeper_wallets_balance_credits", "Credits in all wallets together.", (found) => found.wallets);
  gauge("tollkeeper_wallets_held_credits", "Credits held by running calls.", (found) => found.held);
}

async function sums(pool: Pool): Promise<{ all: bigint; wallets: bigint; held: bigint }> {
  const { rows } = await pool.query<{ all: bigint; wallets: bigint; held: bigint }>(
    `SELECT coalesce(sum(abs(balance)), 0)::bigint AS all, coalesce(sum(wallets), 0)::bigint AS wallets, coalesce(sum(held), 0)::bigint AS held
     FROM (SELECT sum(balance) AS balance, sum(balance) FILTER (WHERE kind = 'wallet') AS wallets, sum(held) AS held
       FROM ledger_accounts GROUP BY asset) AS assets`,
  );
  return rows[0]!;
}
