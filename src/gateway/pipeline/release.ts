import type { RelayDeps } from "./deps.ts";

/** An answer is not kept waiting longer than this for a release; the ledger goes on trying, and the sweep finds what is left. */
const PATIENCE_MS = 1_000;

/** Releases a hold; resolves when that is durable or has taken too long. Never rejects. */
export function releaseWithin(deps: Pick<RelayDeps, "ledger" | "log">, id: string): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, PATIENCE_MS);
    deps.ledger
      .release([id])
      .catch((error: unknown) => deps.log.warn({ err: error, hold: id }, "a hold could not be released; the sweep will"))
      .finally(() => {
        clearTimeout(timer);
        resolve();
      });
  });
}
