import { z } from "zod";
import { parseCredits } from "../../platform/credits.ts";
import { spend } from "../limitsSchema.ts";
import type { Conditions } from "./decide.ts";

const tier = z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/, "must be the name of a tier");
const score = z.number().int().min(0).max(100);
const conditions = z.strictObject({
  age_days: z.number().int().min(0).max(36_500).optional(),
  paid: spend.optional().meta({ description: "Credits bought in all, less what was refunded" }),
  spent: spend.optional().meta({ description: "Credits used in the last 30 days" }),
  score: score.optional().meta({ description: "Behaviour, 0 to 100; see docs/QUOTA_DESIGN.md" }),
});

/** Whether `stay` asks no more than `enter`: else somebody could be promoted and demoted by the same facts. */
function asksNoMore(stay: Conditions, enter: Conditions): boolean {
  const number = (rule: "age_days" | "score") => stay[rule] === undefined || (enter[rule] !== undefined && stay[rule] <= enter[rule]);
  const credits = (rule: "paid" | "spent") =>
    stay[rule] === undefined || (enter[rule] !== undefined && parseCredits(stay[rule])! <= parseCredits(enter[rule])!);
  return number("age_days") && number("score") && credits("paid") && credits("spent");
}

const level = z.strictObject({
  tier,
  enter: conditions.optional().meta({ description: "All of it leads here from the level below; without it nobody comes here by rules" }),
  stay: conditions.optional().meta({ description: "Who does not meet it goes one level down; asks no more than `enter`" }),
});

/** Rules of tiers. Whether the tiers exist is for whoever writes them. */
export const tierRules = z
  .strictObject({
    enabled: z.boolean(),
    start_tier: tier.meta({ description: "Of new accounts" }),
    cool_down_days: z.number().int().min(0).max(3_650),
    limits_follow_score: z
      .strictObject({ full_from: z.number().int().min(1).max(100), least_percent: z.number().int().min(1).max(100) })
      .nullable()
      .default(null),
    levels: z.array(level).min(1).max(20),
  })
  .superRefine(({ start_tier, levels }, context) => {
    const issue = (path: (string | number)[], message: string) => context.addIssue({ code: "custom", path, message });
    if (!levels.some(({ tier: name }) => name === start_tier)) issue(["start_tier"], "must be one of the levels");
    levels.forEach(({ tier: name, enter, stay }, n) => {
      if (levels.findIndex((other) => other.tier === name) !== n) issue(["levels", n, "tier"], "is there twice");
      if (stay && enter && !asksNoMore(stay, enter)) issue(["levels", n, "stay"], "must ask no more than enter");
      if (n === 0 && (stay || enter)) issue(["levels", 0], "is the lowest: nothing leads to it but being demoted");
    });
  });
