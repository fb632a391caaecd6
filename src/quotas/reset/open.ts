import type { Credit, Ledger } from "../../ledger/index.ts";
import { announce } from "../../platform/invalidation.ts";
import { inTransaction, type Pool, type PoolClient } from "../../platform/postgres.ts";
import { periodsBetween, type Terms } from "../calendar.ts";
import { partsAt, standardTerms, type PlanBook, type PlanPart } from "../planBook.ts";
import { readBook } from "../plans/repository.ts";
import { prorate } from "../proration.ts";
import * as repository from "./repository.ts";
import type { DueRow, NewPeriod, PeriodRow } from "./repository.ts";

/** What a batch, or all of them, did. */
export interface Opened {
  subscriptions: number;
  periods: number;
  /** Micro-credits. */
  granted: bigint;
}

export interface PeriodDeps {
  pool: Pool;
  ledger: Pick<Ledger, "creditMany" | "expireWallets">;
  /** How long after a period's end its statement may be written: calls that began in it have reached their hold by then. */
  graceMs: number;
}

/** The id of the grants of a period: its allowance is `0`, what a change in mid-period adds counts up from there. */
const grantId = (userId: string, startsAt: Date, nth: number): string =>
  `allowance:${userId}:${startsAt.toISOString()}${nth === 0 ? "" : `:${nth}`}`;

function allowance(
  period: { userId: string; walletId: bigint; startsAt: Date; endsAt: Date; plan: string },
  amount: bigint,
  nth: number,
): Credit {
  const { userId, walletId, startsAt, endsAt, plan } = period;
  return {
    id: grantId(userId, startsAt, nth),
    walletId,
    amount,
    from: "grants:allowance",
    source: "allowance",
    type: "ALLOWANCE",
    expiresAt: endsAt,
    description: nth === 0 ? `Allowance of the plan ${plan}` : `Allowance of the plan ${plan}, added in mid-period`,
    reference: `period:${startsAt.toISOString()}`,
  };
}

/** The periods a subscription has to open, oldest first. */
export function periodsOf(book: PlanBook, row: DueRow, now: Date): NewPeriod[] {
  const terms = row.terms ?? standardTerms(book);
  const begin = row.opened_until ?? (row.terms ? new Date(row.terms[0]!.fromMs) : row.created_at);
  return periodsBetween(terms, begin.getTime(), now.getTime()).map((span) => {
    // Also what changed in it before it was opened.
    const parts = partsAt(book, terms, Math.min(now.getTime(), span.untilMs - 1));
    const { plan, version: planVersion } = parts.at(-1)!.version;
    return { ...span, userId: row.user_id, walletId: row.wallet_id, plan, planVersion, granted: worth(parts) };
  });
}

/** What a period grants whose plan has these parts. */
const worth = (parts: readonly PlanPart[]): bigint =>
  prorate(parts.map(({ fromMs, untilMs, version: { allowance: amount } }) => ({ fromMs, untilMs, amount })))!;

/**
 * Opens the periods of up to `limit` subscriptions that are due, all that were missed: each once, with its allowance, in one transaction.
 * What earlier ones have left expires first; that of periods that are over already, right after. Safe with any number of others doing the
 * same.
 */
export async function openBatch(deps: PeriodDeps, now: Date, limit: number): Promise<Opened> {
  const { pool, ledger } = deps;
  const { opened, late } = await inTransaction(pool, async (tx) => {
    const due = await repository.takeDue(tx, now, limit);
    return due.length === 0 ? { opened: NOTHING, late: [] } : open(deps, tx, due, now);
  });
  if (late.length > 0) await inTransaction(pool, (tx) => ledger.expireWallets(tx, late, now));
  return opened;
}

const NOTHING: Opened = { subscriptions: 0, periods: 0, granted: 0n };

async function open({ ledger, graceMs }: PeriodDeps, tx: PoolClient, due: DueRow[], now: Date) {
  const book = await readBook(tx);
  const wanted = due.flatMap((row) => periodsOf(book, row, now));
  const inserted = new Set((await repository.insertPeriods(tx, wanted, graceMs)).map((row) => grantId(row.user_id, row.starts_at, 0)));
  const periods = wanted.filter(({ userId, fromMs }) => inserted.has(grantId(userId, new Date(fromMs), 0)));
  await ledger.expireWallets(
    tx,
    due.map(({ wallet_id }) => wallet_id),
    now,
  );
  const granting = periods.filter(({ granted }) => granted > 0n);
  await ledger.creditMany(
    tx,
    granting.map((period) =>
      allowance({ ...period, startsAt: new Date(period.fromMs), endsAt: new Date(period.untilMs) }, period.granted, 0),
    ),
  );
  await repository.noteOpened(tx, wanted);
  for (const { userId } of changedPlans(due, periods)) await announce(tx, "user", userId);
  return {
    opened: { subscriptions: due.length, periods: periods.length, granted: granting.reduce((sum, { granted }) => sum + granted, 0n) },
    late: granting.filter(({ untilMs }) => untilMs <= now.getTime()).map(({ walletId }) => walletId),
  };
}

/** Whose limits may be others from the new period on: only they need to be looked up anew. */
function changedPlans(due: readonly DueRow[], periods: readonly NewPeriod[]): NewPeriod[] {
  const own = new Set(due.filter(({ terms }) => terms && terms.length > 1).map(({ user_id }) => user_id));
  return periods.filter(({ userId }) => own.has(userId));
}

/**
 * Brings an open period up to what its plan says now: what the plans of its parts grant by their shares, less what was granted. Nothing
 * is taken back. Answers what was granted. The period's row must be locked.
 */
export async function adjustPeriod(
  { ledger }: Pick<PeriodDeps, "ledger">,
  tx: PoolClient,
  period: PeriodRow,
  of: { book: PlanBook; terms: readonly Terms[]; now: Date },
): Promise<bigint> {
  const parts = partsAt(of.book, of.terms, of.now.getTime());
  const { plan, version } = parts.at(-1)!.version;
  const target = worth(parts);
  const extra = target > period.granted ? target - period.granted : 0n;
  if (extra > 0n) {
    const { user_id: userId, wallet_id: walletId, starts_at: startsAt, ends_at: endsAt } = period;
    await ledger.creditMany(tx, [allowance({ userId, walletId, startsAt, endsAt, plan }, extra, period.grants + 1)]);
  }
  await repository.noteChanged(tx, period, {
    plan,
    planVersion: plan === period.plan ? Math.max(version, period.plan_version) : version,
    granted: period.granted + extra,
    grants: period.grants + (extra > 0n ? 1 : 0),
  });
  return extra;
}

/** Brings up to `limit` open periods up to a plan that was changed with effect at once. Answers how many there were. */
export async function adjustBatch(
  deps: Pick<PeriodDeps, "pool" | "ledger">,
  now: Date,
  limit: number,
): Promise<{ periods: number; granted: bigint }> {
  return inTransaction(deps.pool, async (tx) => {
    const changed = await repository.takeChanged(tx, now, limit);
    if (changed.length === 0) return { periods: 0, granted: 0n };
    const book = await readBook(tx);
    // All wallets are locked before the first credit locks a system account.
    await deps.ledger.expireWallets(
      tx,
      changed.map(({ wallet_id }) => wallet_id),
      now,
    );
    let granted = 0n;
    for (const period of changed) {
      granted += await adjustPeriod(deps, tx, period, { book, terms: period.terms ?? standardTerms(book), now });
    }
    return { periods: changed.length, granted };
  });
}
