import { created, ok, route, type Route } from "../../http/route.ts";
import { pageOf } from "../../http/schemas.ts";
import type { Clock } from "../../platform/clock.ts";
import { formatCredits } from "../../platform/credits.ts";
import { appError } from "../../platform/errors.ts";
import type { Pool } from "../../platform/postgres.ts";
import type { CampaignAdmin } from "./admin.ts";
import { findCampaign, listCampaigns, listClaims, type CampaignFields } from "./repository.ts";
import { stateOf, type CampaignRow } from "./rules.ts";
import { campaignView, claimView, createBody, idParams, listQuery, presentCampaign, updateBody } from "./schema.ts";

const COMMON = { tag: "Operators: rewards", access: "operator" } as const;

/** Operators' routes of campaigns. */
export function campaignAdminRoutes({ pool, admin, clock }: { pool: Pool; admin: CampaignAdmin; clock: Clock }): Route[] {
  const view = (row: CampaignRow) => presentCampaign(row, stateOf(row, clock.now()));

  async function one(id: string): Promise<CampaignRow> {
    const row = await findCampaign(pool, id);
    if (!row) throw appError("not_found", { message: "There is no such campaign" });
    return row;
  }

  return [
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/campaigns",
      summary: "Campaigns, newest first",
      query: listQuery,
      responses: { 200: pageOf(campaignView) },
      handler: async ({ query }) => {
        const { items, total } = await listCampaigns(pool, query);
        return ok({ items: items.map(view), total, ...query });
      },
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/admin/campaigns",
      summary: "Make a campaign",
      description: "Its budget is never exceeded, however many claim at once.",
      body: createBody,
      responses: { 201: campaignView },
      errors: ["conflict"],
      handler: async ({ body, principal, traceId }) => created(view(await admin.create({ userId: principal.userId, traceId }, body))),
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/campaigns/:id",
      summary: "One campaign",
      params: idParams,
      responses: { 200: campaignView },
      handler: async ({ params }) => ok(view(await one(params.id))),
    }),
    route({
      ...COMMON,
      method: "patch",
      path: "/api/admin/campaigns/:id",
      summary: "Change, pause or end a campaign",
      params: idParams,
      body: updateBody,
      responses: { 200: campaignView },
      errors: ["conflict"],
      handler: async ({ params, body, principal, traceId }) =>
        ok(view(await admin.update({ userId: principal.userId, traceId }, params.id, body as Partial<CampaignFields>))),
    }),
    route({
      ...COMMON,
      method: "delete",
      path: "/api/admin/campaigns/:id",
      summary: "Remove a campaign that has paid nothing",
      params: idParams,
      responses: { 204: undefined },
      errors: ["invalid_state"],
      handler: async ({ params, principal, traceId }) => {
        await admin.remove({ userId: principal.userId, traceId }, params.id);
        return { status: 204, data: undefined };
      },
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/campaigns/:id/claims",
      summary: "Who got what of a campaign, newest first",
      params: idParams,
      query: listQuery,
      responses: { 200: pageOf(claimView) },
      handler: async ({ params, query }) => {
        await one(params.id);
        const { items, total } = await listClaims(pool, params.id, query);
        return ok({
          items: items.map(({ user_id, no, amount, order_no, created_at }) => ({
            user_id,
            no,
            amount: formatCredits(amount),
            order_no,
            created_at: created_at.toISOString(),
          })),
          total,
          ...query,
        });
      },
    }),
  ];
}
