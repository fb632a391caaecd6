import type { WalletState } from "../../ledger/index.ts";
import type { PoolClient } from "../../platform/postgres.ts";
import type { DuePeriod } from "./repository.ts";
import type { StatementDeps } from "./write.ts";

/** So long, at most, a statement waits for expired credit that calls of the next period keep held. What is left of it is on the next one. */
const EXPIRY_PATIENCE_MS = 86_400_000;

/** Which of the periods are to wait: their calls still run or are not settled, or their credit has expired and is held. */
export async function waiting(
  { ledger, calls, graceMs }: Pick<StatementDeps, "ledger" | "calls" | "graceMs">,
  tx: PoolClient,
  due: readonly DuePeriod[],
  wallets: ReadonlyMap<bigint, WalletState>,
  now: Date,
): Promise<(period: DuePeriod) => boolean> {
  const holding = await ledger.holdingSince(
    tx,
    due
      .filter(({ wallet_id }) => wallets.get(wallet_id)!.held > 0n)
      .map(({ wallet_id: walletId, ends_at }) => ({ walletId, before: new Date(ends_at.getTime() + graceMs) })),
  );
  const unsettled = await calls.unsettledBefore(
    tx,
    due.map(({ user_id: userId, ends_at: before }) => ({ userId, before })),
  );
  const unexpired = ({ wallet_id, ends_at }: DuePeriod) => {
    const { nextExpiry } = wallets.get(wallet_id)!;
    return nextExpiry !== null && nextExpiry <= ends_at && now.getTime() < ends_at.getTime() + EXPIRY_PATIENCE_MS;
  };
  return (period) => holding.has(period.wallet_id) || unsettled.has(period.user_id) || unexpired(period);
}
