import { appError, fieldError } from "../../platform/errors.ts";
import { formatCredits } from "../../platform/credits.ts";
import type { Queryable } from "../../platform/postgres.ts";
import { periodsAt } from "../../quotas/index.ts";
import { checkInSettings } from "../settings.ts";
import { daysUntil } from "./days.ts";
import {
  correctBalance,
  countMadeUp,
  daysBetween,
  findByRequest,
  insertCheckIn,
  lengthenStreaks,
  lockDays,
  type CheckInRow,
} from "./repository.ts";
import type { CheckInDeps, CheckInPerson } from "./service.ts";

/** Makes up a missed day. It pays nothing: it joins what was before it with what came after. */
export type MakeUp = (person: CheckInPerson & { since: Date }, day: string, requestKey: string | undefined) => Promise<CheckInRow>;

const FAR = "9999-12-31";

/** How many of these days, from the first, follow one another as a row that began with the first. */
export function rowLength(streaks: readonly number[]): number {
  const end = streaks.findIndex((streak, index) => streak !== index + 1);
  return end === -1 ? streaks.length : end;
}

/** The beginning of the month, UTC: no change of one's zone begins another month. */
export function monthBegan(now: Date): Date {
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1));
}

/**
 * Price and row are one transaction; one row for a person and day. Throws `invalid_state` while it is not allowed or the month's are used
 * up, `already_checked_in` for a day that is taken, `insufficient_balance`, `validation_failed` for a day out of reach.
 */
export function createMakeUp(deps: CheckInDeps): MakeUp {
  const { settings, payouts, ledger, clock } = deps;

  async function charge(tx: Queryable, person: CheckInPerson, day: string, price: bigint): Promise<bigint> {
    const posted = await ledger.debit(tx, {
      id: `makeup:${person.userId}:${day}`,
      walletId: person.walletId,
      amount: price,
      to: "grants:checkin",
      type: "CHECKIN",
      description: `Check-in of ${day} made up`,
      reference: `checkin:${day}`,
    });
    if (posted.kind === "ok") return posted.balance;
    throw appError("insufficient_balance", {
      details: { available: formatCredits(posted.available), shortfall: formatCredits(posted.shortfall) },
    });
  }

  return async (person, day, requestKey) => {
    const { userId, walletId, timeZone } = person;
    const { enabled, makeupDays: daysBack, makeupPrice: price, makeupPerMonth } = await settings.read(checkInSettings);
    if (!enabled || daysBack === 0) throw appError("invalid_state", { message: "Missed days cannot be made up" });
    const key = requestKey === undefined ? null : `makeup ${requestKey}`;
    const { total } = await ledger.balance(walletId);

    return payouts.run(async (tx) => {
      await lockDays(tx, userId);
      const same = key === null ? undefined : await findByRequest(tx, userId, key);
      if (same) return same;
      const now = clock.now();
      // With the day before the first that can be made up, and today.
      const calendar = daysUntil(timeZone, now.getTime(), daysBack + 2);
      const joined = periodsAt(timeZone, person.since.getTime()).day;
      const reach = calendar.slice(1, -1).filter((candidate) => candidate >= joined);
      if (!reach.includes(day)) throw fieldError("day", `must be a day from ${reach[0] ?? "none"} to ${reach.at(-1) ?? "none"}`);
      const after = await daysBetween(tx, userId, day, FAR);
      if (after[0]?.day === day) throw appError("already_checked_in", { message: "This day is not missed", details: { day } });
      if ((await countMadeUp(tx, userId, monthBegan(now))) >= makeupPerMonth) {
        throw appError("invalid_state", { message: `Only ${makeupPerMonth} days a month can be made up` });
      }
      const [before, next] = [calendar[calendar.indexOf(day) - 1]!, calendar[calendar.indexOf(day) + 1]!];
      const [previous] = await daysBetween(tx, userId, before, before);
      const streak = (previous?.streak ?? 0) + 1;
      const row: CheckInRow = {
        day,
        kind: "makeup",
        time_zone: timeZone,
        streak,
        reward: 0n,
        price,
        balance_after: total - price,
        created_at: now,
      };
      await insertCheckIn(tx, { ...row, user_id: userId, request_key: key });
      const following = after[0]?.day === next ? after.slice(0, rowLength(after.map((row) => row.streak))) : [];
      if (following.length > 0) await lengthenStreaks(tx, userId, following[0]!.day, following.at(-1)!.day, streak);
      if (price === 0n) return row;
      // The last statement, for it locks what all check-ins share, unless the wallet was used meanwhile.
      const balance = await charge(tx, person, day, price);
      if (balance !== row.balance_after) await correctBalance(tx, userId, day, balance);
      return { ...row, balance_after: balance };
    });
  };
}
