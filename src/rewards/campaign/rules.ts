/** A campaign as the database holds it. Amounts in micro-credits. */
export interface CampaignRow {
  id: string;
  code: string;
  name: string;
  description: string | null;
  trigger: "claim" | "topup";
  status: "active" | "paused";
  listed: boolean;
  starts_at: Date;
  ends_at: Date;
  reward: bigint;
  budget: bigint;
  paid: bigint;
  claims: bigint;
  most_per_user: number;
  new_within_days: number | null;
  min_topup: bigint | null;
  tiers: string[] | null;
  expires_days: number;
  created_at: Date;
  updated_at: Date;
}

export type CampaignState = "upcoming" | "running" | "paused" | "spent" | "ended";

/** Why somebody gets nothing of a campaign. */
export type Refusal = "not_running" | "budget_spent" | "most_per_user" | "new_users_only" | "tier" | "min_topup";

/** Whom a campaign is for, and how often. */
export type Conditions = Pick<CampaignRow, "most_per_user" | "new_within_days" | "tiers">;

/** What a campaign owes a top-up that was completed while it ran, by its terms of that moment. */
export interface Due extends Conditions {
  campaign_id: string;
  order_no: string;
  /** What must be left of the top-up. */
  min_topup: bigint;
  reward: bigint;
  expires_days: number;
}

/** What the conditions look at: `at` is when it was earned. */
interface Facts {
  at: Date;
  member: { since: Date; tier: string };
  claims: number;
}

const DAY_MS = 86_400_000;

export function stateOf(campaign: CampaignRow, at: Date): CampaignState {
  if (campaign.ends_at <= at) return "ended";
  if (campaign.status === "paused") return "paused";
  if (campaign.starts_at > at) return "upcoming";
  return campaign.paid + campaign.reward > campaign.budget ? "spent" : "running";
}

/**
 * Why somebody gets nothing, if so. `at` is when it was earned: the moment of the claim or of the top-up. `topUp` is what was bought, in
 * micro-credits: by that top-up, or by the largest one since the campaign began. The budget and the count of claims are decided again
 * by the statement that takes them.
 */
export function refusalOf(campaign: CampaignRow, facts: Facts & { topUp: bigint }): Refusal | undefined {
  const state = stateOf(campaign, facts.at);
  const unmet = unmetBy(campaign, facts);
  if (unmet === "most_per_user") return unmet;
  if (state === "spent") return "budget_spent";
  if (state !== "running") return "not_running";
  if (unmet) return unmet;
  return campaign.min_topup !== null && facts.topUp < campaign.min_topup ? "min_topup" : undefined;
}

/** The first condition that somebody does not meet. */
export function unmetBy({ most_per_user, new_within_days, tiers }: Conditions, { at, member, claims }: Facts): Refusal | undefined {
  if (claims >= most_per_user) return "most_per_user";
  if (new_within_days !== null && at.getTime() - member.since.getTime() > new_within_days * DAY_MS) return "new_users_only";
  if (tiers !== null && !tiers.includes(member.tier)) return "tier";
  return undefined;
}
