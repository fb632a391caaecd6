import { formatCredits } from "../platform/credits.ts";
import type { Pool } from "../platform/postgres.ts";
import { inCredits, marginOf, type Rates } from "./rates.ts";

/** Sale and cost side by side, from the roll-ups. */

export const MARGIN_GROUPS = ["model", "provider", "day"] as const;

export interface MarginQuery {
  group_by: (typeof MARGIN_GROUPS)[number];
  from?: Date | undefined;
  to?: Date | undefined;
  model?: string | undefined;
  provider?: string | undefined;
}

/** Sums of bigint are numeric, which arrives as text. */
interface Row {
  key: string | null;
  name: string | null;
  currency: string | null;
  requests: string;
  sale: string;
  uncharged: string;
  attempts: string;
  failed_attempts: string;
  cost: string;
}

const DAY = "to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD')";
const KEYS: Record<MarginQuery["group_by"], string> = { model: "model", provider: "provider_id::text", day: DAY };
const DEFAULT_DAYS = 30;
const DAY_MS = 86_400_000;

const sums = (by: MarginQuery["group_by"]) => `
  SELECT ${KEYS[by]} AS key, max(provider_name) AS name, currency, sum(requests)::text AS requests, sum(sale)::text AS sale,
    sum(uncharged)::text AS uncharged, sum(attempts)::text AS attempts, sum(failed_attempts)::text AS failed_attempts, sum(cost)::text AS cost
  FROM usage_upstream_hourly
  WHERE hour >= $1 AND ($2::timestamptz IS NULL OR hour < $2) AND ($3::text IS NULL OR model = $3) AND ($4::uuid IS NULL OR provider_id = $4)
  GROUP BY 1, currency ORDER BY 1, currency`;

const total = (rows: readonly Row[], name: "requests" | "sale" | "uncharged" | "attempts" | "failed_attempts") =>
  rows.reduce((sum, row) => sum + BigInt(row[name]), 0n);

/** What one group of rows, one per currency, comes to. */
function view(rows: readonly Row[], rates: Rates) {
  const sale = total(rows, "sale");
  const unknown = rows.filter((row) => row.currency === null);
  const priced = rows.filter((row) => row.currency !== null && row.attempts !== "0");
  const costs = priced.map((row) => inCredits(BigInt(row.cost), row.currency!, rates));
  const cost = costs.reduce<bigint | undefined>((sum, next) => (sum === undefined || next === undefined ? undefined : sum + next), 0n);
  const { margin, percent } = marginOf(sale, cost);
  return {
    requests: Number(total(rows, "requests")),
    attempts: Number(total(rows, "attempts")),
    failed_attempts: Number(total(rows, "failed_attempts")),
    unpriced_attempts: Number(total(unknown, "attempts")),
    sale: formatCredits(sale),
    uncharged: formatCredits(total(rows, "uncharged")),
    costs: priced.map((row) => ({ currency: row.currency!, amount: formatCredits(BigInt(row.cost)) })),
    cost_in_credits: cost === undefined ? null : formatCredits(cost),
    margin: margin === null ? null : formatCredits(margin),
    margin_percent: percent,
  };
}

/**
 * Margins by model, provider or UTC day; a call's sale counts with the provider that answered it, an attempt's cost with the one it went
 * to. Attempts whose cost is not known are counted and cost nothing here. Without `from` the last 30 days.
 */
export async function margins(pool: Pool, query: MarginQuery, rates: Rates) {
  const from = query.from ?? new Date(Math.floor(Date.now() / DAY_MS - DEFAULT_DAYS + 1) * DAY_MS);
  const { rows } = await pool.query<Row>(sums(query.group_by), [from, query.to ?? null, query.model ?? null, query.provider ?? null]);
  const groups = new Map<string | null, Row[]>();
  for (const row of rows) groups.set(row.key, [...(groups.get(row.key) ?? []), row]);
  const items = [...groups].map(([key, group]) => ({
    key,
    name: query.group_by === "provider" ? (group.find((row) => row.name !== null)?.name ?? null) : key,
    ...view(group, rates),
  }));
  return {
    group_by: query.group_by,
    from: from.toISOString(),
    to: query.to?.toISOString() ?? null,
    items,
    totals: view(mergeCurrencies(rows), rates),
  };
}

/** One row per currency over all groups. */
function mergeCurrencies(rows: readonly Row[]): Row[] {
  const merged = new Map<string | null, Row>();
  const names = ["requests", "sale", "uncharged", "attempts", "failed_attempts", "cost"] as const;
  for (const row of rows) {
    const before = merged.get(row.currency);
    const sum = before && Object.fromEntries(names.map((name) => [name, (BigInt(before[name]) + BigInt(row[name])).toString()]));
    merged.set(row.currency, { ...row, ...sum });
  }
  return [...merged.values()];
}
