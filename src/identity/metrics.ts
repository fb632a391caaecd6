import type { Metrics } from "../platform/metrics.ts";

/** What signing in counts. */
export interface LoginMetrics {
  /** A password or code was right (and its owner may sign in), or not. */
  attempt(result: "success" | "failure"): void;
  /** An attempt was refused without a look: too many failures before it. */
  locked(): void;
}

/** Declares what signing in counts; once per process. */
export function createLoginMetrics(metrics: Metrics): LoginMetrics {
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
  return {
    attempt: (result) => results[result].add(),
    locked: () => locked.add(),
  };
}
