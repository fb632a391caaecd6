import { z } from "zod";
import { ok, route, type Route } from "../http/route.ts";
import { creditsText } from "../http/schemas.ts";
import type { HoldOutcome } from "../ledger/index.ts";
import { formatCredits } from "../platform/credits.ts";
import { formatMultiplier } from "../pricing/index.ts";
import { BASES, estimateCall, type Estimate, type EstimateDeps } from "./estimate.ts";
import { lookAtCall, type LookDeps } from "./look.ts";

const TAG = "Wallet";
const MOST_TOKENS = 2_000_000_000;
const count = z.number().int().min(0).max(MOST_TOKENS);
/** A query's text as a count: digits alone, so that "" and "1e3" are no numbers. */
const countText = z
  .string()
  .regex(/^\d{1,10}$/, "must be a whole number from 0")
  .transform(Number)
  .refine((value) => value <= MOST_TOKENS, `must not be above ${MOST_TOKENS}`);
const modelName = z
  .string()
  .min(1)
  .max(100)
  .meta({ description: "Name or alias", examples: ["gpt-4o"] });

const estimateQuery = z.strictObject({
  model: modelName,
  input_tokens: countText.optional().meta({ description: "As in your own calls when left out" }),
  output_tokens: countText.optional().meta({ description: "As in your own calls when left out" }),
});

const estimated = {
  model: z.string(),
  input_tokens: z.number().int(),
  output_tokens: z.number().int(),
  basis: z.enum(BASES).meta({
    description:
      "Where counts that were left out come from: your calls of this model in the last 30 days, everybody's calls of it, your calls of " +
      "other models, or (assumed) 1000 tokens in and 500 out",
  }),
  input_basis: z.enum(BASES),
  output_basis: z.enum(BASES),
  calls: z.number().int().meta({ description: "How many calls the history is made of" }),
  price_version: z.number().int(),
  price_multiplier: z.string(),
  estimated_cost: creditsText,
};
const estimateView = z.object({ ...estimated, points: creditsText.meta({ description: "The same as estimated_cost" }) });

/** Both spellings: ours, and that of the client helper `checkBalanceBeforeAI`. */
const checkBody = z
  .strictObject({
    model: modelName.optional(),
    modelName: modelName.optional().meta({ description: "The same as model" }),
    estimated_input_tokens: count.optional(),
    estimatedInputTokens: count.optional().meta({ description: "The same as estimated_input_tokens" }),
    estimated_output_tokens: count.optional(),
    estimatedOutputTokens: count.optional().meta({ description: "The same as estimated_output_tokens" }),
  })
  .refine((body) => (body.model ?? body.modelName) !== undefined, { path: ["model"], message: "is required" });

const checkView = z.object({
  ...estimated,
  can_proceed: z.boolean().meta({ description: "Whether a call of this size would be admitted now" }),
  reason: z
    .enum(["insufficient_balance", "balance_on_hold", "spend_limit_reached", "spend_limit_on_hold", "quota_exceeded", "quota_on_hold"])
    .nullable()
    .meta({ description: "The code with which it would be refused" }),
  hold: creditsText.meta({
    description:
      "What such a call is held for: the cost with a margin for the prompt; of a Dify app, which takes no cap, all that it may come to",
  }),
  balance: creditsText.meta({ description: "What is available now" }),
  held: creditsText,
  total: creditsText.meta({ description: "Available and held together" }),
  shortfall: creditsText.meta({ description: "What is missing, with what is owed for earlier use" }),
  canProceed: z.boolean().meta({ description: "The same as can_proceed" }),
  estimatedCost: creditsText.meta({ description: "The same as estimated_cost" }),
});

const view = (estimate: Estimate) => ({
  model: estimate.model,
  input_tokens: estimate.inputTokens,
  output_tokens: estimate.outputTokens,
  basis: estimate.inputBasis === "given" ? estimate.outputBasis : estimate.inputBasis,
  input_basis: estimate.inputBasis,
  output_basis: estimate.outputBasis,
  calls: estimate.calls,
  price_version: estimate.price.version,
  price_multiplier: formatMultiplier(estimate.multiplier),
  estimated_cost: formatCredits(estimate.cost),
});

/** The code with which the relay refuses: a budget that begins anew is a quota. */
function codeOf(outcome: Extract<HoldOutcome, { kind: "refused" }>) {
  if (!("budget" in outcome) || !outcome.budget.resetsAt) return outcome.reason;
  return outcome.reason === "spend_limit_reached" ? "quota_exceeded" : "quota_on_hold";
}

/** What a call would cost, and whether wallet, spend limits and quotas cover it. Both only look: what counts is the hold made when the call begins. */
export function pointsRoutes(deps: EstimateDeps & LookDeps): Route[] {
  return [
    route({
      method: "get",
      path: "/api/user/points/estimate",
      summary: "What a call would cost me",
      tag: TAG,
      access: "user",
      query: estimateQuery,
      responses: { 200: estimateView },
      handler: async ({ principal, query }) => {
        const ask = { model: query.model, inputTokens: query.input_tokens, outputTokens: query.output_tokens };
        const shown = view(await estimateCall(deps, principal, ask));
        return ok({ ...shown, points: shown.estimated_cost });
      },
    }),
    route({
      method: "post",
      path: "/api/user/points/check-balance",
      summary: "Whether a call of mine would be admitted",
      description: "By wallet, spend limits and quotas, as the call itself would be. Looks only and holds nothing.",
      tag: TAG,
      access: "user",
      body: checkBody,
      responses: { 200: checkView },
      handler: async ({ principal, body }) => {
        const estimate = await estimateCall(deps, principal, {
          model: (body.model ?? body.modelName)!,
          inputTokens: body.estimated_input_tokens ?? body.estimatedInputTokens,
          outputTokens: body.estimated_output_tokens ?? body.estimatedOutputTokens,
        });
        const [{ available, held, total, shortfall: owed }, outcome] = await Promise.all([
          deps.ledger.balance(principal.walletId),
          lookAtCall(deps, principal, estimate),
        ]);
        const canProceed = outcome.kind === "held";
        const needed = (available < estimate.cost && !estimate.wholeHold ? estimate.cost : estimate.hold) + owed;
        const shown = view(estimate);
        return ok({
          ...shown,
          can_proceed: canProceed,
          reason: canProceed ? null : codeOf(outcome),
          hold: formatCredits(estimate.hold),
          balance: formatCredits(available),
          held: formatCredits(held),
          total: formatCredits(total),
          shortfall: formatCredits(canProceed || available >= needed ? 0n : needed - available),
          canProceed,
          estimatedCost: shown.estimated_cost,
        });
      },
    }),
  ];
}
