import { z } from "zod";
import type { Settings } from "../../admin/settings/index.ts";
import { ok, route, type Route } from "../../http/route.ts";
import { creditsText, isoTime, pageOf, pageQuery } from "../../http/schemas.ts";
import { formatCredits } from "../../platform/credits.ts";
import { randomText } from "../../platform/ids.ts";
import type { Pool } from "../../platform/postgres.ts";
import { referralSettings } from "../settings.ts";
import { codeOf, countReferrals, findCode, listReferrals, type ReferralRow } from "./repository.ts";

/** No letters or digits that are taken for one another. */
const CODE_ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789";
const CODE_LENGTH = 8;

const STATUSES = ["waiting", "in_review", "paid", "capped", "refused", "reversed"] as const;

const referralView = z.object({
  id: z.string(),
  status: z.enum(STATUSES).meta({
    description:
      "`capped`: paid to the other side alone, because the month's referrals were used up; `reversed`: the top-up was refunded, and what was left of the reward taken back",
  }),
  reward: creditsText.meta({ description: "What it earned me" }),
  created_at: isoTime,
  paid_at: isoTime.nullable(),
});
const overviewView = z.object({
  code: z.string().meta({ description: "For `referral_code` of a registration" }),
  enabled: z.boolean(),
  rewards: z.object({ referrer: creditsText, referred: creditsText, min_topup: creditsText, monthly_cap: z.number().int() }),
  counts: z.object({ registered: z.number().int(), waiting: z.number().int(), in_review: z.number().int(), paid: z.number().int() }),
  earned: creditsText,
  ...pageOf(referralView).shape,
});

function statusOf({ status, capped }: ReferralRow): (typeof STATUSES)[number] {
  if (status === "paid") return capped ? "capped" : "paid";
  if (status === "refused" || status === "reversed") return status;
  return status === "pending" ? "waiting" : "in_review";
}

/** One's code and who came by it. Whom it brought is not told: the code may have gone to strangers. */
export function referralRoutes({ pool, settings }: { pool: Pool; settings: Settings }): Route[] {
  async function ownCode(userId: string): Promise<string> {
    let code = await findCode(pool, userId);
    while (code === undefined) code = await codeOf(pool, userId, randomText(CODE_LENGTH, CODE_ALPHABET));
    return code;
  }

  return [
    route({
      method: "get",
      path: "/api/user/referrals",
      summary: "My referral code and what came of it",
      tag: "Rewards",
      access: "verified",
      query: z.strictObject(pageQuery),
      responses: { 200: overviewView },
      handler: async ({ principal, query }) => {
        const { userId } = principal;
        const { enabled, referrer, referred, minTopUp, monthlyCap } = await settings.read(referralSettings);
        const [code, { counts, earned }, { items, total }] = await Promise.all([
          ownCode(userId),
          countReferrals(pool, userId),
          listReferrals(pool, { referrerId: userId, ...query }),
        ]);
        const count = (...statuses: ReferralRow["status"][]) => statuses.reduce((sum, status) => sum + (counts.get(status) ?? 0), 0);
        return ok({
          code,
          enabled,
          rewards: {
            referrer: formatCredits(referrer),
            referred: formatCredits(referred),
            min_topup: formatCredits(minTopUp),
            monthly_cap: monthlyCap,
          },
          counts: { registered: total, waiting: count("pending"), in_review: count("held", "due"), paid: count("paid") },
          earned: formatCredits(earned),
          items: items.map((row) => ({
            id: row.id,
            status: statusOf(row),
            reward: formatCredits(row.status === "paid" && !row.capped ? row.referrer_reward : 0n),
            created_at: row.created_at.toISOString(),
            paid_at: row.paid_at?.toISOString() ?? null,
          })),
          total,
          ...query,
        });
      },
    }),
  ];
}
