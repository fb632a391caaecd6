import { z } from "zod";
import { isoTime, pageQuery, uuid } from "../../http/schemas.ts";
import { parseDecimal } from "../../platform/decimal.ts";
import { status } from "../schema.ts";
import type { TimeWindow } from "./multiplier.ts";

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
/** Lower-case name of a tier or a group of keys. */
const GROUP = /^[a-z][a-z0-9_-]{0,31}$/;
const MOST = 10_000_000n;

export const groupName = z.string().regex(GROUP, "must begin with a letter and consist of a-z, 0-9, _ and -");

const multiplier = z
  .string()
  .max(12)
  .refine((text) => (parseDecimal(text, 6) ?? -1n) >= 0n && parseDecimal(text, 6)! <= MOST, 'must be a decimal text from "0" to "10"')
  .transform((text) => Number(parseDecimal(text, 6) ?? 0n))
  .meta({ description: "Decimal text with at most 6 places", examples: ["0.8"] });

const minute = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$/, "must be a time such as 22:00")
  .transform((text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3)))
  .meta({ examples: ["22:00"] });

function isTimeZone(name: string): boolean {
  try {
    return Boolean(new Intl.DateTimeFormat("en-US", { timeZone: name }));
  } catch {
    return false;
  }
}

const window = z
  .strictObject({
    from: minute,
    to: minute.meta({ description: "Not included; on the next day when it is not after `from`" }),
    days: z.array(z.enum(DAYS)).min(1).max(7).optional().meta({ description: "On which the window begins; all when left out" }),
    time_zone: z
      .string()
      .max(64)
      .refine(isTimeZone, "is not a time zone")
      .meta({ examples: ["Asia/Shanghai"] }),
  })
  .transform(({ from, to, days, time_zone: timeZone }): TimeWindow => ({
    timeZone,
    fromMinute: from,
    toMinute: to,
    days: days ? [...new Set(days)].map((day) => DAYS.indexOf(day) + 1).sort() : null,
  }));

const name = z.string().trim().min(1).max(100);
export const ruleChange = z.strictObject({
  name: name.optional(),
  multiplier: multiplier.optional(),
  tier: groupName.nullable().optional(),
  key_group: groupName.nullable().optional().meta({ description: "Keys that operators put in this group" }),
  model: z.string().min(1).max(100).nullable().optional().meta({ description: "Name or alias" }),
  window: window.nullable().optional(),
  status: status.optional(),
  reason: z.string().trim().min(1).max(500).optional(),
});
export const newRule = z.strictObject({ ...ruleChange.shape, name, multiplier });
export const ruleParams = z.strictObject({ id: uuid });
export const rulesQuery = z.strictObject(pageQuery);

export type RuleChange = z.output<typeof ruleChange>;
export type NewRule = z.output<typeof newRule>;

export const ruleView = z.object({
  id: uuid,
  version: z.number().int(),
  name: z.string(),
  multiplier: z.string(),
  tier: z.string().nullable(),
  key_group: z.string().nullable(),
  model: z.string().nullable(),
  window: z.object({ from: z.string(), to: z.string(), days: z.array(z.enum(DAYS)).nullable(), time_zone: z.string() }).nullable(),
  status: z.enum(["active", "inactive", "removed"]),
  author_id: z.string().nullable(),
  reason: z.string().nullable(),
  created_at: isoTime,
});

const clock = (minutes: number) => `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;

export const presentWindow = (given: TimeWindow | null) =>
  given && {
    from: clock(given.fromMinute),
    to: clock(given.toMinute),
    days: given.days && given.days.map((day) => DAYS[day - 1]!),
    time_zone: given.timeZone,
  };
