import type { WalletState } from "../ledger/index.ts";
import { formatCredits } from "../platform/credits.ts";
import type { Logger } from "../platform/logger.ts";
import type { Publish } from "./message.ts";
import type { Room } from "./room.ts";

const EVERY_MS = 1_000;

export interface BalanceDeps {
  rooms: ReadonlyMap<string, Room>;
  /** How these wallets stand, with one cheap statement. */
  states(walletIds: readonly bigint[]): Promise<Pick<WalletState, "walletId" | "balance" | "held" | "lastSeq">[]>;
  /** What its owner is shown of a wallet. */
  balance(walletId: bigint): Promise<{ available: bigint; held: bigint; total: bigint; shortfall: bigint }>;
  publish: Publish;
  log: Logger;
}

/**
 * Tells people when what is in their wallet changes, whatever changed it: the wallets of those who are connected are looked at once a second, so
 * that nothing is added to the transactions that move money. What several copies see is told once.
 */
export function watchBalances(deps: BalanceDeps): { look(): Promise<void>; stop(): void } {
  const { rooms, publish, log } = deps;
  let running = false;

  async function tell(room: Room): Promise<void> {
    const { available, held, total, shortfall } = await deps.balance(room.walletId);
    const data = {
      available: formatCredits(available),
      held: formatCredits(held),
      total: formatCredits(total),
      shortfall: formatCredits(shortfall),
    };
    publish({ userId: room.userId, type: "balance", data, onChange: true });
  }

  async function look(): Promise<void> {
    const watching = [...rooms.values()].filter(({ peers }) => [...peers].some(({ topics }) => topics.has("balance")));
    if (watching.length === 0) return;
    const states = await deps.states(watching.map(({ walletId }) => walletId));
    const byWallet = new Map(states.map((state) => [state.walletId, `${state.balance} ${state.held} ${state.lastSeq}`]));
    for (const room of watching) {
      const seen = byWallet.get(room.walletId);
      if (seen === undefined || seen === room.wallet) continue;
      await tell(room);
      room.wallet = seen;
    }
  }

  const timer = setInterval(() => {
    if (running) return;
    running = true;
    look()
      .catch((error: unknown) => log.debug({ err: error }, "balances could not be looked at"))
      .finally(() => (running = false));
  }, EVERY_MS);
  timer.unref();
  return { look, stop: () => clearInterval(timer) };
}
