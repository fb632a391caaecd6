import { z } from "zod";
import { ok, route, type Route } from "../http/route.ts";
import { isoTime } from "../http/schemas.ts";
import type { Pool } from "../platform/postgres.ts";
import { FIGURES, type FigureName } from "./figures.ts";
import { readOutlook, type Prospect } from "./outlook.ts";

const SOON_HOURS = 24;

const view = z.object({
  figure: z.enum(Object.keys(FIGURES) as [FigureName, ...FigureName[]]),
  subject: z.string().nullable().meta({ description: "Which provider or campaign" }),
  what: z.string(),
  value: z.number(),
  limit: z.number().nullable().meta({ description: "Null where it is not known: then only the growth is told" }),
  per_hour: z.number().meta({ description: "How it changes" }),
  steadiness: z.number().meta({ description: "How much of the past agrees which way it goes, 0 to 1" }),
  state: z.enum(["now", "soon", "later", "well"]).meta({ description: "`soon`: within a day; `later`: within 30 days" }),
  reaches_at: isoTime.nullable().meta({ description: "When it reaches its limit if it goes on so" }),
  advice: z.string(),
});

const stateOf = (hours: number | undefined) =>
  hours === undefined ? "well" : hours === 0 ? "now" : hours <= SOON_HOURS ? "soon" : "later";

function present({ figure, subject, value, limit, perHour, steadiness, hoursLeft }: Prospect, nowMs: number) {
  const { what, advice } = FIGURES[figure];
  return {
    figure,
    subject: subject === "" ? null : subject,
    what,
    value,
    limit,
    per_hour: perHour,
    steadiness,
    state: stateOf(hoursLeft),
    reaches_at: hoursLeft === undefined ? null : new Date(nowMs + hoursLeft * 3_600_000).toISOString(),
    advice,
  };
}

/** What will be trouble, for operators. */
export function outlookRoutes({ pool, now = Date.now }: { pool: Pool; now?: () => number }): Route[] {
  return [
    route({
      method: "get",
      path: "/api/admin/outlook",
      summary: "What will be trouble, the most urgent first",
      description: "From samples that workers take every five minutes. Only what is foreseen within 30 days, unless `all=true`.",
      tag: "Operators: monitor",
      access: "operator",
      query: z.strictObject({ all: z.enum(["true", "false"]).optional() }),
      responses: { 200: z.object({ items: z.array(view) }) },
      handler: async ({ query }) => {
        const nowMs = now();
        const items = (await readOutlook(pool, nowMs)).map((prospect) => present(prospect, nowMs));
        return ok({ items: query.all === "true" ? items : items.filter(({ state }) => state !== "well") });
      },
    }),
  ];
}
