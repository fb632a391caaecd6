import { uuidv7 } from "../../platform/ids.ts";
import type { PoolClient } from "../../platform/postgres.ts";
import { HOLD_TTL_MS, holdOwner, type WorkDeps } from "../deps.ts";
import type { TaskRow } from "../task.ts";

/** What came of asking for more. `reason` is a code for the owner. */
export type Grown = { kind: "held"; holdId: string } | { kind: "refused"; reason: string; shortfall: bigint };

/**
 * Holds so much for a task in place of what is held, against its owner's wallet and spend limits; also when its hold is gone, because
 * nobody could renew it for a day. Nothing changes when it is refused.
 */
export async function regrow(
  { ledger, budgetsOf, log }: Pick<WorkDeps, "ledger" | "budgetsOf" | "log">,
  tx: PoolClient,
  task: TaskRow,
  holdId: string,
  amount: bigint,
): Promise<Grown> {
  const hold = {
    walletId: task.wallet_id,
    amount,
    owner: holdOwner(task.id),
    ttlMs: HOLD_TTL_MS,
    budgets: await budgetsOf(task.user_id),
  };
  const grown = await ledger.replaceHold(tx, { ...hold, holdId });
  if (grown.kind !== "missing") return grown;
  const id = uuidv7();
  const held = await ledger.reserve(tx, { ...hold, id });
  log.warn({ task: task.id, hold: holdId, outcome: held.kind }, "the hold of a render task was gone");
  return held.kind === "held" ? { kind: "held", holdId: id } : { kind: "refused", reason: held.reason, shortfall: held.shortfall };
}
