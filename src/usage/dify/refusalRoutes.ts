import { z } from "zod";
import { ok, route, type Route } from "../../http/route.ts";
import { isoTime, pageOf, pageQuery, timeRange } from "../../http/schemas.ts";
import type { Pool } from "../../platform/postgres.ts";
import { KEPT_BYTES, REPLAYABLE } from "./refusals.ts";
import type { Replays } from "./replays.ts";

const COMMON = { tag: "Operators: Dify", access: "operator" } as const;

const refusal = z.object({
  id: z.string(),
  reason: z.string(),
  source: z.string().nullable().meta({ description: "The platform it was sent for; null: Dify" }),
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
  replayable: z.boolean().meta({ description: "It was rightly signed, is kept whole, and nobody took it yet" }),
  replay: z
    .object({ at: isoTime, by: z.string().nullable(), status: z.number().int(), answer: z.unknown() })
    .nullable()
    .meta({ description: "What came of taking it all the same" }),
});
export type RefusalView = z.output<typeof refusal>;

interface RefusalRow {
  total: bigint;
  id: string;
  reason: string;
  source: string | null;
  status: number;
  authenticated: boolean;
  message: string;
  headers: Record<string, string>;
  body: Buffer;
  body_bytes: bigint;
  client_ip: string | null;
  times: bigint;
  first_at: Date;
  last_at: Date;
  replayable: boolean;
  replayed_at: Date | null;
  replayed_by: string | null;
  replay_status: number | null;
  replay_answer: string | null;
}

function view(row: RefusalRow): RefusalView {
  const { total: _total, replayed_at: at, replayed_by: by, replay_status: status, replay_answer: answer, ...rest } = row;
  return {
    ...rest,
    body: row.body.toString("utf8"),
    body_bytes: Number(row.body_bytes),
    times: Number(row.times),
    first_at: row.first_at.toISOString(),
    last_at: row.last_at.toISOString(),
    replay: at === null ? null : { at: at.toISOString(), by, status: status!, answer: JSON.parse(answer!) as unknown },
  };
}

const reason = z.enum(REPLAYABLE);

/** Operators' routes of deliveries that were refused, and of taking those that were authentic. */
export function refusalRoutes({ pool, replays }: { pool: Pool; replays: Replays }): Route[] {
  return [
    route({
      ...COMMON,
      method: "get",
      path: "/api/admin/dify/refusals",
      summary: "Deliveries of Dify's webhook and of other platforms that were refused, with the reason, newest first",
      query: z.strictObject({
        ...pageQuery,
        reason: z.string().max(40).optional(),
        source: z.string().max(40).optional(),
        authenticated: z.enum(["true", "false"]).optional(),
        replayable: z.enum(["true", "false"]).optional(),
      }),
      responses: { 200: pageOf(refusal) },
      handler: async ({ query: { page, page_size, reason: why, source, authenticated, replayable } }) => {
        const { rows } = await pool.query<RefusalRow>(
          `SELECT *, count(*) OVER () AS total FROM (
             SELECT id::text, reason, source, status, authenticated, message, headers, substring(body FOR $6) AS body, body_bytes, client_ip, times,
               first_at, last_at, replayed_at, replayed_by, replay_status, replay_answer,
               authenticated AND source IS NULL AND replayed_at IS NULL AND reason = ANY ($7::text[]) AND octet_length(body) = body_bytes AS replayable
             FROM dify_refusals WHERE ($1::text IS NULL OR reason = $1) AND ($2::boolean IS NULL OR authenticated = $2)
               AND ($8::text IS NULL OR source = $8)
           ) r WHERE $3::boolean IS NULL OR replayable = $3 ORDER BY last_at DESC, id::bigint DESC LIMIT $4 OFFSET $5`,
          [
            why ?? null,
            authenticated ?? null,
            replayable ?? null,
            page_size,
            (page - 1) * page_size,
            KEPT_BYTES,
            REPLAYABLE,
            source ?? null,
          ],
        );
        return ok({ items: rows.map(view), total: Number(rows[0]?.total ?? 0n), page, page_size });
      },
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/admin/dify/refusals/:id/replay",
      summary: "Take a delivery that was rightly signed and refused for its time",
      description: "As if it came now: charged once, refused when its message is more than 30 days old. What was not authentic never is.",
      params: z.strictObject({ id: z.string().regex(/^\d{1,18}$/) }),
      responses: { 200: z.object({ status: z.number().int(), answer: z.unknown() }) },
      errors: ["invalid_state"],
      handler: async ({ params: { id }, principal, traceId }) => {
        const { status, body } = await replays.one({ userId: principal.userId, traceId }, id);
        return ok({ status, answer: JSON.parse(body) as unknown });
      },
    }),
    route({
      ...COMMON,
      method: "post",
      path: "/api/admin/dify/refusals/replay",
      summary: "Take all deliveries that were rightly signed and refused for their time",
      description: "Oldest first, at most 1000 at a time, none that was taken before.",
      body: z.strictObject({ reason: reason.optional(), ...timeRange }),
      responses: {
        200: z.object({ tried: z.number().int(), charged: z.number().int(), open: z.number().int(), refused: z.number().int() }),
      },
      handler: async ({ body, principal, traceId }) => ok(await replays.all({ userId: principal.userId, traceId }, body)),
    }),
  ];
}
