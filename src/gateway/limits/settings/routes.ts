import { recordAudit } from "../../../admin/audit.ts";
import { ok, route, type Route } from "../../../http/route.ts";
import { pageOf } from "../../../http/schemas.ts";
import { appError, fieldError } from "../../../platform/errors.ts";
import { uuidv7 } from "../../../platform/ids.ts";
import { announce } from "../../../platform/invalidation.ts";
import { inTransaction, type Pool } from "../../../platform/postgres.ts";
import type { Pricing } from "../../../pricing/index.ts";
import * as repository from "./repository.ts";
import type { LimitRow } from "./repository.ts";
import * as schema from "./schema.ts";
import type { SharedLimits } from "./shared.ts";

const COMMON = { tag: "Limits", access: "operator" } as const;
const noSuch = () => appError("not_found", { message: "There is no such limit" });

const present = (row: LimitRow) => ({ ...row, created_at: row.created_at.toISOString(), updated_at: row.updated_at.toISOString() });
const targetOf = ({ scope, model, mode }: LimitRow): string => `limit:${scope}${model === null ? "" : `:${model}`}:${mode}`;

/** Operators' routes of the limits that callers share. Each change is audited and announced in its own transaction. */
export function limitRoutes(deps: { pool: Pool; pricing: Pick<Pricing, "model">; limits: Pick<SharedLimits, "drop"> }): Route[] {
  const { pool, pricing, limits } = deps;

  async function modelName(given: string | null): Promise<string | null> {
    if (given === null) return null;
    const model = await pricing.model(given);
    if (!model) throw fieldError("model", "there is no such model that is active");
    return model.name;
  }

  return [
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/limits",
      summary: "Limits that callers share",
      description: "Limits of users and keys stand with them, at `/api/admin/users` and `/api/user/keys`.",
      query: schema.limitsQuery,
      responses: { 200: pageOf(schema.limitView) },
      handler: async ({ query: { scope, mode, page, page_size } }) => {
        const { items, total } = await repository.listLimits(pool, { scope, mode, limit: page_size, offset: (page - 1) * page_size });
        return ok({ items: items.map(present), total, page, page_size });
      },
    }),
    route({
      ...COMMON,
      method: "put",
      path: "/api/admin/limits",
      summary: "Set the limits of all calls, of each address or of models",
      description:
        "There is one entry for each scope, model and mode: what is sent takes its place. A model's own entry goes before the one for every " +
        "model, limit by limit. In force on every copy within a second.",
      body: schema.limitInput,
      responses: { 200: schema.limitView },
      handler: async ({ body, principal, traceId }) => {
        const fields = { ...body, model: await modelName(body.model) } as repository.LimitFields;
        const row = await inTransaction(pool, async (tx) => {
          const put = await repository.putLimit(tx, uuidv7(), fields);
          const details = { limits: put.limits, token_weight_percent: put.token_weight_percent };
          await recordAudit(tx, { actorId: principal.userId, action: "limit.put", target: targetOf(put), details, traceId });
          await announce(tx, "settings", "limits");
          return put;
        });
        limits.drop();
        return ok(present(row));
      },
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/limits/:id",
      summary: "One entry",
      params: schema.limitParams,
      responses: { 200: schema.limitView },
      handler: async ({ params }) => {
        const row = await repository.findLimit(pool, params.id);
        if (!row) throw noSuch();
        return ok(present(row));
      },
    }),
    route({
      ...COMMON,
      method: "delete",
      path: "/api/admin/limits/:id",
      summary: "Remove an entry",
      params: schema.limitParams,
      responses: { 204: undefined },
      handler: async ({ params, principal, traceId }) => {
        await inTransaction(pool, async (tx) => {
          const gone = await repository.deleteLimit(tx, params.id);
          if (!gone) throw noSuch();
          const details = { limits: gone.limits, token_weight_percent: gone.token_weight_percent };
          await recordAudit(tx, { actorId: principal.userId, action: "limit.delete", target: targetOf(gone), details, traceId });
          await announce(tx, "settings", "limits");
        });
        limits.drop();
        return { status: 204, data: undefined };
      },
    }),
  ];
}
