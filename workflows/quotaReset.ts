import { proxyActivities, setCurrentDetails } from "@temporalio/workflow";
import type { QuotaActivities } from "../activities/quotas.ts";
import { QUOTA_STEP } from "./timeouts.ts";

const { openPeriods, writeStatements, reviewTiers } = proxyActivities<QuotaActivities>(QUOTA_STEP);

/** What one run did; amounts are decimal text in micro-credits. */
export interface QuotaResetResult {
  periods: number;
  granted: string;
  statements: number;
  tiersReviewed: number;
  tiersChanged: number;
}

/**
 * Opens every subscription's periods that have begun since the last run, however long ago that was, with their allowances; writes the
 * statements of those that ended; reviews tiers. Each step is repeated until nothing is left; any number of runs at once do each thing once.
 */
export async function quotaReset(): Promise<QuotaResetResult> {
  const done: QuotaResetResult = { periods: 0, granted: "0", statements: 0, tiersReviewed: 0, tiersChanged: 0 };
  for (let more = true; more;) {
    const opened = await openPeriods();
    done.periods += opened.periods;
    done.granted = (BigInt(done.granted) + BigInt(opened.granted)).toString();
    more = opened.more;
    setCurrentDetails(describe(done));
  }
  for (let more = true; more;) {
    const stated = await writeStatements();
    done.statements += stated.written;
    more = stated.more;
    setCurrentDetails(describe(done));
  }
  for (let more = true; more;) {
    const reviewed = await reviewTiers();
    done.tiersReviewed += reviewed.reviewed;
    done.tiersChanged += reviewed.changed;
    more = reviewed.more;
  }
  setCurrentDetails(describe(done));
  return done;
}

function describe({ periods, statements, tiersReviewed, tiersChanged }: QuotaResetResult): string {
  return `**${periods}** periods opened, ${statements} statements written, ${tiersChanged} of ${tiersReviewed} tiers changed`;
}
