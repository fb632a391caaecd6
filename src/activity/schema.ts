import { z } from "zod";
import { isoTime, pageQuery, timeRange, uuid } from "../http/schemas.ts";
import { EVENT_KINDS, type EventKind } from "./event.ts";

/** Pages deeper than this are not looked for: a narrower time finds them. */
const DEEPEST = 10_000;

const isKind = (text: string): text is EventKind => (EVENT_KINDS as readonly string[]).includes(text);

/** Some kinds of event, separated by commas. */
const kinds = (allowed: readonly EventKind[]) =>
  z
    .string()
    .max(400)
    .transform((text) => text.split(","))
    .pipe(z.array(z.custom<EventKind>((kind) => typeof kind === "string" && isKind(kind) && allowed.includes(kind))))
    .optional()
    .meta({ description: `Separated by commas, of: ${allowed.join(", ")}` });

const deep = ({ page, page_size }: { page: number; page_size: number }): boolean => page * page_size <= DEEPEST;
const TOO_DEEP = { path: ["page"], message: `goes at most ${DEEPEST} events deep; narrow the time` };

/** What concerns the safety of one's own account. */
export const OWN_KINDS = [
  "sign_in",
  "session.ended",
  "user.registered",
  "user.verified",
  "key.created",
  "key.changed",
  "key.rotated",
  "key.revoked",
  "topup.changed",
  "task.changed",
  "operator.acted",
  "reward.granted",
  "reward.reversed",
] as const satisfies readonly EventKind[];

const failed = z.enum(["true", "false"]).optional().meta({ description: "true: only what failed or was refused" });

/** Charges are in the calls' own records. */
const LISTED = EVENT_KINDS.filter((kind) => kind !== "call.settled");

export const userParams = z.strictObject({ id: uuid });
export const operatorQuery = z.strictObject({ ...pageQuery, kind: kinds(LISTED), failed, ...timeRange }).refine(deep, TOO_DEEP);
export const ownQuery = z.strictObject({ ...pageQuery, kind: kinds(OWN_KINDS), failed, ...timeRange }).refine(deep, TOO_DEEP);

export const eventView = z.object({
  id: uuid,
  at: isoTime,
  kind: z.string(),
  request_id: z.string().nullable(),
  ip: z.string().nullable(),
  times: z.number().int().meta({ description: "Failures alike within a moment are one item" }),
  details: z.record(z.string(), z.unknown()).meta({ description: "What the kind has beyond that: docs/events.md" }),
});
