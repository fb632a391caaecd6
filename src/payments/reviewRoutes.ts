import { z } from "zod";
import { recordAudit } from "../admin/audit.ts";
import { ok, route, type Route } from "../http/route.ts";
import { isoTime, pageOf, pageQuery } from "../http/schemas.ts";
import { appError } from "../platform/errors.ts";
import { inTransaction, type Pool } from "../platform/postgres.ts";

const COMMON = { tag: "Operators: payments", access: "operator" } as const;

const flag = z.object({
  id: z.string(),
  order_no: z.string(),
  user_id: z.string(),
  kind: z.string(),
  subject: z.string(),
  details: z.record(z.string(), z.unknown()),
  created_at: isoTime,
  resolved_at: isoTime.nullable(),
});
const refusal = z.object({
  id: z.string(),
  provider: z.string(),
  kind: z.string(),
  order_no: z.string().nullable(),
  client_ip: z.string().nullable(),
  times: z.number().int(),
  first_at: isoTime,
  last_at: isoTime,
});
const flagParams = z.strictObject({ id: z.string().regex(/^[1-9]\d{0,17}$/, "must be the id of a flag") });
const resolution = z.strictObject({ note: z.string().trim().min(3).max(500) });

interface Paged {
  total: bigint;
}

/** What operators see and settle of payments that need a person: flagged orders, and callbacks that were refused. */
export function paymentReviewRoutes(pool: Pool): Route[] {
  return [
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/topup/flags",
      summary: "Orders that need a person: late, paid twice, another amount, not confirmed; newest first",
      query: z.strictObject({ ...pageQuery, open: z.enum(["true", "false"]).optional() }),
      responses: { 200: pageOf(flag) },
      handler: async ({ query: { page, page_size, open } }) => {
        const { rows } = await pool.query<Paged & { created_at: Date; resolved_at: Date | null }>(
          `SELECT f.id::text, f.order_no, o.user_id, f.kind, f.subject, f.details, f.created_at, f.resolved_at, count(*) OVER () AS total
           FROM topup_flags f JOIN topup_orders o USING (order_no)
           WHERE $1::boolean IS NULL OR (f.resolved_at IS NULL) = $1
           ORDER BY f.created_at DESC, f.id DESC LIMIT $2 OFFSET $3`,
          [open ?? null, page_size, (page - 1) * page_size],
        );
        return ok({ items: rows.map(({ total: _total, ...item }) => item), total: Number(rows[0]?.total ?? 0n), page, page_size });
      },
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/admin/topup/flags/:id/resolve",
      summary: "Mark a flag as dealt with",
      description: "Moves no money: credit is given or taken by `POST /api/admin/users/:id/credits`. The note goes to the audit log.",
      params: flagParams,
      body: resolution,
      responses: { 200: z.object({ id: z.string(), order_no: z.string() }) },
      errors: ["invalid_state"],
      handler: async ({ params, body, principal, traceId }) =>
        inTransaction(pool, async (tx) => {
          const { rows } = await tx.query<{ order_no: string; resolved_at: Date | null }>(
            "SELECT order_no, resolved_at FROM topup_flags WHERE id = $1 FOR UPDATE",
            [params.id],
          );
          const found = rows[0];
          if (!found) throw appError("not_found");
          if (found.resolved_at) throw appError("invalid_state", { message: "This flag is resolved already" });
          await tx.query("UPDATE topup_flags SET resolved_at = now() WHERE id = $1", [params.id]);
          const details = { flag: params.id, note: body.note };
          await recordAudit(tx, {
            actorId: principal.userId,
            action: "topup.resolve_flag",
            target: `order:${found.order_no}`,
            details,
            traceId,
          });
          return ok({ id: params.id, order_no: found.order_no }, "Resolved");
        }),
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/payments/refusals",
      summary: "Callbacks that were refused, with the reason, newest first",
      query: z.strictObject({ ...pageQuery, kind: z.string().max(40).optional() }),
      responses: { 200: pageOf(refusal) },
      handler: async ({ query: { page, page_size, kind } }) => {
        const { rows } = await pool.query<Paged & { times: bigint }>(
          `SELECT id::text, provider, kind, order_no, client_ip, times, first_at, last_at, count(*) OVER () AS total FROM payment_refusals
           WHERE $1::text IS NULL OR kind = $1 ORDER BY last_at DESC, id DESC LIMIT $2 OFFSET $3`,
          [kind ?? null, page_size, (page - 1) * page_size],
        );
        const items = rows.map(({ total: _total, times, ...item }) => ({ ...item, times: Number(times) }));
        return ok({ items, total: Number(rows[0]?.total ?? 0n), page, page_size });
      },
    }),
  ];
}
