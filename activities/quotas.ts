import { Context } from "@temporalio/activity";
import type { OpenResult, QuotaReset, ReviewResult, StateResult, TierReview } from "../src/quotas/index.ts";
import { beating } from "./beating.ts";

/** What the activities of quotas need. */
export interface QuotaServices {
  reset: QuotaReset;
  tierReview: TierReview;
}

/** The steps of a reset as activities; each is idempotent by period or day, and safe to run many times at once. */
export function createQuotaActivities({ reset, tierReview }: QuotaServices) {
  const options = (onProgress: (done: number) => void) => ({ onProgress, signal: Context.current().cancellationSignal });
  return {
    /** Opens periods and grants their allowances, for half a minute at most. */
    openPeriods: (): Promise<OpenResult> => beating((beat) => reset.openPeriods(options(beat))),
    /** Writes statements of periods that ended, for half a minute at most. */
    writeStatements: (): Promise<StateResult> => beating((beat) => reset.writeStatements(options(beat))),
    /** Reviews the tiers of those whose turn it is, for half a minute at most. */
    reviewTiers: (): Promise<ReviewResult> => beating((beat) => tierReview.review(options(beat))),
  };
}

export type QuotaActivities = ReturnType<typeof createQuotaActivities>;
