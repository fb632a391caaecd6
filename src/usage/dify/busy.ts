import type { Ledger } from "../../ledger/index.ts";

/** How long a batch waits for a wallet: far longer than charges and holds keep one, and not so long that others would notice. */
export const PATIENCE_MS = 100;

/** Somebody keeps wallets locked that a batch needs; nothing of the batch was done. */
export class WalletsBusy extends Error {
  /** The wallets that each message needs, by the messages' ids. */
  readonly needs: ReadonlyMap<string, readonly bigint[]>;

  constructor(needs: ReadonlyMap<string, readonly bigint[]>, options?: ErrorOptions) {
    super("somebody keeps a wallet locked", options);
    this.needs = needs;
  }
}

/** Of messages and the wallets they need, those that would have to wait for one at this moment. */
export async function heldUp(
  ledger: Pick<Ledger, "unlocked">,
  needs: ReadonlyMap<string, readonly bigint[]>,
): Promise<ReadonlyMap<string, readonly bigint[]>> {
  const free = await ledger.unlocked([...new Set([...needs.values()].flat())]);
  return new Map([...needs].filter(([, wallets]) => wallets.some((id) => !free.has(id))));
}

/** After so many tries the wallets of a batch count as busy, though they are free when they are looked at. */
const TRIES = 3;

/**
 * Runs a batch without those of its messages that would have to wait for a wallet: these are answered with the wallets they need, `run` is not
 * asked for them.
 */
export async function aroundBusy<Answer>(
  ledger: Pick<Ledger, "unlocked">,
  ids: readonly string[],
  run: (ids: readonly string[]) => Promise<Answer>,
): Promise<{ answer: Answer | undefined; busy: ReadonlyMap<string, readonly bigint[]> }> {
  const busy = new Map<string, readonly bigint[]>();
  for (let tries = 1; ; tries++) {
    const rest = ids.filter((id) => !busy.has(id));
    if (rest.length === 0) return { answer: undefined, busy };
    try {
      return { answer: await run(rest), busy };
    } catch (error) {
      if (!(error instanceof WalletsBusy) || error.needs.size === 0) throw error;
      for (const [id, wallets] of tries < TRIES ? await heldUp(ledger, error.needs) : error.needs) busy.set(id, wallets);
    }
  }
}
