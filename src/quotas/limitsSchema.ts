import { z } from "zod";
import { MICRO, parseCredits } from "../platform/credits.ts";

const LIMIT_MAX = 1_000_000_000;
const count = z.number().int().min(1).max(LIMIT_MAX);
/** Credits above zero as decimal text, kept as text. */
export const spend = z
  .string()
  .max(24)
  .refine(
    (text) => (parseCredits(text) ?? 0n) > 0n && parseCredits(text)! <= 1_000_000_000n * MICRO,
    'must be credits above 0 as decimal text, such as "50"',
  )
  .meta({ examples: ["50"] });
/** Weights of models in the quotas of tiers and plans. */
export const weights = z
  .record(z.string().min(1).max(200), z.number().int().min(0).max(100_000))
  .meta({ description: "What calls of a model count in quotas, in percent; others count by the model's own weight" });
/** Limits of tiers, plans, users, keys and tokens. */
export const limits = z.strictObject({
  requests_per_minute: count.optional(),
  requests_per_second: count.optional(),
  tokens_per_minute: count.optional().meta({ description: "Prompt and answer together, weighted by model" }),
  max_parallel: count.optional(),
  spend_total: spend.optional().meta({ description: "Most that may be spent, in credits" }),
  spend_daily: spend.optional().meta({ description: "The same a day, in the account's time zone" }),
  spend_monthly: spend.optional().meta({ description: "The same a calendar month, in the account's time zone" }),
  quota_requests: count.optional().meta({ description: "Most requests in a period, weighted by model; the period ends on the reset day" }),
  quota_tokens: z.number().int().min(1).max(1_000_000_000_000).optional().meta({ description: "The same in tokens of prompt and answer" }),
  quota_credits: spend.optional().meta({ description: "The same in credits" }),
});
/** Those of accounts (tiers, plans, users) alone. */
export const limitsOfAccounts = limits.extend({
  storage_bytes: z
    .number()
    .int()
    .min(1)
    .max(Number.MAX_SAFE_INTEGER)
    .optional()
    .meta({ description: "Most bytes of files, results included" }),
  storage_files: count.optional().meta({ description: "Most files, results included" }),
  render_tasks: count.optional().meta({ description: "Render tasks that are not over, at once" }),
  render_frames: z.number().int().min(1).max(100_000).optional().meta({ description: "Frames of one render task" }),
  render_pixels: count.optional().meta({ description: "Pixels of one frame" }),
  render_parallel: z.number().int().min(1).max(256).optional().meta({ description: "Frames of one task rendered at the same time" }),
  render_priority: z.enum(["low", "normal", "high"]).optional().meta({ description: "The highest priority of a render task" }),
});
