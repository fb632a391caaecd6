import type { Queryable } from "../platform/postgres.ts";
import { appError } from "../platform/errors.ts";
import { DEFAULT_PRIORITY, least } from "./rules.ts";
import type { Credit, CreditFollow, CreditResult, Debit, DebitResult, Less, TakeBack } from "./types.ts";

interface PostedRow {
  id: string | null;
  debit_account: bigint;
  credit_account: bigint;
  amount: bigint;
  type: string;
  source: string | null;
  debit_balance_after: bigint;
  credit_balance_after: bigint;
  counterpart: string;
  replayed: boolean;
}

const POSTED = `(p.transfer).id, (p.transfer).debit_account, (p.transfer).credit_account, (p.transfer).amount, (p.transfer).type,
  (p.transfer).source, (p.transfer).debit_balance_after, (p.transfer).credit_balance_after, p.counterpart, p.replayed`;

const CREDITED = "$1, $2, $3, $4, $5, $6, $7::smallint, $8, $9, $10";

const crediting = (c: Credit): unknown[] => [
  c.id,
  c.walletId,
  c.amount,
  c.from,
  c.source,
  c.type,
  c.priority ?? DEFAULT_PRIORITY[c.source],
  c.expiresAt ?? null,
  c.description,
  c.reference ?? null,
];

function checkCredit(c: Credit, row: PostedRow): void {
  const same =
    row.credit_account === c.walletId &&
    row.amount === c.amount &&
    row.counterpart === c.from &&
    row.source === c.source &&
    row.type === c.type;
  if (row.replayed && !same) throw mismatch(c.id);
}

/** Credits a wallet once per id. Throws `idempotency_mismatch` when the id was used for something else, `not_found` without a wallet. */
export async function credit(db: Queryable, c: Credit): Promise<CreditResult> {
  checkAmount(c.amount);
  const row = await post<PostedRow>(db, `SELECT ${POSTED} FROM ledger_credit(${CREDITED}) p`, crediting(c));
  checkCredit(c, row);
  return { transferId: c.id, balance: row.credit_balance_after, replayed: row.replayed };
}

/** {@link credit}, less what is taken back of it at once, and what follows from it, in one statement. */
export async function creditAnd(
  tx: Queryable,
  c: Credit,
  { less, follow }: { less: Less; follow: CreditFollow },
): Promise<CreditResult & { taken: bigint; followed: unknown }> {
  checkAmount(c.amount);
  const places = follow.values.map((_, n) => `, $${n + 14}`).join("");
  const row = await post<PostedRow & { balance: bigint; taken: bigint; followed: unknown }>(
    tx,
    `WITH p AS MATERIALIZED (SELECT * FROM ledger_credit_less(${CREDITED}, $11, $12, $13))
     SELECT ${POSTED}, p.balance, p.taken, ${follow.call}(p.balance, p.taken${places}) AS followed FROM p`,
    [...crediting(c), less.id, less.most, less.description, ...follow.values],
  );
  checkCredit(c, row);
  return { transferId: c.id, balance: row.balance, replayed: row.replayed, taken: row.taken, followed: row.followed };
}

/** Debits a wallet once per id, when balance - held covers it. Throws like {@link credit}. */
export async function debit(db: Queryable, d: Debit): Promise<DebitResult> {
  checkAmount(d.amount);
  const row = await post<PostedRow & { available: bigint }>(
    db,
    `SELECT ${POSTED}, p.available FROM ledger_debit($1, $2, $3, $4, $5, $6, $7, $8) p`,
    [d.id, d.walletId, d.amount, d.to, d.type, d.description, d.reference ?? null, d.grantOf ?? null],
  );
  if (row.id === null) return { kind: "refused", available: row.available, shortfall: d.amount - row.available };
  const same = row.debit_account === d.walletId && row.amount === d.amount && row.counterpart === d.to && row.type === d.type;
  if (row.replayed && !same) throw mismatch(d.id);
  return { kind: "ok", transferId: d.id, balance: row.debit_balance_after, replayed: row.replayed };
}

/** Takes back what is left of a grant and no hold needs, up to `most`. */
export async function takeBack(tx: Queryable, { most, ...request }: TakeBack): Promise<{ taken: bigint; left: bigint }> {
  const all = await debit(tx, { ...request, amount: most });
  let taken = all.kind === "ok" ? most : 0n;
  if (all.kind === "refused" && all.available > 0n) {
    // The wallet is locked since the refusal: what was available is.
    await debit(tx, { ...request, amount: all.available });
    taken = all.available;
  }
  const { rows } = await tx.query<{ remaining: bigint }>("SELECT remaining FROM ledger_grants WHERE transfer_id = $1 AND wallet_id = $2", [
    request.grantOf,
    request.walletId,
  ]);
  return { taken, left: least(rows[0]?.remaining ?? 0n, most - taken) };
}

/**
 * Credits one wallet from several accounts, in the order in which everybody locks: the wallet, then the accounts by code. One credit after
 * the other would come to them behind 'unpaid', which the first locks when the wallet owes.
 */
export async function creditTogether(tx: Queryable, credits: readonly Credit[]): Promise<void> {
  const [first] = credits;
  if (!first) return;
  await post(tx, "SELECT ledger_lock($1, $2)", [first.walletId, credits.map(({ from }) => from)]);
  for (const one of credits) await credit(tx, one);
}

async function post<Row extends object>(db: Queryable, text: string, values: unknown[]): Promise<Row> {
  try {
    const { rows } = await db.query<Row>(text, values);
    return rows[0]!;
  } catch (error) {
    throw noSuchWallet(error) ?? error;
  }
}

/** The database's "there is no wallet" as an AppError; undefined for every other error. */
export function noSuchWallet(error: unknown): Error | undefined {
  const failed = (error as { code?: unknown } | null)?.code === "P0002";
  return failed ? appError("not_found", { message: "There is no such wallet", cause: error }) : undefined;
}

function checkAmount(amount: bigint): void {
  if (amount <= 0n) throw new RangeError(`an amount must be above zero, not ${amount}`);
}

function mismatch(id: string): Error {
  return appError("idempotency_mismatch", { message: `The transfer ${id} exists with other content` });
}
