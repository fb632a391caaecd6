import { ok, route, type Route } from "../../http/route.ts";
import type { Slots } from "../../http/slots.ts";
import type { Pool } from "../../platform/postgres.ts";
import { adminStatsQuery, statsQuery, statsView } from "./schema.ts";
import { usageStats } from "./stats.ts";

export interface StatsDeps {
  /** Places for statistics and reports. */
  reporting: Slots;
  /** Connections for statistics and reports. */
  reportPool: Pool;
  /** The time zone of somebody's profile. */
  timeZoneOf: (userId: string) => Promise<string>;
  /** Names of somebody's keys by id, revoked ones included. */
  keyNames: (userId: string) => Promise<ReadonlyMap<string, string>>;
}

const NOTE =
  "Settled calls by the time they began. Days and hours are those of `time_zone`, also where its clocks are 30 or 45 minutes off; a range " +
  "by the hour has at most 32 days, by the day 1100. Groups without calls are left out.";

/** Statistics for people over their own calls, for operators over all. */
export function statsRoutes({ reportPool: pool, reporting, timeZoneOf, keyNames }: StatsDeps): Route[] {
  return [
    route({
      method: "get",
      path: "/api/user/usage/stats",
      summary: "My calls by day, hour, model or key",
      description: NOTE,
      tag: "Usage",
      access: "user",
      query: statsQuery,
      responses: { 200: statsView },
      errors: ["rate_limited"],
      handler: async ({ principal: { userId }, query: { time_zone, ...query } }) => {
        const zone = time_zone ?? (await timeZoneOf(userId));
        const names = query.group_by === "key" ? await keyNames(userId) : undefined;
        const nameOf = (key: string) => names?.get(key) ?? null;
        return ok(await reporting.within(userId, () => usageStats(pool, { ...query, user: userId }, zone, new Date(), nameOf)));
      },
    }),
    route({
      method: "get",
      path: "/api/admin/usage/stats",
      summary: "Everybody's calls by day, hour, model, key or user",
      description: NOTE,
      tag: "Operators",
      access: "operator",
      query: adminStatsQuery,
      responses: { 200: statsView },
      errors: ["rate_limited"],
      handler: async ({ principal, query: { time_zone, ...query } }) => {
        const zone = time_zone ?? (await timeZoneOf(principal.userId));
        return ok(await reporting.within(principal.userId, () => usageStats(pool, query, zone, new Date())));
      },
    }),
  ];
}
