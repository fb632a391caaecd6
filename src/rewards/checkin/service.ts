import type { Settings } from "../../admin/settings/index.ts";
import type { Ledger } from "../../ledger/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { appError } from "../../platform/errors.ts";
import type { Pool } from "../../platform/postgres.ts";
import type { Payouts } from "../payouts.ts";
import { checkInSettings } from "../settings.ts";
import { judgeDay, rewardOf, type DayVerdict } from "./days.ts";
import { daysTaken, findByRequest, insertCheckIn, lockDays, type CheckInRow } from "./repository.ts";

/** Who checks in. */
export interface CheckInPerson {
  userId: string;
  walletId: bigint;
  timeZone: string;
}

export interface CheckInDeps {
  pool: Pool;
  settings: Settings;
  payouts: Payouts;
  ledger: Pick<Ledger, "balance" | "debit">;
  clock: Clock;
}

/** Checks in for today. Throws `already_checked_in`, or `invalid_state` while check-in is switched off. */
export type CheckIn = (person: CheckInPerson, requestKey: string | undefined) => Promise<CheckInRow>;

/** The 409 that says when the next one is possible. */
export function alreadyCheckedIn({ today, opensAt, streak }: DayVerdict): Error {
  return appError("already_checked_in", { details: { today, next_at: opensAt?.toISOString() ?? null, streak } });
}

/**
 * One check-in a day: the row of the day and its credit are one transaction, a person's check-ins go one after the other, and the
 * database holds one row for a person and day. The same request key gets the same row again.
 */
export function createCheckIn(deps: CheckInDeps): CheckIn {
  const { pool, settings, payouts, ledger, clock } = deps;
  return async ({ userId, walletId, timeZone }, requestKey) => {
    const { enabled, rewards, pastTable, expiresDays, priority } = await settings.read(checkInSettings);
    if (!enabled) throw appError("invalid_state", { message: "Check-in is switched off" });
    const key = requestKey === undefined ? null : `checkin ${requestKey}`;
    const before = key === null ? undefined : await findByRequest(pool, userId, key);
    if (before) return before;
    // Most repeats end here, without a transaction.
    const early = judgeDay(clock.now(), timeZone, await daysTaken(pool, userId));
    if (early.opensAt && key === null) throw alreadyCheckedIn(early);
    const { total } = await ledger.balance(walletId);

    return payouts.run(async (tx, pay) => {
      await lockDays(tx, userId);
      const same = key === null ? undefined : await findByRequest(tx, userId, key);
      if (same) return same;
      const now = clock.now();
      const verdict = judgeDay(now, timeZone, await daysTaken(tx, userId));
      if (verdict.opensAt) throw alreadyCheckedIn(verdict);
      const { today: day, nextStreak: streak } = verdict;
      const amount = rewardOf(streak, rewards, pastTable);
      const row: CheckInRow = {
        day,
        kind: "checkin",
        time_zone: timeZone,
        streak,
        reward: amount,
        price: 0n,
        balance_after: total,
        created_at: now,
      };
      await insertCheckIn(tx, { ...row, user_id: userId, request_key: key });
      const balance = await pay({
        id: `checkin:${userId}:${day}`,
        kind: "checkin",
        userId,
        amount,
        at: now,
        description: `Check-in, day ${streak} in a row`,
        reference: `checkin:${day}`,
        priority,
        expiresDays,
      });
      return { ...row, balance_after: balance ?? total };
    });
  };
}
