import type { Queryable } from "../platform/postgres.ts";
import { noSuchWallet } from "./postings.ts";
import type { Tolerance } from "./rules.ts";
import type { SettleItem, SettleResult } from "./types.ts";

interface SettledRow {
  id: string;
  charged: bigint;
  uncharged: bigint;
  owed: bigint;
  balance_after: bigint;
  replayed: boolean;
  hold_missing: boolean;
}

/**
 * Charges and closes the holds of a batch inside the caller's transaction, exactly once per item id; chargeFor in rules.ts is the rule.
 * Throws `not_found` when a wallet does not exist; then nothing of the batch was settled.
 */
export async function settle(tx: Queryable, items: SettleItem[], tolerance: Tolerance): Promise<SettleResult[]> {
  if (items.length === 0) return [];
  const column = <T>(pick: (item: SettleItem) => T) => items.map(pick);
  try {
    const { rows } = await tx.query<SettledRow>({
      name: "ledger_settle",
      text: "SELECT * FROM ledger_settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
      values: [
        column((item) => item.id),
        column((item) => item.holdId),
        column((item) => item.walletId),
        column((item) => item.cost),
        column((item) => item.to),
        column((item) => item.type),
        column((item) => item.description),
        column((item) => item.reference),
        tolerance.percent,
        tolerance.micro,
      ],
    });
    return rows.map((row) => ({
      id: row.id,
      charged: row.charged,
      uncharged: row.uncharged,
      owed: row.owed,
      balanceAfter: row.balance_after,
      replayed: row.replayed,
      holdMissing: row.hold_missing,
    }));
  } catch (error) {
    throw noSuchWallet(error) ?? error;
  }
}
