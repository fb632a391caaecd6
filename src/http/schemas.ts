import { z } from "zod";
import { parseCredits } from "../platform/credits.ts";

/** Schemas that more than one domain uses. */

export const uuid = z.uuid();

/** A page of a list: `?page=1&page_size=20`, at most 100. */
export const pageQuery = {
  page: z.coerce.number().int().min(1).max(1_000_000).default(1),
  page_size: z.coerce.number().int().min(1).max(100).default(20),
};

/** `{ items, total, page, page_size }`. */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), total: z.number().int(), page: z.number().int(), page_size: z.number().int() });

/** `from` and `to` of a filter: ISO 8601 date or date-time, `from` inclusive, `to` exclusive. */
export const timeRange = {
  from: z
    .union([z.iso.datetime({ offset: true }), z.iso.date()])
    .transform((text) => new Date(text))
    .optional(),
  to: z
    .union([z.iso.datetime({ offset: true }), z.iso.date()])
    .transform((text) => new Date(text))
    .optional(),
};

/** Text for people: trimmed, no control characters. */
export const line = (max: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(max)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u, "must not contain control characters");

/** Why an operator decided so. */
export const reason = line(500);

/** An amount in an answer: decimal text in credits. */
export const creditsText = z.string().meta({ description: "Amount in credits, exact decimal text", examples: ["93.5"] });

/** An amount in credits in a request, text only, at most 6 decimals → micro-credits. */
export const creditsInput = z
  .string()
  .max(24)
  .refine((value) => parseCredits(value) !== undefined, 'must be a decimal text with at most 6 decimals, such as "93.5"')
  .transform((value) => parseCredits(value) ?? 0n)
  .meta({ examples: ["100"] });

/** The same with an optional minus sign. */
export const signedCreditsInput = z
  .string()
  .max(25)
  .refine((value) => parseCredits(value, { signed: true }) !== undefined, 'must be a decimal text with at most 6 decimals, such as "-5"')
  .transform((value) => parseCredits(value, { signed: true }) ?? 0n)
  .meta({ examples: ["100", "-5"] });

export const isoTime = z.string().meta({ description: "ISO 8601, UTC", format: "date-time" });

/** An e-mail address, trimmed and lower-cased, at most 254 characters (RFC 5321). */
export const email = z
  .string()
  .trim()
  .max(254)
  .toLowerCase()
  .pipe(z.email("must be an e-mail address"))
  .meta({ examples: ["ada@example.com"] });

/** What an export takes beside its filters. */
export const exportQuery = {
  bom: z
    .enum(["true", "false"])
    .default("false")
    .transform((value) => value === "true")
    .meta({ description: "true marks the file as UTF-8 for spreadsheets that guess" }),
};

/** A moment of a range in somebody's own time zone: a date stands for the beginning of that day there. */
export const localMoment = z.union([z.iso.datetime({ offset: true }), z.iso.date()]).meta({
  description: "A date (the beginning of that day in the time zone of the answer) or a date-time with its offset",
  examples: ["2026-11-01"],
});

/** An IANA name of a time zone. */
export const timeZone = z
  .string()
  .max(64)
  .refine((name) => isTimeZone(name), "must be an IANA time zone such as Asia/Shanghai")
  .meta({ examples: ["Asia/Kolkata"] });

function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+/-]*$/.test(name)) return false;
  try {
    return Boolean(Intl.DateTimeFormat("en", { timeZone: name }));
  } catch {
    return false;
  }
}
