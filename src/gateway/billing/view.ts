import type { CallerKey } from "../../identity/index.ts";
import type { Ledger } from "../../ledger/index.ts";
import { budgetsAt } from "../../quotas/index.ts";

/** What a caller has spent and has left, in micro-credits. */
export interface WalletView {
  spent: bigint;
  left: bigint;
}

export interface WalletDeps {
  ledger: Pick<Ledger, "balance" | "spending">;
  /** What the calls of `user:<uuid>` or `key:<uuid>` were charged since a moment. */
  spentSince(owner: string, since: Date): Promise<bigint>;
}

const ALWAYS = new Date(0);
const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/**
 * The wallet as the key sees it: what its account has spent and can spend. A key with spend limits of its own sees what it has spent
 * itself, and no more left than the narrowest limit leaves; an end-user token likewise.
 */
export async function viewWallet(deps: WalletDeps, caller: CallerKey): Promise<WalletView> {
  const { principal, spend, keyId, tokenId } = caller;
  const budgets = spend ? budgetsAt(spend, Date.now()).filter(({ unit = "credits" }) => unit === "credits") : [];
  const [balance, states] = await Promise.all([deps.ledger.balance(principal.walletId), deps.ledger.spending(budgets)]);
  let left = balance.available;
  for (const [i, { limit }] of budgets.entries()) {
    const { spent, held } = states[i]!;
    left = least(left, limit - spent - held);
  }
  const ofToken = tokenId === null ? -1 : budgets.findIndex(({ id }) => id.endsWith(`:${tokenId}`));
  const owner = budgets.some(({ id }) => id === `key:${keyId}`) ? `key:${keyId}` : `user:${principal.userId}`;
  const spent = ofToken < 0 ? await deps.spentSince(owner, ALWAYS) : (states[ofToken]?.spent ?? 0n);
  return { spent, left: left > 0n ? left : 0n };
}
