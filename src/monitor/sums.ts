import type { ActivityEvent, CallEnded } from "../activity/index.ts";

/** What happened in a while, by name, so that sums of several processes are added up name by name. */
export type Sums = Record<string, number>;

/** Upper bounds of the times of calls, in milliseconds; the last has none. */
const BOUNDS = [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, Infinity];

const add = (sums: Sums, name: string, by = 1): void => void (sums[name] = (sums[name] ?? 0) + by);

function addCall(sums: Sums, { outcome, error_class, tokens, cost, duration_ms }: CallEnded): void {
  add(sums, `calls.${outcome}`);
  if (error_class !== null) add(sums, `errors.${error_class}`);
  if (cost !== null) add(sums, "cost", Number(cost));
  add(sums, `ms.${BOUNDS.findIndex((bound) => duration_ms <= bound)}`);
  if (tokens === null) return;
  add(sums, "tokens.input", tokens.input + tokens.cached_input + tokens.cache_write);
  add(sums, "tokens.output", tokens.output + tokens.reasoning);
}

/** Adds one event. */
export function addEvent(sums: Sums, event: ActivityEvent): void {
  switch (event.kind) {
    case "call.ended":
      return addCall(sums, event);
    case "call.refused":
      return add(sums, `refused.${event.by}`);
    case "call.settled":
      add(sums, "settled");
      add(sums, "charged", Number(event.charged));
      return add(sums, "lag_ms", event.lag_ms);
    case "sign_in":
      return add(sums, `sign_ins.${event.result}`);
    default:
      return add(sums, "others");
  }
}

/** Adds what another process has summed up. */
export function addSums(to: Sums, from: Sums): void {
  for (const [name, value] of Object.entries(from)) add(to, name, value);
}

function group(sums: Sums, prefix: string): Record<string, number> {
  const found = Object.entries(sums).filter(([name]) => name.startsWith(`${prefix}.`));
  return Object.fromEntries(found.map(([name, value]) => [name.slice(prefix.length + 1), value]));
}

/** The bound below which this share of the calls stayed, in milliseconds; null without calls. */
function quantile(sums: Sums, share: number): number | null {
  const counts = BOUNDS.map((_, i) => sums[`ms.${i}`] ?? 0);
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let seen = 0;
  const at = counts.findIndex((count) => (seen += count) >= total * share);
  return Number.isFinite(BOUNDS[at]) ? BOUNDS[at]! : 600_000;
}

/** Floating sums of many small amounts, shown to micro-credits. */
const credits = (value = 0): string => String(Math.round(value * 1e6) / 1e6);

/** A second as listeners are told it. */
export function ratesOf(second: number, sums: Sums, live: number) {
  const { settled = 0, lag_ms = 0 } = sums;
  return {
    second: new Date(second * 1_000).toISOString(),
    live,
    calls: { ok: 0, client_gone: 0, failed: 0, ...group(sums, "calls") },
    refused: group(sums, "refused"),
    errors: group(sums, "errors"),
    call_ms: { p50: quantile(sums, 0.5), p95: quantile(sums, 0.95) },
    tokens: { input: 0, output: 0, ...group(sums, "tokens") },
    cost: credits(sums["cost"]),
    settled,
    charged: credits(sums["charged"]),
    settlement_lag_ms: settled > 0 ? Math.round(lag_ms / settled) : null,
    sign_ins: { success: 0, failure: 0, ...group(sums, "sign_ins") },
  };
}
