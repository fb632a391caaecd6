import type { Ledger } from "../../ledger/index.ts";
import { inTransaction, type Pool, type PoolClient } from "../../platform/postgres.ts";
import { lookedAtUntil, periodAt, termsAt, type Terms } from "../calendar.ts";
import { partsAt, worthOf, type PlanBook } from "../planBook.ts";
import { readBook } from "../plans/book.ts";
import { allowanceOf } from "./allowance.ts";
import { noteChanged, takeChanged, type ChangedPeriod } from "./changes.ts";
import type { PeriodRow } from "./repository.ts";

interface Adjusted extends ChangedPeriod {
  row: PeriodRow;
  extra: bigint;
}

/** An open period brought up to what terms and plans say now: what its parts grant by their shares, less what was granted. */
function adjusted(row: PeriodRow, book: PlanBook, terms: readonly Terms[], now: Date): Adjusted {
  const period = { ...periodAt(terms, row.starts_at.getTime()), fromMs: row.starts_at.getTime(), untilMs: row.ends_at.getTime() };
  const parts = partsAt(book, terms, lookedAtUntil(terms, period, now.getTime()), period);
  const { plan, version } = parts.at(-1)!.version;
  const target = worthOf(parts, period, ({ allowance }) => allowance)!;
  const extra = target > row.granted ? target - row.granted : 0n;
  return {
    row,
    extra,
    userId: row.user_id,
    startsAt: row.starts_at,
    plan,
    planVersion: plan === row.plan ? Math.max(version, row.plan_version) : version,
    granted: row.granted + extra,
    grants: row.grants + (extra > 0n ? 1 : 0),
    // Of the same moment as all else: what comes later is seen by a later run.
    standardNo: termsAt(book.standard, now.getTime()).no,
  };
}

/**
 * Brings open periods up to what their plans say now. Nothing is taken back. Answers what was granted. The periods' rows must be locked;
 * only wallets that are granted something are.
 */
export async function adjustPeriods(
  ledger: Pick<Ledger, "creditMany">,
  tx: PoolClient,
  periods: readonly { row: PeriodRow; terms: readonly Terms[] | null }[],
  of: { book: PlanBook; now: Date },
): Promise<bigint> {
  const changed = periods.map(({ row, terms }) => adjusted(row, of.book, terms ?? of.book.standard, of.now));
  await noteChanged(tx, changed);
  const granting = changed.filter(({ extra }) => extra > 0n);
  await ledger.creditMany(
    tx,
    granting.map(({ row, extra, plan }) => {
      const { user_id: userId, wallet_id: walletId, starts_at: startsAt, ends_at: endsAt, grants } = row;
      return allowanceOf({ userId, walletId, startsAt, endsAt, plan }, extra, grants + 1);
    }),
  );
  return granting.reduce((sum, { extra }) => sum + extra, 0n);
}

/** Brings up to `limit` open periods up to a plan, or a choice of the standard plan, that counts since. Answers how many there were. */
export async function adjustBatch(
  { pool, ledger }: { pool: Pool; ledger: Pick<Ledger, "creditMany"> },
  now: Date,
  limit: number,
): Promise<{ periods: number; granted: bigint; lockedMs: number }> {
  const done = await inTransaction(pool, async (tx) => {
    const changed = await takeChanged(tx, now, limit);
    if (changed.length === 0) return undefined;
    const book = await readBook(tx);
    const lockedSince = performance.now();
    return { periods: changed.length, granted: await adjustPeriods(ledger, tx, changed, { book, now }), lockedSince };
  });
  if (!done) return { periods: 0, granted: 0n, lockedMs: 0 };
  const { lockedSince, ...adjusted } = done;
  return { ...adjusted, lockedMs: performance.now() - lockedSince };
}
