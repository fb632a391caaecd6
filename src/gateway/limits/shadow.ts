import type { Logger } from "../../platform/logger.ts";
import type { Check } from "./types.ts";

const GATHER_MS = 1_000;

/**
 * Counts what limits in shadow mode would have refused, and writes it down: a line a second for each limit and whom it concerns, not one
 * for each call.
 */
export function createShadowLog(log: Logger, count: (scope: string, kind: string) => void): (check: Check) => void {
  const seen = new Map<string, { check: Check; calls: number }>();

  function write(): void {
    for (const [counter, { check, calls }] of seen) {
      const { scope, kind, limit } = check;
      log.info({ category: "shadow_limit", scope, kind, limit, counter, calls }, "a limit in shadow mode would have refused calls");
    }
    seen.clear();
  }

  return (check) => {
    count(check.scope, check.kind);
    const known = seen.get(check.id);
    if (known) known.calls += 1;
    else {
      if (seen.size === 0) setTimeout(write, GATHER_MS).unref();
      seen.set(check.id, { check, calls: 1 });
    }
  };
}
