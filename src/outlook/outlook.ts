import type { Queryable } from "../platform/postgres.ts";
import { FIGURES, isFigure, type Figure, type FigureName } from "./figures.ts";
import { readSamples } from "./repository.ts";
import { hoursLeft, trendOf, type Sample } from "./trend.ts";

/** Where a figure goes, and when it is trouble. */
export interface Prospect {
  figure: FigureName;
  subject: string;
  value: number;
  limit: number | null;
  perHour: number;
  steadiness: number;
  /** 0: it is there. Undefined: it is not foreseen. */
  hoursLeft: number | undefined;
}

const HOUR_MS = 3_600_000;
const LONGEST_MS = Math.max(...Object.values(FIGURES).map(({ windowMs }) => windowMs));
/** What was sampled before that is no more, such as a provider that was removed. */
const STALE_MS = 900_000;
/** A trend is believed from so many samples on, and when so much of them agrees. */
const FEWEST = 6;
const STEADY = 0.5;
/** What lies farther ahead is not foreseen but guessed. */
const FARTHEST_HOURS = 30 * 24;
const NEVER = Number.MAX_VALUE;

/** The prospect of one subject; undefined when it is no more, or a limit is known but not enough of the past. */
export function prospectOf(
  { rising, windowMs }: Figure,
  samples: readonly Sample[],
  limit: number | null,
  nowMs: number,
): Omit<Prospect, "figure" | "subject"> | undefined {
  const known = samples.filter(({ atMs }) => atMs >= nowMs - windowMs);
  const last = known.at(-1);
  if (!last || last.atMs < nowMs - STALE_MS) return undefined;
  const { perHour, steadiness } = trendOf(known) ?? { perHour: 0, steadiness: 0 };
  const hours = limit === null ? undefined : hoursLeft(last.value, limit, rising, perHour);
  const isSure = hours === 0 || (known.length >= FEWEST && steadiness >= STEADY);
  const foreseen = hours !== undefined && isSure && hours <= FARTHEST_HOURS;
  return { value: last.value, limit, perHour, steadiness, hoursLeft: foreseen ? hours : undefined };
}

/** Every figure's prospect, the most urgent first. */
export async function readOutlook(db: Queryable, nowMs: number): Promise<Prospect[]> {
  const rows = await readSamples(db, new Date(nowMs - LONGEST_MS - HOUR_MS));
  const series = new Map<string, { figure: FigureName; subject: string; samples: Sample[]; limit: number | null }>();
  for (const { figure, subject, at, value, limit } of rows) {
    if (!isFigure(figure)) continue;
    const key = `${figure} ${subject}`;
    const one = series.get(key) ?? { figure, subject, samples: [], limit };
    one.samples.push({ atMs: at.getTime(), value });
    one.limit = limit;
    series.set(key, one);
  }
  const prospects = [...series.values()].flatMap(({ figure, subject, samples, limit }) => {
    const prospect = prospectOf(FIGURES[figure], samples, limit, nowMs);
    return prospect ? [{ figure, subject, ...prospect }] : [];
  });
  return prospects.sort((a, b) => (a.hoursLeft ?? NEVER) - (b.hoursLeft ?? NEVER));
}
