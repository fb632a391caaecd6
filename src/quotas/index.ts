export { budgetsAt, lifeBudget, spendLimits, type SpendLimits } from "./budgets.ts";
export { beginOf, dateAfter, periodsAt } from "./periods.ts";
export { createTiers, type Limits, type Tiers } from "./tiers.ts";
