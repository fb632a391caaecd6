import { Waits } from "../platform/aside.ts";
import { isLockTimeout } from "../platform/postgres.ts";

/** How long a batch waits for each lock, in milliseconds: far longer than charges and holds keep one, and not so long that others would notice. */
export const PATIENCE_MS = 100;

/**
 * The beginning of a FROM that lets what follows wait for locks no longer than {@link PATIENCE_MS}, in this statement alone. What follows is to
 * take {@link PATIENTLY} as its first parameter's value: so it is called after that.
 */
export const PATIENCE = `set_config('lock_timeout', '${PATIENCE_MS}', true) AS patience CROSS JOIN LATERAL`;
export const PATIENTLY = "CASE WHEN patience IS NOT NULL THEN $1::uuid[] END";

/**
 * Runs a batch without those of its items whose wallet somebody keeps locked: these answer that they wait for it. What else may be locked, a
 * budget or an account that charges share, is found by halving until it stands with one wallet. `run` rejects with a lock time-out when
 * nothing of what it was asked was done.
 */
export async function aroundLocked<Item extends { walletId: bigint }, Answer>(
  items: readonly Item[],
  run: (items: readonly Item[]) => Promise<readonly Answer[]>,
  unlocked: (walletIds: readonly bigint[]) => Promise<ReadonlySet<bigint>>,
): Promise<(Answer | Waits<bigint>)[]> {
  const answers = new Map<Item, Answer | Waits<bigint>>();

  async function attempt(part: readonly Item[]): Promise<void> {
    if (part.length === 0) return;
    try {
      const given = await run(part);
      for (const [n, item] of part.entries()) answers.set(item, given[n]!);
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
      await split(part);
    }
  }

  async function split(part: readonly Item[]): Promise<void> {
    const wallets = [...new Set(part.map(({ walletId }) => walletId))];
    const free = wallets.length > 1 ? await unlocked(wallets) : new Set<bigint>();
    for (const item of part) if (!free.has(item.walletId)) answers.set(item, new Waits([item.walletId]));
    if (free.size < wallets.length) return attempt(part.filter(({ walletId }) => free.has(walletId)));
    const first = new Set(wallets.slice(0, wallets.length >> 1));
    await attempt(part.filter(({ walletId }) => first.has(walletId)));
    await attempt(part.filter(({ walletId }) => !first.has(walletId)));
  }

  await attempt(items);
  return items.map((item) => answers.get(item)!);
}
