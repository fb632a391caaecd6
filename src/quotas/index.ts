export { budgetsAt, lifeBudget, presentAt, spendLimits, type SpendLimits } from "./budgets.ts";
export type { Terms } from "./calendar.ts";
export { accountLimits, HUNDREDTHS } from "./counters.ts";
export { beginOf, dateAfter, periodsAt } from "./periods.ts";
export { standardTerms, type PlanBook } from "./planBook.ts";
export { createTiers, type Limits, type Tiers } from "./tiers.ts";
export { createQuotaReset, type OpenResult, type QuotaReset, type StateResult } from "./reset/index.ts";
export { createTierReview, type ReviewResult, type TierReview, type TierSources } from "./tierRules/review.ts";
