import { z } from "zod";
import { line, uuid } from "../http/schemas.ts";
import { isEventId } from "./ids.ts";
import { MOST_TOPICS } from "./topics.ts";

export const connectQuery = z.strictObject({
  ticket: z.string().max(100).optional().meta({ description: "From `POST /api/live/tickets`; opens one connection" }),
  token: z.string().max(4_096).optional().meta({ description: "An access token, for older clients; a header is better" }),
  last_event_id: z
    .string()
    .refine(isEventId, "must be the id of an event")
    .optional()
    .meta({ description: "Where to go on: the id of the last message that had one" }),
  topics: z
    .string()
    .max(4_000)
    .transform((text) => text.split(",").filter((topic) => topic !== ""))
    .pipe(z.array(z.string().max(100)).max(MOST_TOPICS))
    .optional()
    .meta({ description: "`tasks`, `task:<id>`, `balance`, `topups`, `notices`, with commas; everything of one's own without" }),
});

const count = z.number().int();

export const ticketView = z.object({ ticket: z.string(), expires_in: count });

export const ownFigures = z.object({ connections: count, limit: count });

export const allFigures = z.object({
  connections: count,
  users: count.meta({ description: "Of each copy; somebody connected to two copies counts twice" }),
  copies: z.array(z.object({ copy: z.string(), connections: count, users: count })),
});

export const noticeBody = z.strictObject({
  user_id: uuid.optional().meta({ description: "Everybody without" }),
  title: line(200).optional(),
  message: line(2_000),
  level: z.enum(["info", "warning", "critical"]).default("info"),
});
export type NoticeBody = z.output<typeof noticeBody>;

export const noticeView = z.object({ user_id: uuid.nullable(), title: z.string().nullable(), message: z.string(), level: z.string() });
