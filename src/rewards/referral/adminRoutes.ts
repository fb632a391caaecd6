import { z } from "zod";
import { ok, route, type Route } from "../../http/route.ts";
import { creditsText, isoTime, pageOf, pageQuery, reason, uuid } from "../../http/schemas.ts";
import { formatCredits } from "../../platform/credits.ts";
import { appError } from "../../platform/errors.ts";
import type { Pool } from "../../platform/postgres.ts";
import { findReferral, listReferrals, REFERRAL_STATUSES, type ReferralRow } from "./repository.ts";
import type { ReviewReferral } from "./review.ts";

const COMMON = { tag: "Operators: rewards", access: "operator" } as const;
const params = z.strictObject({ id: uuid });
const status = z.enum(REFERRAL_STATUSES);

const view = z.object({
  id: z.string(),
  referrer_id: z.string(),
  referred_id: z.string(),
  code: z.string(),
  status: status.meta({
    description: "`pending`: no top-up yet; `held`: to be decided; `due`: being paid; `reversed`: refunded after it was paid",
  }),
  reason: z.string().nullable().meta({ description: "Why it was refused" }),
  signals: z.array(z.string()).meta({ description: "What speaks for one person behind both accounts" }),
  order_no: z.string().nullable(),
  topup_refunded_at: isoTime.nullable().meta({ description: "When that top-up was refunded" }),
  referrer_reward: creditsText,
  referred_reward: creditsText,
  min_topup: creditsText.meta({ description: "What must be left of that top-up, as was asked for when it was decided" }),
  capped: z.boolean().meta({ description: "The referrer got nothing: the month's referrals were used up" }),
  created_at: isoTime,
  qualified_at: isoTime.nullable(),
  paid_at: isoTime.nullable(),
  reviewed_by: z.string().nullable(),
  review_reason: z.string().nullable(),
});

function present(row: ReferralRow) {
  const { network: _network, expires_days: _days, attempts: _attempts, ...shown } = row;
  return {
    ...shown,
    referrer_reward: formatCredits(row.referrer_reward),
    referred_reward: formatCredits(row.referred_reward),
    min_topup: formatCredits(row.min_topup),
    created_at: row.created_at.toISOString(),
    qualified_at: row.qualified_at?.toISOString() ?? null,
    paid_at: row.paid_at?.toISOString() ?? null,
    topup_refunded_at: row.topup_refunded_at?.toISOString() ?? null,
  };
}

/** Operators' routes of referrals. */
export function referralAdminRoutes({ pool, review }: { pool: Pool; review: ReviewReferral }): Route[] {
  return [
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/referrals",
      summary: "Referrals, newest first",
      query: z.strictObject({ ...pageQuery, status: status.optional(), referrer_id: uuid.optional(), referred_id: uuid.optional() }),
      responses: { 200: pageOf(view) },
      handler: async ({ query }) => {
        const { page, page_size, referrer_id: referrerId, referred_id: referredId } = query;
        const { items, total } = await listReferrals(pool, { referrerId, referredId, status: query.status, page, page_size });
        return ok({ items: items.map(present), total, page, page_size });
      },
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/referrals/:id",
      summary: "One referral",
      params,
      responses: { 200: view },
      handler: async ({ params: { id } }) => {
        const row = await findReferral(pool, id);
        if (!row) throw appError("not_found", { message: "There is no such referral" });
        return ok(present(row));
      },
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/admin/referrals/:id/review",
      summary: "Pay or refuse a referral that is held",
      params,
      idempotent: true,
      body: z.strictObject({ decision: z.enum(["pay", "refuse"]), reason }),
      responses: { 200: view },
      errors: ["invalid_state"],
      handler: async ({ params: { id }, body, principal, traceId }) =>
        ok(present(await review({ userId: principal.userId, traceId }, id, body))),
    }),
  ];
}
