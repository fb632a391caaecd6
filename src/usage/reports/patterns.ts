import type { Queryable } from "../../platform/postgres.ts";
import { formatCredits } from "../../platform/credits.ts";
import type { Range } from "../stats/range.ts";
import { sumsBy, totalOf, type Sums } from "../stats/sums.ts";
import { percent } from "./report.ts";

/** When and how somebody uses models: calls by weekday and hour of the local clock. */

const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

export interface Cell {
  requests: number;
  cost: bigint;
}

const empty = (): Cell => ({ requests: 0, cost: 0n });

/** Hours added up by weekday (0 is Monday) and by hour of the day: pure. */
export function foldHours(hours: readonly Pick<Sums, "key" | "requests" | "cost">[], timeZone: string) {
  const format = new Intl.DateTimeFormat("en-US", { timeZone, weekday: "short", hour: "2-digit", hourCycle: "h23" });
  const byWeekday = WEEKDAYS.map(empty);
  const byHour = Array.from({ length: 24 }, empty);
  const cells = new Map<string, Cell & { weekday: number; hour: number }>();
  for (const { key, requests, cost } of hours) {
    const parts = Object.fromEntries(format.formatToParts(new Date(key!)).map(({ type, value }) => [type, value]));
    const weekday = WEEKDAYS.indexOf(parts["weekday"]!);
    const hour = Number(parts["hour"]);
    const cell = cells.get(`${weekday} ${hour}`) ?? { ...empty(), weekday, hour };
    cells.set(`${weekday} ${hour}`, cell);
    for (const sum of [byWeekday[weekday]!, byHour[hour]!, cell]) {
      sum.requests += Number(requests);
      sum.cost += cost;
    }
  }
  const busiest = [...cells.values()].sort((a, b) => b.requests - a.requests || a.weekday - b.weekday || a.hour - b.hour)[0] ?? null;
  return { byWeekday, byHour, busiest };
}

const cellView = ({ requests, cost }: Cell) => ({ requests, cost: formatCredits(cost) });

export async function usagePatterns(db: Queryable, userId: string, range: Range, timeZone: string) {
  const hours = await sumsBy(db, "hour", range, timeZone, { user: userId });
  const { byWeekday, byHour, busiest } = foldHours(hours, timeZone);
  const total = totalOf(hours);
  const answered = total.requests - total.failed;
  const average = (tokens: bigint) => (answered === 0n ? null : Number((tokens * 2n + answered) / (answered * 2n)));
  return {
    time_zone: timeZone,
    from: range.from.toISOString(),
    to: range.to.toISOString(),
    requests: Number(total.requests),
    by_weekday: byWeekday.map((cell, index) => ({ weekday: index + 1, ...cellView(cell) })),
    by_hour: byHour.map((cell, hour) => ({ hour, ...cellView(cell) })),
    busiest: busiest && { weekday: busiest.weekday + 1, hour: busiest.hour, ...cellView(busiest) },
    average_input_tokens: average(total.input_tokens),
    average_output_tokens: average(total.output_tokens),
    cached_input_percent: percent(total.cached_input_tokens, total.input_tokens),
    failed_percent: percent(total.failed, total.requests),
  };
}
