/** The day and the month it is in a time zone, since when and until when. */
export interface Periods {
  /** "2026-11-21" */
  day: string;
  /** "2026-11" */
  month: string;
  dayBegan: Date;
  dayEnds: Date;
  monthBegan: Date;
  monthEnds: Date;
  /** These hold from here on (inclusive), in milliseconds since 1970, … */
  fromMs: number;
  /** … to here (exclusive). */
  untilMs: number;
}

/** Time zones are whole quarters of an hour from UTC and change only at such, so nobody's midnight lies within one. */
const QUARTER_MS = 900_000;
const HOUR_MS = 3_600_000;

const formats = new Map<string, Intl.DateTimeFormat>();
const latest = new Map<string, Periods>();

/** The date of an instant in a time zone, as "2026-11-21". */
export function dateIn(timeZone: string, ms: number): string {
  let format = formats.get(timeZone);
  if (!format) {
    format = new Intl.DateTimeFormat("en", { timeZone, calendar: "gregory", year: "numeric", month: "2-digit", day: "2-digit" });
    formats.set(timeZone, format);
  }
  const parts = Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, value]));
  return `${parts["year"]}-${parts["month"]}-${parts["day"]}`;
}

/** When a date begins in a time zone; where clocks are set back over midnight, the first time. */
export function beginOf(timeZone: string, date: string): Date {
  const midnightUtc = Date.parse(`${date}T00:00:00Z`);
  let low = midnightUtc - 15 * HOUR_MS;
  let high = midnightUtc + 15 * HOUR_MS;
  while (high - low > QUARTER_MS) {
    const middle = low + Math.floor((high - low) / QUARTER_MS / 2) * QUARTER_MS;
    if (dateIn(timeZone, middle) < date) low = middle;
    else high = middle;
  }
  return new Date(high);
}

/** The date some days or months later; a month later only from the first of one. */
export function dateAfter(date: string, { days = 0, months = 0 }: { days?: number; months?: number }): string {
  const [year, month, day] = date.split("-").map(Number) as [number, number, number];
  return new Date(Date.UTC(year, month - 1 + months, day + days)).toISOString().slice(0, 10);
}

/**
 * Which day and month it is at an instant in a time zone; a map lookup except once a quarter of an hour and zone.
 * Throws a RangeError for an unknown zone.
 */
export function periodsAt(timeZone: string, ms: number): Periods {
  const known = latest.get(timeZone);
  if (known && ms >= known.fromMs && ms < known.untilMs) return known;
  const fromMs = Math.floor(ms / QUARTER_MS) * QUARTER_MS;
  const day = dateIn(timeZone, fromMs);
  const month = day.slice(0, 7);
  const periods = {
    day,
    month,
    dayBegan: beginOf(timeZone, day),
    dayEnds: beginOf(timeZone, dateAfter(day, { days: 1 })),
    monthBegan: beginOf(timeZone, `${month}-01`),
    monthEnds: beginOf(timeZone, dateAfter(`${month}-01`, { months: 1 })),
    fromMs,
    untilMs: fromMs + QUARTER_MS,
  };
  latest.set(timeZone, periods);
  return periods;
}
