import type { Emit } from "../../activity/index.ts";
import type { Ledger } from "../../ledger/index.ts";
import { formatCredits } from "../../platform/credits.ts";
import type { Metrics } from "../../platform/metrics.ts";
import { inTransaction, type Pool } from "../../platform/postgres.ts";
import { PAYERS, REWARD_KINDS } from "../payouts.ts";
import { countTry, lockOpen, noteRecovered, type ReversalRow } from "./repository.ts";

/**
 * Takes a reward back: what is left of its own credit and no running call holds. What was spent is held back from later rewards (withhold.ts),
 * and no other credit pays for it.
 * May be called any number of times; it has ended when nothing is left.
 */
export type TakeBack = (paymentId: string) => Promise<void>;

export function createTakeBack(deps: {
  pool: Pool;
  ledger: Pick<Ledger, "takeBack" | "ensureWallet">;
  metrics: Metrics;
  emit: Emit;
}): TakeBack {
  const { pool, ledger, metrics, emit } = deps;
  const credits = metrics.counters({
    name: "tollkeeper_reward_credits_recovered_total",
    help: "Credits of rewards taken back because their top-up was refunded, by kind.",
    labels: ["kind"],
  });
  for (const kind of REWARD_KINDS) credits.of(kind);

  async function take(paymentId: string): Promise<{ reversal: ReversalRow; transferId: string; taken: bigint } | undefined> {
    return inTransaction(pool, async (tx) => {
      const reversal = await lockOpen(tx, paymentId);
      if (!reversal) return undefined;
      const { kind, user_id: id, amount, recovered } = reversal;
      const transferId = `reversal:${paymentId}:${recovered}`;
      const { taken, left } = await ledger.takeBack(tx, {
        id: transferId,
        walletId: await ledger.ensureWallet(tx, { type: "user", id }),
        grantOf: paymentId,
        most: amount - recovered,
        to: PAYERS[kind],
        type: "BONUS",
        description: "Reward taken back: its top-up was refunded",
        reference: paymentId,
      });
      await noteRecovered(tx, paymentId, taken, left === 0n);
      return { reversal, transferId, taken };
    });
  }

  return async (paymentId) => {
    await countTry(pool, paymentId);
    const done = await take(paymentId);
    if (!done || done.taken === 0n) return;
    const { kind, user_id, order_no } = done.reversal;
    credits.of(kind).add(Number(done.taken) / 1e6);
    emit({
      kind: "reward.reversed",
      user_id,
      reward: kind,
      amount: formatCredits(done.taken),
      order_no,
      transfer_id: done.transferId,
    });
  };
}
