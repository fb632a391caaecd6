import { checkBudget, checkCounts, openBudget, type SpentSince } from "./budgets.ts";
import { holdStatement, type Answer, type AuthorizedRow } from "./holdStatement.ts";
import { uuidv7 } from "../platform/ids.ts";
import type { Queryable } from "../platform/postgres.ts";
import { noSuchWallet } from "./postings.ts";
import type { HoldOutcome, HoldReplacement, HoldRequest, PartItem, PartResult, Regrown } from "./types.ts";

interface PartRow {
  kind: "charged" | "repeated" | "refused" | "missing";
  charged: bigint | null;
  balance_after: bigint | null;
  rest: bigint | null;
  available: bigint | null;
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

/**
 * Replaces an open hold by one of another amount, when the wallet covers it and its budgets leave as much. In the caller's transaction,
 * in which nothing is changed otherwise.
 */
export async function replaceHold(tx: Queryable, hold: HoldReplacement, spentSince?: SpentSince): Promise<Regrown> {
  const next = uuidv7();
  if (hold.budgets?.length) return replaceLimited(tx, hold, next, spentSince);
  const row = await ask<{ kind: "held" | "refused" | "missing"; available: bigint | null; held: bigint | null }>(
    tx,
    "SELECT r.*, (SELECT amount FROM ledger_holds WHERE id = $1) AS held FROM ledger_replace_hold($1, $2, $3, $4, $5) r",
    [hold.holdId, next, hold.walletId, hold.amount, Math.ceil(hold.ttlMs)],
  );
  if (row.kind === "held") return { kind: "held", holdId: next };
  if (row.kind === "missing") return { kind: "missing" };
  return { kind: "refused", reason: "insufficient_balance", shortfall: hold.amount - row.held! - row.available! };
}

/** Budgets are not known to the hold that counts on them: what they leave is asked as for a new one. */
async function replaceLimited(tx: Queryable, hold: HoldReplacement, next: string, spentSince?: SpentSince): Promise<Regrown> {
  const { holdId, ...rest } = hold;
  await tx.query("SAVEPOINT replace_hold");
  const { rows } = await tx.query<{ id: string }>("SELECT id FROM ledger_close_holds(ARRAY[$1::uuid], 'released', NULL)", [holdId]);
  const outcome = rows.length === 0 ? undefined : await reserve(tx, { ...rest, id: next }, spentSince);
  if (outcome?.kind === "held") {
    await tx.query("RELEASE SAVEPOINT replace_hold");
    return { kind: "held", holdId: next };
  }
  await tx.query("ROLLBACK TO SAVEPOINT replace_hold");
  if (!outcome) return { kind: "missing" };
  return { kind: "refused", reason: outcome.reason, shortfall: outcome.shortfall };
}

/** Releases an open hold in the caller's transaction; one that is closed or unknown is ignored. */
export async function releaseWithin(tx: Queryable, holdId: string): Promise<void> {
  await tx.query("SELECT FROM ledger_close_holds(ARRAY[$1::uuid], 'released', NULL)", [holdId]);
}

/**
 * Holds credit in the caller's transaction, so that it exists exactly when what it is held for does. Locks the wallet until the
 * transaction ends; relayed calls use authorize, which never does.
 */
export async function reserve(tx: Queryable, hold: HoldRequest, spentSince?: SpentSince): Promise<HoldOutcome> {
  hold.budgets?.forEach(checkBudget);
  checkCounts(hold);
  let outcome = await askHold(tx, hold);
  if (!(outcome instanceof Error) && outcome.kind === "unopened") {
    for (const budget of outcome.budgets) await openBudget(tx, budget, spentSince);
    outcome = await askHold(tx, hold);
  }
  if (outcome instanceof Error) throw outcome;
  if (outcome.kind === "unopened") throw new Error(`the budgets of hold ${hold.id} could not be opened`);
  return outcome;
}

async function askHold(tx: Queryable, hold: HoldRequest): Promise<Answer> {
  const { query, answers } = holdStatement([hold]);
  const { rows } = await tx.query<AuthorizedRow>(query);
  return answers(rows[0]!)[0]!;
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
