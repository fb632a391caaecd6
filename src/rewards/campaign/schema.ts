import { z } from "zod";
import { creditsInput, creditsText, isoTime, line, pageQuery, uuid } from "../../http/schemas.ts";
import { formatCredits, MICRO } from "../../platform/credits.ts";
import type { CampaignRow, CampaignState } from "./rules.ts";

const CREDITS_MAX = 1_000_000_000n * MICRO;
const amount = creditsInput.refine((micro) => micro > 0n && micro <= CREDITS_MAX, "must be above 0 and not above 1000000000");
const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text));
const count = z.number().int().min(1).max(1_000_000);
const code = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{2,31}$/, "must be 3 to 32 letters, digits, _ or -");
const trigger = z.enum(["claim", "topup"]);
const status = z.enum(["active", "paused"]);
const tiers = z
  .array(z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/, "must be the name of a tier"))
  .min(1)
  .max(20);

const fields = {
  code: code.meta({ description: "What people claim it by; case does not matter" }),
  name: line(100).meta({ description: "Shown in people's history" }),
  description: line(500).nullable().default(null),
  trigger: trigger.default("claim").meta({ description: "`claim`: people claim it by its code; `topup`: paid by itself for each top-up" }),
  status: status.default("active"),
  listed: z.boolean().default(true).meta({ description: "Whether people see it in their list; else they must know its code" }),
  starts_at: time,
  ends_at: time,
  reward: amount.meta({ description: "Credits for each claim" }),
  budget: amount.meta({ description: "Credits that all claims together never exceed" }),
  most_per_user: count.default(1),
  new_within_days: z.number().int().min(1).max(3_650).nullable().default(null).meta({ description: "Only accounts that are not older" }),
  min_topup: amount
    .nullable()
    .default(null)
    .meta({ description: "Credits that a top-up must buy, without bonus: that top-up, or for a claim one since the campaign began" }),
  tiers: tiers.nullable().default(null).meta({ description: "Only people on these tiers" }),
  expires_days: z.number().int().min(0).max(3_650).default(0).meta({ description: "Days after which the credit expires; 0: never" }),
};

export const createBody = z
  .strictObject(fields)
  // A time that is no time has been named already.
  .refine(({ starts_at, ends_at }) => !(starts_at instanceof Date && ends_at instanceof Date) || ends_at > starts_at, {
    path: ["ends_at"],
    message: "must be after starts_at",
  })
  .refine(({ reward, budget }) => reward <= budget, { path: ["budget"], message: "must cover at least one reward" });

export const updateBody = z
  .strictObject({
    code: code.optional(),
    name: line(100).optional(),
    description: line(500).nullable().optional(),
    status: status.optional(),
    listed: z.boolean().optional(),
    starts_at: time.optional(),
    ends_at: time.optional(),
    reward: amount.optional().meta({ description: "Counts for claims from now on" }),
    budget: amount.optional().meta({ description: "Not below what was paid" }),
    most_per_user: count.optional(),
    new_within_days: z.number().int().min(1).max(3_650).nullable().optional(),
    min_topup: amount.nullable().optional(),
    tiers: tiers.nullable().optional(),
    expires_days: z.number().int().min(0).max(3_650).optional(),
  })
  .refine((body) => Object.keys(body).length > 0, { path: ["name"], message: "send at least one field to change" });

export const idParams = z.strictObject({ id: uuid });
export const codeParams = z.strictObject({ code: z.string().max(64) });
export const listQuery = z.strictObject(pageQuery);

const shared = {
  code: z.string(),
  name: z.string(),
  description: z.string().nullable(),
  trigger,
  reward: creditsText,
  starts_at: isoTime,
  ends_at: isoTime,
  most_per_user: z.number().int(),
  new_within_days: z.number().int().nullable(),
  min_topup: creditsText.nullable(),
  tiers: z.array(z.string()).nullable(),
  expires_days: z.number().int(),
};

export const campaignView = z.object({
  id: z.string(),
  ...shared,
  status,
  state: z.enum(["upcoming", "running", "paused", "spent", "ended"]).meta({ description: "What it is at now" }),
  listed: z.boolean(),
  budget: creditsText,
  paid: creditsText,
  claims: z.number().int(),
  created_at: isoTime,
  updated_at: isoTime,
});
export const claimView = z.object({
  user_id: z.string(),
  no: z.number().int().meta({ description: "The person's how many-th claim of the campaign" }),
  amount: creditsText,
  order_no: z.string().nullable(),
  created_at: isoTime,
});
export const offerView = z.object({
  ...shared,
  claimed: z.number().int(),
  claimable: z.boolean().meta({ description: "Whether a claim, or the next top-up that is large enough, would be paid now" }),
  reason: z.string().nullable().meta({ description: "Why not" }),
});
export const claimedView = z.object({ code: z.string(), reward: creditsText, balance: creditsText, claimed_at: isoTime });

function presentShared(row: CampaignRow) {
  return {
    code: row.code,
    name: row.name,
    description: row.description,
    trigger: row.trigger,
    reward: formatCredits(row.reward),
    starts_at: row.starts_at.toISOString(),
    ends_at: row.ends_at.toISOString(),
    most_per_user: row.most_per_user,
    new_within_days: row.new_within_days,
    min_topup: row.min_topup === null ? null : formatCredits(row.min_topup),
    tiers: row.tiers,
    expires_days: row.expires_days,
  };
}

/** A campaign as operators see it. */
export function presentCampaign(row: CampaignRow, state: CampaignState) {
  return {
    id: row.id,
    ...presentShared(row),
    status: row.status,
    state,
    listed: row.listed,
    budget: formatCredits(row.budget),
    paid: formatCredits(row.paid),
    claims: Number(row.claims),
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}

/** A campaign as people see it. */
export function presentOffer(row: CampaignRow, claimed: number, refusal: string | undefined) {
  return { ...presentShared(row), claimed, claimable: refusal === undefined, reason: refusal ?? null };
}
