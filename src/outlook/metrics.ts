import type { Metrics } from "../platform/metrics.ts";
import type { Pool } from "../platform/postgres.ts";
import { readOutlook } from "./outlook.ts";

/** Samples come no oftener. */
const FRESH_MS = 300_000;

/** What is foreseen, for whoever alerts: the same on every worker. */
export function watchOutlook(metrics: Metrics, pool: Pool): void {
  let known: { readMs: number; prospects: ReturnType<typeof readOutlook> } | undefined;
  metrics.gauge({
    name: "tollkeeper_outlook_hours",
    help: "Hours until a figure reaches its limit if it goes on so; without a value for what is not foreseen within 30 days.",
    async read() {
      const nowMs = Date.now();
      if (!known || nowMs - known.readMs >= FRESH_MS) known = { readMs: nowMs, prospects: readOutlook(pool, nowMs) };
      const prospects = await known.prospects.catch((error: unknown) => {
        known = undefined;
        throw error;
      });
      return prospects.flatMap(({ figure, subject, hoursLeft }) =>
        hoursLeft === undefined ? [] : [{ labels: { figure, subject }, value: hoursLeft }],
      );
    },
  });
}
