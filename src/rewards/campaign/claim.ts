import type { Clock } from "../../platform/clock.ts";
import { appError } from "../../platform/errors.ts";
import type { Pool } from "../../platform/postgres.ts";
import { memberOrThrow, type FindMember, type Member } from "../member.ts";
import type { Payouts } from "../payouts.ts";
import { largestTopUp, standingTopUp } from "../topups.ts";
import { countClaims, findByCode, findClaim, insertClaim, listedCampaigns, takeFromBudget, type ClaimRow } from "./repository.ts";
import { refusalOf, stateOf, type CampaignRow, type Refusal } from "./rules.ts";

export interface Claims {
  /**
   * Takes what a campaign gives by its code. Throws `not_found`, `campaign_closed` (not running, or its budget is spent),
   * `already_claimed`, or `not_eligible` naming the condition. The same request key gets the same claim again.
   */
  byCode(userId: string, code: string, requestKey: string | undefined): Promise<ClaimRow>;
  /** Running campaigns that are listed, and why somebody gets nothing of them now, if so. */
  list(userId: string): Promise<{ campaign: CampaignRow; claims: number; refusal: Refusal | undefined }[]>;
}

/** Thrown to undo what was taken from the budget. */
class Refused extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal);
    this.refusal = refusal;
  }
}

/** Thrown to undo a claim that was made before. */
class Repeated extends Error {
  readonly claim: ClaimRow;

  constructor(claim: ClaimRow) {
    super("repeated");
    this.claim = claim;
  }
}

function refused(refusal: Refusal): Error {
  if (refusal === "most_per_user") return appError("already_claimed");
  if (refusal === "not_running" || refusal === "budget_spent") return appError("campaign_closed", { details: { reason: refusal } });
  return appError("not_eligible", { details: { reason: refusal } });
}

export function createClaims(deps: { pool: Pool; payouts: Payouts; member: FindMember; clock: Clock }): Claims {
  const { pool, payouts, member: find, clock } = deps;

  async function factsOf(campaign: CampaignRow, member: Member, at: Date) {
    const claims = await countClaims(pool, campaign.id, member.id);
    // A campaign on top-ups waits for the next one, which may be large enough.
    const topUp =
      campaign.min_topup === null || campaign.trigger === "topup"
        ? (campaign.min_topup ?? 0n)
        : await largestTopUp(pool, member.id, campaign.starts_at, campaign.ends_at);
    return { at, member, claims, topUp };
  }

  /**
   * Budget, count and credit are one transaction. The budget's statement locks the campaign, so that claims of it go one after the other and
   * the count of a person's claims is exact.
   */
  function take(campaign: CampaignRow, userId: string, at: Date, requestKey: string | null): Promise<ClaimRow> {
    return payouts.run(async (tx, pay) => {
      const { min_topup: least, starts_at: from, ends_at: to } = campaign;
      const topUpNo = least === null ? null : await standingTopUp(tx, { userId, least, from, to });
      const taken = await takeFromBudget(tx, campaign.id, at);
      const same = await findClaim(tx, { campaignId: campaign.id, userId, requestKey });
      if (same) throw new Repeated(same);
      if (topUpNo === undefined) throw new Refused("min_topup");
      if (!taken) throw new Refused(stateOf(campaign, at) === "running" ? "budget_spent" : "not_running");
      const no = (await countClaims(tx, campaign.id, userId)) + 1;
      if (no > taken.most_per_user) throw new Refused("most_per_user");
      const now = clock.now();
      const claim = {
        campaign_id: campaign.id,
        user_id: userId,
        no,
        amount: taken.reward,
        order_no: null,
        created_at: now,
      };
      await insertClaim(tx, { ...claim, request_key: requestKey, topup_no: topUpNo, min_topup: least ?? 0n });
      const balance = await pay({
        id: `campaign:${campaign.id}:${userId}:${no}`,
        kind: "campaign",
        userId,
        amount: taken.reward,
        at: now,
        description: `Campaign: ${taken.name}`,
        reference: `campaign:${taken.code}`,
        expiresDays: taken.expires_days,
      });
      return { ...claim, balance_after: balance! };
    });
  }

  return {
    async byCode(userId, code, requestKey) {
      const campaign = await findByCode(pool, code);
      if (campaign?.trigger !== "claim") throw appError("not_found", { message: "There is no such campaign" });
      const at = clock.now();
      const key = requestKey ?? null;
      const same = await findClaim(pool, { campaignId: campaign.id, userId, requestKey: key });
      if (same) return same;
      const refusal = refusalOf(campaign, await factsOf(campaign, await memberOrThrow(find, userId), at));
      if (refusal) throw refused(refusal);
      try {
        return await take(campaign, userId, at, key);
      } catch (error) {
        if (error instanceof Repeated) return error.claim;
        throw error instanceof Refused ? refused(error.refusal) : error;
      }
    },

    async list(userId) {
      const member = await memberOrThrow(find, userId);
      const at = clock.now();
      const campaigns = await listedCampaigns(pool, at);
      const facts = await Promise.all(campaigns.map((campaign) => factsOf(campaign, member, at)));
      return campaigns.map((campaign, index) => ({
        campaign,
        claims: facts[index]!.claims,
        refusal: refusalOf(campaign, facts[index]!),
      }));
    },
  };
}
