import type { Ledger } from "../../ledger/index.ts";
import { announce } from "../../platform/invalidation.ts";
import { inTransaction, type Pool, type PoolClient } from "../../platform/postgres.ts";
import { lookedAtUntil, periodsBetween, termsAt } from "../calendar.ts";
import { partsAt, worthOf, type PlanBook } from "../planBook.ts";
import { readBook } from "../plans/book.ts";
import { allowanceOf } from "./allowance.ts";
import * as repository from "./repository.ts";
import type { DueRow, NewPeriod } from "./repository.ts";

/** What a batch, or all of them, did. */
export interface Opened {
  subscriptions: number;
  periods: number;
  /** Micro-credits. */
  granted: bigint;
  /** How long wallets were locked. */
  lockedMs: number;
}

export interface PeriodDeps {
  pool: Pool;
  ledger: Pick<Ledger, "creditMany" | "expireWallets" | "walletStates">;
  /** How long after a period's end its statement may be written: calls that began in it have reached their hold by then. */
  graceMs: number;
}

/**
 * The periods a subscription has to open, oldest first. The first begins where the last one that is open ends, whatever terms or a
 * calendar say of that moment now, so that none overlaps another.
 */
export function periodsOf(book: PlanBook, row: DueRow, now: Date): NewPeriod[] {
  const terms = row.terms ?? book.standard;
  const openedUntilMs = row.opened_until?.getTime();
  // Terms since ever are those of the standard plan, which an account has since it was made.
  const ownSinceMs = terms[0]!.fromMs > 0 ? terms[0]!.fromMs : row.created_at.getTime();
  return periodsBetween(terms, openedUntilMs ?? ownSinceMs, now.getTime()).map((found, n) => {
    const period = n === 0 && openedUntilMs !== undefined ? { ...found, fromMs: openedUntilMs } : found;
    // Also what changed in it before it was opened.
    const parts = partsAt(book, terms, lookedAtUntil(terms, period, now.getTime()), period);
    const { plan, version: planVersion } = parts.at(-1)!.version;
    const granted = worthOf(parts, period, ({ allowance }) => allowance)!;
    return { ...period, userId: row.user_id, walletId: row.wallet_id, plan, planVersion, granted };
  });
}

/**
 * Opens the periods of up to `limit` subscriptions that are due, all that were missed: each once, with its allowance, in one transaction.
 * What earlier ones have left expires first; that of periods that are over already, right after. Safe with any number of others doing the
 * same.
 */
export async function openBatch(deps: PeriodDeps, now: Date, limit: number): Promise<Opened> {
  const { pool, ledger } = deps;
  const done = await inTransaction(pool, async (tx) => {
    const due = await repository.takeDue(tx, now, limit);
    return due.length === 0 ? undefined : open(deps, tx, due, now);
  });
  if (!done) return { subscriptions: 0, periods: 0, granted: 0n, lockedMs: 0 };
  const granted = performance.now();
  if (done.late.length > 0) await inTransaction(pool, (tx) => ledger.expireWallets(tx, done.late, now));
  return { ...done.opened, lockedMs: Math.max(granted - done.lockedSince, performance.now() - granted) };
}

const nameOf = (userId: string, startsAt: Date): string => `${userId} ${startsAt.toISOString()}`;

async function open({ ledger, graceMs }: PeriodDeps, tx: PoolClient, due: DueRow[], now: Date) {
  const book = await readBook(tx);
  const wanted = due.flatMap((row) => periodsOf(book, row, now));
  const inserted = new Set(
    (await repository.insertPeriods(tx, wanted, termsAt(book.standard, now.getTime()).no, graceMs)).map((row) =>
      nameOf(row.user_id, row.starts_at),
    ),
  );
  const periods = wanted.filter(({ userId, fromMs }) => inserted.has(nameOf(userId, new Date(fromMs))));
  const granting = periods.filter(({ granted }) => granted > 0n);
  await repository.noteOpened(tx, wanted);
  for (const userId of changing(due)) await announce(tx, "user", userId);
  // From here on calls wait. Only wallets in which something changes are locked, and all of them before any system account is.
  const lockedSince = performance.now();
  const states = await ledger.walletStates(
    tx,
    due.map(({ wallet_id }) => wallet_id),
  );
  const expiring = states.filter(({ nextExpiry }) => nextExpiry !== null && nextExpiry <= now).map(({ walletId }) => walletId);
  if (expiring.length > 0) await ledger.expireWallets(tx, [...expiring, ...granting.map(({ walletId }) => walletId)], now);
  await ledger.creditMany(
    tx,
    granting.map((period) =>
      allowanceOf({ ...period, startsAt: new Date(period.fromMs), endsAt: new Date(period.untilMs) }, period.granted, 0),
    ),
  );
  return {
    opened: { subscriptions: due.length, periods: periods.length, granted: granting.reduce((sum, { granted }) => sum + granted, 0n) },
    lockedSince,
    late: granting.filter(({ untilMs }) => untilMs <= now.getTime()).map(({ walletId }) => walletId),
  };
}

/** Whose limits may be others from the new period on: only they need to be looked up anew. */
const changing = (due: readonly DueRow[]): string[] => due.filter(({ terms }) => terms && terms.length > 1).map(({ user_id }) => user_id);
