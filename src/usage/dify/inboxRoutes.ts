import { z } from "zod";
import { ok, route, type Route } from "../../http/route.ts";
import { creditsText, isoTime, pageOf, pageQuery, timeRange } from "../../http/schemas.ts";
import { appError } from "../../platform/errors.ts";
import type { Pool } from "../../platform/postgres.ts";
import { eventIdOf } from "./answers.ts";
import type { Inbox } from "./inbox.ts";
import type { KeptReason } from "./repository.ts";

const COMMON = { tag: "Operators: Dify", access: "operator" } as const;
const REASONS = [
  "user_not_found",
  "model_not_found",
  "model_not_priced",
  "cost_out_of_range",
  "insufficient_balance",
  "relay_waits",
] as const satisfies KeptReason[];

const name = z.string().min(1).max(200);
const params = z.strictObject({ id: z.string().max(64).meta({ description: "Of the event, or a consumption id (cons_…)" }) });

/** An id in either form; what is neither names nothing. */
function idOf(text: string): string {
  const id = eventIdOf(text);
  if (id === undefined) throw appError("not_found", { message: "There is no such event" });
  return id;
}

const event = z.object({
  id: z.string(),
  consumption_id: z.string().nullable(),
  state: z.enum(["open", "charged", "dismissed"]),
  reason: z.enum(REASONS).nullable().meta({ description: "Why it is or was open" }),
  message_id: z.string(),
  request_id: z.string(),
  conversation_id: z.string(),
  external_user: z.string().meta({ description: "Dify's user_id" }),
  user_id: z.string().nullable(),
  model_name: z.string().meta({ description: "As reported" }),
  model: z.string().nullable(),
  input_tokens: z.number().int(),
  output_tokens: z.number().int(),
  total_tokens: z.number().int(),
  totals_agree: z.boolean(),
  timestamp: isoTime,
  received_at: isoTime,
  deliveries: z.number().int().meta({ description: "How often it came" }),
  last_delivery_at: isoTime,
  relayed: z.boolean().meta({ description: "The relay recorded the message first; its charge counts" }),
  usage_event_id: z.string().nullable(),
  price_version_id: z.string().nullable(),
  points: creditsText.nullable().meta({ description: "What it cost, with what was owed" }),
  points_deducted: creditsText.nullable(),
  shortfall: creditsText.nullable(),
  shortfall_open: creditsText.nullable().meta({ description: "What of the shortfall is still owed" }),
  balance_after: creditsText.nullable(),
  charged_at: isoTime.nullable(),
  processing_ms: z.number().int(),
  status: z.number().int().meta({ description: "Of the answer" }),
  answer: z.unknown(),
  resolved_at: isoTime.nullable(),
  resolved_by: z.string().nullable(),
  note: z.string().nullable(),
});

const refusal = z.object({
  id: z.string(),
  reason: z.string(),
  status: z.number().int(),
  authenticated: z.boolean().meta({ description: "Key and signature were right" }),
  message: z.string(),
  headers: z.record(z.string(), z.string()).meta({ description: "Secrets by their length alone" }),
  body: z.string().meta({ description: "Its beginning, as text" }),
  body_bytes: z.number().int(),
  client_ip: z.string().nullable(),
  times: z.number().int(),
  first_at: isoTime,
  last_at: isoTime,
});

interface RefusalRow {
  total: bigint;
  body: Buffer;
  body_bytes: bigint;
  times: bigint;
  first_at: Date;
  last_at: Date;
}

/** Operators' routes of what Dify's webhook reported: kept events, what became of them, and refused deliveries. */
export function inboxRoutes({ pool, inbox }: { pool: Pool; inbox: Inbox }): Route[] {
  return [
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/dify/events",
      summary: "Messages that Dify's webhook reported, newest first",
      description: "`state=open` is what waits for an operator, or for credit that pays a shortfall.",
      query: z.strictObject({
        ...pageQuery,
        ...timeRange,
        state: z.enum(["open", "charged", "dismissed"]).optional(),
        reason: z.enum(REASONS).optional(),
        external_user: name.optional(),
        user: z.uuid().optional(),
        model: name.optional(),
        message_id: name.optional(),
        request_id: name.optional(),
      }),
      responses: { 200: pageOf(event) },
      handler: async ({ query: { page, page_size, ...filter } }) =>
        ok({ ...(await inbox.list(filter, { page, page_size })), page, page_size }),
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/dify/events/:id",
      summary: "One reported message",
      params,
      responses: { 200: event },
      handler: async ({ params: { id } }) => ok(await inbox.get(idOf(id))),
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/admin/dify/events/:id/resolve",
      summary: "Close an open event for good",
      description: "One that nobody was charged for is not charged any more. Moves no money; the note goes to the audit log.",
      params,
      body: z.strictObject({ note: z.string().trim().min(3).max(500) }),
      responses: { 200: event },
      errors: ["invalid_state"],
      handler: async ({ params: { id }, body, principal, traceId }) =>
        ok(await inbox.resolve({ userId: principal.userId, traceId }, idOf(id), body.note), "Resolved"),
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/admin/dify/events/:id/replay",
      summary: "Try again to charge an open event",
      description: "Charges it once, however often it is replayed; one that still cannot be charged stays open.",
      params,
      responses: { 200: event },
      errors: ["invalid_state"],
      handler: async ({ params: { id }, principal, traceId }) => ok(await inbox.replay({ userId: principal.userId, traceId }, idOf(id))),
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/admin/dify/events/replay",
      summary: "Try again to charge all open events of a reason, a user or a model",
      description: "At most 10000 at a time; those that still cannot be charged stay open.",
      body: z.strictObject({ reason: z.enum(REASONS).optional(), user: name.optional(), model: name.optional() }),
      responses: { 200: z.object({ tried: z.number().int(), charged: z.number().int() }) },
      handler: async ({ body, principal, traceId }) => ok(await inbox.replayAll({ userId: principal.userId, traceId }, body)),
    }),
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/dify/refusals",
      summary: "Deliveries of Dify's webhook that were refused, with the reason, newest first",
      query: z.strictObject({ ...pageQuery, reason: z.string().max(40).optional(), authenticated: z.enum(["true", "false"]).optional() }),
      responses: { 200: pageOf(refusal) },
      handler: async ({ query: { page, page_size, reason, authenticated } }) => {
        const { rows } = await pool.query<RefusalRow>(
          `SELECT id::text, reason, status, authenticated, message, headers, body, body_bytes, client_ip, times, first_at, last_at, count(*) OVER () AS total
           FROM dify_refusals WHERE ($1::text IS NULL OR reason = $1) AND ($2::boolean IS NULL OR authenticated = $2)
           ORDER BY last_at DESC, id DESC LIMIT $3 OFFSET $4`,
          [reason ?? null, authenticated ?? null, page_size, (page - 1) * page_size],
        );
        const items = rows.map(({ total: _total, ...row }) => ({
          ...row,
          body: row.body.toString("utf8"),
          body_bytes: Number(row.body_bytes),
          times: Number(row.times),
          first_at: row.first_at.toISOString(),
          last_at: row.last_at.toISOString(),
        }));
        return ok({ items, total: Number(rows[0]?.total ?? 0n), page, page_size });
      },
    }),
  ];
}
