import type { Call } from "./call.ts";
import type { Failure } from "./failure.ts";

/**
 * Whether the provider that was asked last may have begun what it was asked for: it was reached, and has not refused. What comes from
 * something in front of it (5xx) says nothing of that.
 */
export function mayHaveBegun({ tries }: Pick<Call, "tries">, why: Pick<Failure, "unsent">): boolean {
  const last = tries.at(-1);
  if (!last || why.unsent) return false;
  return last.status === null || last.status < 300 || last.status >= 500;
}
