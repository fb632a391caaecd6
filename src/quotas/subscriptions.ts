import { recordAudit } from "../admin/audit.ts";
import type { Ledger } from "../ledger/index.ts";
import { systemClock, type Clock } from "../platform/clock.ts";
import { appError, fieldError } from "../platform/errors.ts";
import { announce } from "../platform/invalidation.ts";
import { inTransaction, type Pool, type PoolClient, type Queryable } from "../platform/postgres.ts";
import { periodAt, termsAt, type Span, type Terms } from "./calendar.ts";
import { partsAt, type PlanBook, type PlanVersion, type TakesEffect } from "./planBook.ts";
import type { Actor } from "./plans/admin.ts";
import { readBook } from "./plans/book.ts";
import { findPlan } from "./plans/repository.ts";
import { adjustPeriods } from "./reset/adjust.ts";
import { takePresentPeriod, takeSubscription } from "./reset/repository.ts";
import { changedTerms, termsFrom } from "./termChanges.ts";

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
   * Subscribes a user to a plan, from now on or from the next period, as the plan says unless told; another reset day or zone, which are
   * those of a new plan unless told, always counts from the next period. What was to come is replaced. A change that counts now grants
   * the difference for the rest of the period.
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

export function createSubscriptions(deps: { pool: Pool; ledger: Pick<Ledger, "creditMany">; clock?: Clock }): Subscriptions {
  const { pool, ledger, clock = systemClock } = deps;

  return {
    async of(userId) {
      const { rows } = await pool.query<{ terms: Terms[] | null }>(
        "SELECT quota_terms(user_id) AS terms FROM subscriptions WHERE user_id = $1",
        [userId],
      );
      if (!rows[0]) throw noSuchUser();
      const book = await readBook(pool);
      return describe(book, rows[0].terms ?? book.standard, clock.now());
    },

    subscribe: (userId, to, actor) =>
      inTransaction(pool, async (tx) => {
        const subscription = await takeSubscription(tx, userId);
        if (!subscription) throw noSuchUser();
        const plan = await findPlan(tx, to.plan);
        if (plan?.status !== "active") throw fieldError("plan", "is not a plan that is offered");
        const now = clock.now();
        const nowMs = now.getTime();
        const book = await readBook(tx);
        const before = subscription.terms ?? (await leaveStandard(tx, userId, book, now));
        const present = termsAt(before, nowMs);
        const own = present.plan === plan.name ? present : { resetDay: plan.reset_day, timeZone: plan.time_zone };
        const changes = { plan: plan.name, resetDay: to.resetDay ?? own.resetDay, timeZone: to.timeZone ?? own.timeZone };
        const atOnce = (to.takesEffect ?? plan.change_takes_effect) === "now";
        const after = changedTerms(before, { ...changes, atOnce }, nowMs, subscription.opened_until?.getTime());
        await tx.query("DELETE FROM subscription_terms WHERE user_id = $1 AND from_at >= $2", [userId, now]);
        await insertTerms(tx, userId, termsFrom(after, nowMs), { authorId: actor.userId, reason: to.reason });
        const period = await takePresentPeriod(tx, userId, now);
        if (period && atOnce) await adjustPeriods(ledger, tx, [{ row: period, terms: after }], { book, now });
        const ends = periodAt(before, nowMs).untilMs;
        const details = { ...changes, from: new Date(atOnce ? nowMs : ends).toISOString(), reason: to.reason };
        await recordAudit(tx, { actorId: actor.userId, action: "user.plan", target: `user:${userId}`, details, traceId: actor.traceId });
        await announce(tx, "user", userId);
        return describe(book, after, now);
      }),
  };
}

const noSuchUser = () => appError("not_found", { message: "There is no such user" });

function describe(book: PlanBook, terms: readonly Terms[], now: Date): Subscription {
  const nowMs = now.getTime();
  return {
    terms: termsAt(terms, nowMs),
    period: periodAt(terms, nowMs),
    version: partsAt(book, terms, nowMs).at(-1)!.version,
    next: terms.find(({ fromMs }) => fromMs > nowMs),
  };
}

/** Whoever leaves the standard plan had it until then, with all that it was: no period that he had becomes another one. */
async function leaveStandard(tx: PoolClient, userId: string, { standard }: PlanBook, now: Date): Promise<readonly Terms[]> {
  const begun = standard.filter(({ fromMs }) => fromMs < now.getTime());
  await insertTerms(tx, userId, begun, { authorId: null, reason: null });
  return standard;
}

async function insertTerms(
  tx: Queryable,
  userId: string,
  terms: readonly Terms[],
  by: { authorId: string | null; reason: string | null },
): Promise<void> {
  await tx.query(
    `INSERT INTO subscription_terms (user_id, from_at, plan, reset_day, time_zone, author_id, reason)
     SELECT $1::uuid, q.*, $6::uuid, $7::text FROM unnest($2::timestamptz[], $3::text[], $4::smallint[], $5::text[]) AS q`,
    [
      userId,
      terms.map(({ fromMs }) => new Date(fromMs)),
      terms.map(({ plan }) => plan),
      terms.map(({ resetDay }) => resetDay),
      terms.map(({ timeZone }) => timeZone),
      by.authorId,
      by.reason,
    ],
  );
}
