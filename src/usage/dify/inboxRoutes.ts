import { z } from "zod";
import { ok, route, type Route } from "../../http/route.ts";
import { creditsText, isoTime, pageOf, pageQuery, timeRange } from "../../http/schemas.ts";
import { appError } from "../../platform/errors.ts";
import { eventIdOf } from "./answers.ts";
import type { Inbox } from "./inbox.ts";
import type { KeptReason } from "./repository.ts";

const COMMON = { tag: "Operators: Dify", access: "operator" } as const;
const REASONS = [
  "user_not_found",
  "model_not_found",
  "model_not_priced",
  "cost_out_of_range",
  "totals_disagree",
  "insufficient_balance",
  "relay_waits",
  "settlement_refused",
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

/** Operators' routes of what Dify's webhook reported, and what became of it. */
export function inboxRoutes({ inbox }: { inbox: Inbox }): Route[] {
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
  ];
}
