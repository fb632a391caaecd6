import { z } from "zod";
import { created, ok, route, type Route } from "../../http/route.ts";
import { formatCredits } from "../../platform/credits.ts";
import type { Claims } from "./claim.ts";
import { claimedView, codeParams, offerView, presentOffer } from "./schema.ts";

const TAG = "Rewards";

/** What campaigns offer, and claiming it. */
export function campaignRoutes(claims: Claims): Route[] {
  return [
    route({
      method: "get",
      path: "/api/user/campaigns",
      summary: "Running campaigns, and whether they would pay me now",
      tag: TAG,
      access: "user",
      responses: { 200: z.object({ items: z.array(offerView) }) },
      handler: async ({ principal }) => {
        const offers = await claims.list(principal.userId);
        return ok({ items: offers.map(({ campaign, claims: claimed, refusal }) => presentOffer(campaign, claimed, refusal)) });
      },
    }),
    route({
      method: "post",
      path: "/api/user/campaigns/:code/claim",
      summary: "Claim what a campaign gives",
      tag: TAG,
      access: "verified",
      params: codeParams,
      body: z.strictObject({}),
      idempotent: true,
      responses: { 201: claimedView },
      errors: ["already_claimed", "campaign_closed", "not_eligible"],
      handler: async ({ principal, params, idempotencyKey }) => {
        const claim = await claims.byCode(principal.userId, params.code, idempotencyKey);
        return created(
          {
            code: params.code,
            reward: formatCredits(claim.amount),
            balance: formatCredits(claim.balance_after),
            claimed_at: claim.created_at.toISOString(),
          },
          "Claimed",
        );
      },
    }),
  ];
}
