import { z } from "zod";
import { healthPart } from "../http/health.ts";
import { isoTime, uuid } from "../http/schemas.ts";
import { EVENT_KINDS } from "../activity/index.ts";
import { isEntryId } from "./messages.ts";

const kinds = z
  .string()
  .max(400)
  .transform((text) => text.split(","))
  .pipe(z.array(z.enum(EVENT_KINDS)))
  .optional()
  .meta({ description: "Kinds of event, separated by commas" });

export const streamQuery = z.strictObject({
  ticket: z.string().max(100).optional().meta({ description: "Instead of a bearer token, where no header can be sent" }),
  last_event_id: z
    .string()
    .refine(isEntryId, "must be the id of an event of this stream")
    .optional()
    .meta({ description: "Where to go on; the header Last-Event-ID counts first" }),
  user: uuid.optional(),
  model: z.string().min(1).max(200).optional(),
  status: z.enum(["ok", "client_gone", "failed", "refused"]).optional().meta({ description: "Only calls that ended so" }),
  kind: kinds,
});

const count = z.number().int();

export const snapshotView = z.object({
  at: isoTime,
  status: z.enum(["up", "degraded", "down"]),
  parts: z.record(z.string(), healthPart),
  settlement: z.object({ waiting: count, oldest_seconds: z.number() }).nullable(),
  last_minute: z
    .object({
      calls: z.object({ ok: count, client_gone: count, failed: count }),
      errors: z.record(z.string(), count),
      tokens: z.object({ input: count, output: count }),
    })
    .nullable()
    .meta({ description: "Calls that began within the last minute and have ended" }),
  queues: z.record(z.string(), z.record(z.string(), count)).nullable(),
  live: count.meta({ description: "Calls under way in the process that answers" }),
  listeners: count.meta({ description: "Open streams of this process" }),
});

export const ticketView = z.object({ ticket: z.string(), expires_in: count });
