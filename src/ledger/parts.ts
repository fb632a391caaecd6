import { appError } from "../platform/errors.ts";
import { uuidv7 } from "../platform/ids.ts";
import type { Queryable } from "../platform/postgres.ts";
import { noSuchWallet } from "./postings.ts";
import { decideHold } from "./rules.ts";
import type { HoldOutcome, PartItem, PartResult, Regrown } from "./types.ts";

interface PartRow {
  kind: "charged" | "repeated" | "refused" | "missing";
  charged: bigint | null;
  balance_after: bigint | null;
  rest: bigint | null;
  available: bigint | null;
}

interface ReservedRow {
  kind: "held" | "refused" | "closed" | "conflict" | "unknown" | null;
  available: bigint | null;
  total: bigint | null;
  owed: bigint | null;
  left: bigint | null;
}

/** Charges one piece of work out of an open hold, once per id; the rest is held on under a new id. In the caller's transaction. */
export async function settlePart(tx: Queryable, item: PartItem): Promise<PartResult> {
  const next = uuidv7();
  const row = await ask<PartRow>(tx, "SELECT * FROM ledger_settle_part($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", [
    item.id,
    item.holdId,
    next,
    item.walletId,
    item.cost,
    item.to,
    item.type,
    item.description,
    item.reference,
    Math.ceil(item.ttlMs),
  ]);
  switch (row.kind) {
    case "charged":
      return { kind: "charged", charged: row.charged!, balanceAfter: row.balance_after!, holdId: next, rest: row.rest! };
    case "repeated":
      return { kind: "repeated", charged: row.charged!, balanceAfter: row.balance_after! };
    case "refused":
      return { kind: "refused", shortfall: item.cost - row.rest! - row.available!, rest: row.rest! };
    case "missing":
      return { kind: "missing" };
  }
}

/** Replaces an open hold by one of another amount, when the wallet covers it. In the caller's transaction. */
export async function replaceHold(
  tx: Queryable,
  hold: { holdId: string; walletId: bigint; amount: bigint; ttlMs: number },
): Promise<Regrown> {
  const next = uuidv7();
  const row = await ask<{ kind: "held" | "refused" | "missing"; available: bigint | null }>(
    tx,
    "SELECT * FROM ledger_replace_hold($1, $2, $3, $4, $5)",
    [hold.holdId, next, hold.walletId, hold.amount, Math.ceil(hold.ttlMs)],
  );
  if (row.kind === "held") return { kind: "held", holdId: next };
  return row.kind === "missing" ? { kind: "missing" } : { kind: "refused", available: row.available! };
}

/** Releases an open hold in the caller's transaction; one that is closed or unknown is ignored. */
export async function releaseWithin(tx: Queryable, holdId: string): Promise<void> {
  await tx.query("SELECT FROM ledger_close_holds(ARRAY[$1::uuid], 'released', NULL)", [holdId]);
}

/**
 * Holds credit in the caller's transaction, so that it exists exactly when what it is held for does. Locks the wallet until the
 * transaction ends; relayed calls use authorize, which never does.
 */
export async function reserve(
  tx: Queryable,
  hold: { id: string; walletId: bigint; amount: bigint; owner: string; ttlMs: number },
): Promise<HoldOutcome> {
  const { id, walletId, amount, owner, ttlMs } = hold;
  const row = await ask<ReservedRow>(
    tx,
    `SELECT kinds[1] AS kind, availables[1] AS available, totals[1] AS total, shortfalls[1] AS owed, lefts[1] AS left
     FROM ledger_hold(ARRAY[$1::uuid], ARRAY[$2::bigint], ARRAY[$3::bigint], ARRAY[NULL::bigint], ARRAY[$4::text], ARRAY[$5::bigint],
       NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
    [id, walletId, amount, owner, Math.ceil(ttlMs)],
  );
  if (row.kind === null) return { kind: "held", amount, available: row.left! };
  if (row.kind === "held") return { kind: "held", amount, available: row.available! };
  if (row.kind === "refused") return decideHold({ amount }, { available: row.available!, total: row.total!, owed: row.owed! });
  throw row.kind === "unknown"
    ? appError("not_found", { message: "There is no such wallet" })
    : appError("invalid_state", { message: `The hold ${id} is ${row.kind}` });
}

/** What an open hold holds; 0 when it is closed or unknown. */
export async function heldWithin(tx: Queryable, holdId: string): Promise<bigint> {
  const { rows } = await tx.query<{ amount: bigint }>("SELECT amount FROM ledger_holds WHERE id = $1 AND state = 'held'", [holdId]);
  return rows[0]?.amount ?? 0n;
}

async function ask<Row extends object>(tx: Queryable, text: string, values: unknown[]): Promise<Row> {
  try {
    const { rows } = await tx.query<Row>(text, values);
    return rows[0]!;
  } catch (error) {
    throw noSuchWallet(error) ?? error;
  }
}
