import type { Queryable } from "../platform/postgres.ts";
import { noSuchWallet } from "./postings.ts";
import { DEFAULT_PRIORITY } from "./rules.ts";
import type { Credit, WalletState } from "./types.ts";

/**
 * Credits many wallets in one statement, each once per id; answers the ids that were credited now. All come from the same account, with
 * the same source and type as the first. Throws `not_found` when a wallet does not exist; then nothing was credited.
 */
export async function creditMany(tx: Queryable, credits: readonly Credit[]): Promise<string[]> {
  const [first] = credits;
  if (!first) return [];
  const column = <T>(pick: (credit: Credit) => T) => credits.map(pick);
  try {
    const { rows } = await tx.query<{ id: string }>(
      "SELECT * FROM ledger_credit_many($1, $2, $3, $4, $5, $6, $7::smallint, $8, $9, $10) AS id",
      [
        column((credit) => credit.id),
        column((credit) => credit.walletId),
        column((credit) => credit.amount),
        first.from,
        first.source,
        first.type,
        first.priority ?? DEFAULT_PRIORITY[first.source],
        column((credit) => credit.expiresAt ?? null),
        column((credit) => credit.description),
        column((credit) => credit.reference ?? null),
      ],
    );
    return rows.map(({ id }) => id);
  } catch (error) {
    throw noSuchWallet(error) ?? error;
  }
}

/** Takes what has expired by `now` out of wallets. They are locked until the transaction ends. */
export async function expireWallets(tx: Queryable, walletIds: readonly bigint[], now: Date): Promise<void> {
  await tx.query("SELECT FROM ledger_expire_wallets($1, $2)", [[...new Set(walletIds)], now]);
}

/** How wallets are, without a lock; those that do not exist are left out. */
export async function walletStates(db: Queryable, walletIds: readonly bigint[]): Promise<WalletState[]> {
  const { rows } = await db.query<{ id: bigint; balance: bigint; held: bigint; last_seq: bigint; next_expiry: Date | null }>(
    "SELECT id, balance, held, last_seq, next_expiry FROM ledger_accounts WHERE id = ANY ($1) AND kind = 'wallet'",
    [walletIds],
  );
  return rows.map((row) => ({
    walletId: row.id,
    balance: row.balance,
    held: row.held,
    lastSeq: row.last_seq,
    nextExpiry: row.next_expiry,
  }));
}
