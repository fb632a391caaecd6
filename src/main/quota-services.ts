import { activePeople, giveTier, signInFailures } from "../identity/index.ts";
import { purchasedOn, type Ledger } from "../ledger/index.ts";
import { failedPaymentsSince } from "../payments/index.ts";
import type { Clock } from "../platform/clock.ts";
import { announce } from "../platform/invalidation.ts";
import type { Logger } from "../platform/logger.ts";
import type { Pool } from "../platform/postgres.ts";
import { createQuotaReset, createTierReview, type QuotaReset, type TierReview, type TierSources } from "../quotas/index.ts";
import { behaviourSince, paidSince, spentOf, unsettledBefore, usedByModel } from "../usage/index.ts";

const DAY_MS = 86_400_000;
const daysBefore = (now: Date, days: number): Date => new Date(now.getTime() - days * DAY_MS);

/** What reviews of tiers ask the other domains. */
const sources: TierSources = {
  people: activePeople,
  async money(tx, people, now) {
    const paid = await purchasedOn(
      tx,
      people.map(({ walletId }) => walletId),
    );
    const spent = await spentOf(
      tx,
      people.map(({ userId }) => userId),
      daysBefore(now, 30),
    );
    return new Map(people.map(({ userId, walletId }) => [userId, { paid: paid.get(walletId) ?? 0n, spent: spent.get(userId) ?? 0n }]));
  },
  async behaviour(tx, userIds, now) {
    const calls = await behaviourSince(tx, userIds, daysBefore(now, 7));
    const payments = await failedPaymentsSince(tx, userIds, daysBefore(now, 30));
    const signIns = await signInFailures(tx, userIds);
    return new Map(
      userIds.map((id) => [
        id,
        {
          ...(calls.get(id) ?? { calls: 0, refused: 0, rejected: 0 }),
          failedPayments: payments.get(id) ?? 0,
          // No provider reports disputes yet.
          disputes: 0,
          signInFailures: signIns.get(id) ?? 0,
        },
      ]),
    );
  },
  changeTier: giveTier,
  announce: (tx, userId) => announce(tx, "user", userId),
};

/** Resets and reviews, as the worker's activities and operators' routes use them. */
export function createQuotaServices(deps: { pool: Pool; ledger: Ledger; log: Logger; clock?: Clock; graceMs?: number }): {
  reset: QuotaReset;
  tierReview: TierReview;
} {
  const { pool, clock } = deps;
  return {
    reset: createQuotaReset({ ...deps, calls: { usedByModel, paidSince, unsettledBefore } }),
    tierReview: createTierReview({ pool, sources, ...(clock ? { clock } : {}) }),
  };
}
