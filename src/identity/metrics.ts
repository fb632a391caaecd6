import type { Bus } from "../activity/index.ts";
import type { Metrics } from "../platform/metrics.ts";

/** Counts attempts to sign in as they are told; once per process. */
export function countSignIns(metrics: Metrics, events: Pick<Bus, "on">): void {
  const attempts = metrics.counters({
    name: "login_attempts_total",
    help: "Attempts to sign in by password or mailed code; one refused for too many failures is a failure.",
    labels: ["result"],
  });
  const results = { success: attempts.of("success"), failure: attempts.of("failure") };
  const locked = metrics.counter({
    name: "tollkeeper_login_lockouts_total",
    help: "Attempts to sign in that were refused because an account or address had failed too often.",
  });
  events.on("sign_in", ({ result, reason }) => {
    results[result].add();
    if (reason === "locked") locked.add();
  });
}
