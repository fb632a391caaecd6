import { recordAudit } from "../admin/audit.ts";
import type { Ledger } from "../ledger/index.ts";
import { systemClock, type Clock } from "../platform/clock.ts";
import { appError, fieldError } from "../platform/errors.ts";
import { announce } from "../platform/invalidation.ts";
import { inTransaction, type Pool, type PoolClient, type Queryable } from "../platform/postgres.ts";
import { periodAt, termsAt, type Rhythm, type Span, type Terms } from "./calendar.ts";
import { partsAt, standardTerms, type PlanBook, type PlanVersion, type TakesEffect } from "./planBook.ts";
import type { Actor } from "./plans/admin.ts";
import { findPlan, readBook } from "./plans/repository.ts";
import { adjustPeriod } from "./reset/open.ts";
import { takePresentPeriod, takeSubscription } from "./reset/repository.ts";

/** What somebody is subscribed to now and, if that is to change, next. */
export interface Subscription {
  terms: Terms;
  period: Span;
  version: PlanVersion;
  next: Terms | undefined;
}

export interface Subscriptions {
  /** Throws `not_found` for nobody. */
  of(userId: string): Promise<Subscription>;
  /**
   * Subscribes a user to a plan, from now on or from the next period, as the plan says unless told; a change of day or zone always counts
   * from the next period. What was to come is replaced. A change that counts now grants the difference for the rest of the period.
   * Throws `not_found` for nobody, `validation_failed` for a plan that is not offered.
   */
  subscribe(
    userId: string,
    to: {
      plan: string;
      resetDay: number | undefined;
      timeZone: string | undefined;
      takesEffect: TakesEffect | undefined;
      reason: string | null;
    },
    actor: Actor,
  ): Promise<Subscription>;
}

export function createSubscriptions(deps: {
  pool: Pool;
  ledger: Pick<Ledger, "creditMany" | "expireWallets">;
  clock?: Clock;
}): Subscriptions {
  const { pool, ledger, clock = systemClock } = deps;

  return {
    async of(userId) {
      const { rows } = await pool.query<{ terms: Terms[] | null }>(
        "SELECT quota_terms(user_id) AS terms FROM subscriptions WHERE user_id = $1",
        [userId],
      );
      if (!rows[0]) throw noSuchUser();
      const book = await readBook(pool);
      return describe(book, rows[0].terms ?? standardTerms(book), clock.now());
    },

    subscribe: (userId, to, actor) =>
      inTransaction(pool, async (tx) => {
        const subscription = await takeSubscription(tx, userId);
        if (!subscription) throw noSuchUser();
        const plan = await findPlan(tx, to.plan);
        if (plan?.status !== "active") throw fieldError("plan", "is not a plan that is offered");
        const now = clock.now();
        const before = subscription.terms ?? (await ownTerms(tx, userId, subscription.created_at, now));
        const present = termsAt(before, now.getTime());
        const rhythm = { resetDay: to.resetDay ?? present.resetDay, timeZone: to.timeZone ?? present.timeZone };
        const atOnce = (to.takesEffect ?? plan.change_takes_effect) === "now";
        const changes = { plan: plan.name, ...rhythm };
        await tx.query("DELETE FROM subscription_terms WHERE user_id = $1 AND from_at > $2", [userId, now]);
        const ends = periodAt(
          before.filter(({ fromMs }) => fromMs <= now.getTime()),
          now.getTime(),
        ).untilMs;
        if (atOnce) await insertTerms(tx, userId, { ...present, plan: plan.name, fromMs: now.getTime() }, actor, to.reason);
        if (!atOnce || !sameRhythm(present, rhythm)) await insertTerms(tx, userId, { ...changes, fromMs: ends }, actor, to.reason);

        const book = await readBook(tx);
        const after = (await takeSubscription(tx, userId))!.terms!;
        const period = await takePresentPeriod(tx, userId, now);
        if (period && atOnce) {
          await ledger.expireWallets(tx, [period.wallet_id], now);
          await adjustPeriod({ ledger }, tx, period, { book, terms: after, now });
        }
        const details = { ...changes, from: new Date(atOnce ? now.getTime() : ends).toISOString(), reason: to.reason };
        await recordAudit(tx, { actorId: actor.userId, action: "user.plan", target: `user:${userId}`, details, traceId: actor.traceId });
        await announce(tx, "user", userId);
        return describe(book, after, now);
      }),
  };
}

const noSuchUser = () => appError("not_found", { message: "There is no such user" });
const sameRhythm = (a: Rhythm, b: Rhythm): boolean => a.resetDay === b.resetDay && a.timeZone === b.timeZone;

function describe(book: PlanBook, terms: readonly Terms[], now: Date): Subscription {
  const nowMs = now.getTime();
  return {
    terms: termsAt(terms, nowMs),
    period: periodAt(terms, nowMs),
    version: partsAt(book, terms, nowMs).at(-1)!.version,
    next: terms.find(({ fromMs }) => fromMs > nowMs),
  };
}

/** Whoever leaves the standard plan had it until then: from the beginning of the present period at least. */
async function ownTerms(tx: PoolClient, userId: string, createdAt: Date, now: Date): Promise<Terms[]> {
  const [standard] = standardTerms(await readBook(tx));
  const fromMs = Math.min(periodAt([standard!], now.getTime()).fromMs, periodAt([standard!], createdAt.getTime()).fromMs);
  const terms = { ...standard!, fromMs };
  await insertTerms(tx, userId, terms, undefined, null);
  return [terms];
}

async function insertTerms(tx: Queryable, userId: string, terms: Terms, actor: Actor | undefined, reason: string | null): Promise<void> {
  await tx.query(
    `INSERT INTO subscription_terms (user_id, from_at, plan, reset_day, time_zone, author_id, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (user_id, from_at) DO UPDATE SET plan = excluded.plan, reset_day = excluded.reset_day, time_zone = excluded.time_zone,
       author_id = excluded.author_id, reason = excluded.reason`,
    [userId, new Date(terms.fromMs), terms.plan, terms.resetDay, terms.timeZone, actor?.userId ?? null, reason],
  );
}
