import { z } from "zod";
import { created, ok, route, type Route } from "../../http/route.ts";
import { creditsText, isoTime, pageOf, pageQuery } from "../../http/schemas.ts";
import { formatCredits } from "../../platform/credits.ts";
import type { Member } from "../member.ts";
import type { CheckInRow } from "./repository.ts";
import type { CheckIn } from "./service.ts";
import type { MakeUp } from "./makeup.ts";
import type { createOverview } from "./overview.ts";

const TAG = "Rewards";
const day = z.iso.date().meta({ description: "In the time zone of the profile", examples: ["2026-11-21"] });

const dayView = z.object({
  day,
  kind: z.enum(["checkin", "makeup"]),
  streak: z.number().int().meta({ description: "How many days in a row, this one included" }),
  reward: creditsText,
  price: creditsText.meta({ description: "What a made-up day cost" }),
  time_zone: z.string(),
  created_at: isoTime,
});
const doneView = z.object({ reward: creditsText, streak: z.number().int(), balance: creditsText, day });
const madeUpView = z.object({ day, streak: z.number().int(), price: creditsText, balance: creditsText });
const overviewView = z.object({
  checked_in_today: z.boolean(),
  today: day,
  time_zone: z.string(),
  streak: z.number().int().meta({ description: "Days in a row that stand now" }),
  next_reward: creditsText.meta({ description: "What the next check-in pays if it is made on the first day it can be" }),
  next_at: isoTime.nullable().meta({ description: "When the next check-in is possible; null: now" }),
  month: z.string(),
  calendar: z.array(dayView).meta({ description: "Days of the month that count, oldest first" }),
  makeup: z.object({
    days: z.array(day).meta({ description: "Missed days that can be made up" }),
    price: creditsText,
    left_this_month: z.number().int(),
  }),
  records: pageOf(dayView).meta({ description: "All days that count, newest first" }),
});

const overviewQuery = z.strictObject({
  ...pageQuery,
  month: z
    .string()
    .regex(/^(19|20)\d{2}-(0[1-9]|1[0-2])$/, "must be a month such as 2026-11")
    .optional(),
});

const present = (row: CheckInRow) => ({
  day: row.day,
  kind: row.kind,
  streak: row.streak,
  reward: formatCredits(row.reward),
  price: formatCredits(row.price),
  time_zone: row.time_zone,
  created_at: row.created_at.toISOString(),
});

/** Checking in, where one stands, and making up a missed day. */
export function checkInRoutes(deps: {
  checkIn: CheckIn;
  makeUp: MakeUp;
  overview: ReturnType<typeof createOverview>;
  member: (userId: string) => Promise<Member>;
}): Route[] {
  return [
    route({
      method: "post",
      path: "/api/user/checkin",
      summary: "Check in for today",
      description: "Once a day of the profile's time zone. After a change of the zone also a new day in the old one, and 20 hours since.",
      tag: TAG,
      access: "verified",
      idempotent: true,
      body: z.strictObject({}),
      responses: { 201: doneView },
      errors: ["already_checked_in", "invalid_state"],
      handler: async ({ principal, idempotencyKey }) => {
        const { timeZone } = await deps.member(principal.userId);
        const row = await deps.checkIn({ userId: principal.userId, walletId: principal.walletId, timeZone }, idempotencyKey);
        const { day: on, streak, reward, balance_after } = row;
        return created({ reward: formatCredits(reward), streak, balance: formatCredits(balance_after), day: on }, "Checked in");
      },
    }),
    route({
      method: "get",
      path: "/api/user/checkin",
      summary: "Whether I checked in, my streak, calendar, next reward and records",
      tag: TAG,
      access: "user",
      query: overviewQuery,
      responses: { 200: overviewView },
      handler: async ({ principal, query }) => {
        const { timeZone, since } = await deps.member(principal.userId);
        const found = await deps.overview({ userId: principal.userId, walletId: principal.walletId, timeZone, since }, query);
        return ok({
          checked_in_today: found.checkedInToday,
          today: found.today,
          time_zone: timeZone,
          streak: found.streak,
          next_reward: formatCredits(found.nextReward),
          next_at: found.nextAt?.toISOString() ?? null,
          month: found.month,
          calendar: found.calendar.map(present),
          makeup: {
            days: found.makeup.days,
            price: formatCredits(found.makeup.price),
            left_this_month: found.makeup.leftThisMonth,
          },
          records: { items: found.records.items.map(present), total: found.records.total, page: query.page, page_size: query.page_size },
        });
      },
    }),
    route({
      method: "post",
      path: "/api/user/checkin/makeup",
      summary: "Make up a missed day",
      description: "Where a setting allows it. It pays nothing: it joins the days before it with those after.",
      tag: TAG,
      access: "verified",
      idempotent: true,
      body: z.strictObject({ day }),
      responses: { 201: madeUpView },
      errors: ["already_checked_in", "invalid_state", "insufficient_balance"],
      handler: async ({ body, principal, idempotencyKey }) => {
        const { timeZone, since } = await deps.member(principal.userId);
        const person = { userId: principal.userId, walletId: principal.walletId, timeZone, since };
        const row = await deps.makeUp(person, body.day, idempotencyKey);
        const { day: on, streak, price, balance_after } = row;
        return created({ day: on, streak, price: formatCredits(price), balance: formatCredits(balance_after) }, "Made up");
      },
    }),
  ];
}
