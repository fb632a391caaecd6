import type { Principal } from "../http/principal.ts";
import type { PriceClass } from "../identity/index.ts";
import { fieldError } from "../platform/errors.ts";
import { multiplierFor, type PriceVersion, type Pricing, type TokenClasses } from "../pricing/index.ts";
import type { AverageCall } from "../usage/index.ts";

/** Where the token counts of an estimate come from. */
export type Basis =
  /** Both were given. */
  | "given"
  /** From the user's own calls of this model. */
  | "history"
  /** From the user's own calls of other models. */
  | "other_models"
  /** A call of ordinary size: there is no history. */
  | "assumed";

export interface Estimate {
  model: string;
  inputTokens: number;
  outputTokens: number;
  basis: Basis;
  /** Calls the history is made of. */
  calls: number;
  price: PriceVersion;
  multiplier: number;
  /** Micro-credits. */
  cost: bigint;
}

export interface EstimateDeps {
  pricing: Pick<Pricing, "model" | "cost">;
  priceClass: (principal: Principal) => Promise<PriceClass>;
  averageCall: (userId: string, model: string | null) => Promise<AverageCall | undefined>;
}

const ASSUMED: TokenClasses = { input: 1_000, cachedInput: 0, cacheWrite: 0, output: 500, reasoning: 0 };

const inputOf = (tokens: TokenClasses) => tokens.input + tokens.cachedInput + tokens.cacheWrite + (tokens.cacheWriteLong ?? 0);

/** What a call would cost now, by the very rules that charge it. Throws `validation_failed` for a model that is unknown or has no price. */
export async function estimateCall(
  deps: EstimateDeps,
  principal: Principal,
  ask: { model: string; inputTokens?: number | undefined; outputTokens?: number | undefined },
): Promise<Estimate> {
  const model = await deps.pricing.model(ask.model);
  if (!model) throw fieldError("model", "is not a model");
  if (!model.price) throw fieldError("model", "has no price and cannot be called");
  const { tokens, basis, calls } = await tokensOf(deps, principal.userId, model.name, ask);
  const multiplier = multiplierFor(model.rules, { ...(await deps.priceClass(principal)), model: model.name, at: new Date() });
  return {
    model: model.name,
    inputTokens: inputOf(tokens),
    outputTokens: tokens.output + tokens.reasoning,
    basis,
    calls,
    price: model.price,
    multiplier,
    cost: deps.pricing.cost(model.price, tokens, undefined, multiplier),
  };
}

/** Counts that were given, the others as in the user's own calls. */
async function tokensOf(
  deps: EstimateDeps,
  userId: string,
  model: string,
  given: { inputTokens?: number | undefined; outputTokens?: number | undefined },
): Promise<{ tokens: TokenClasses; basis: Basis; calls: number }> {
  const { inputTokens, outputTokens } = given;
  const own = inputTokens === undefined || outputTokens === undefined ? await deps.averageCall(userId, model) : undefined;
  const other = own || (inputTokens !== undefined && outputTokens !== undefined) ? undefined : await deps.averageCall(userId, null);
  const known = own ?? other;
  const tokens = {
    ...(known?.tokens ?? ASSUMED),
    ...(inputTokens === undefined ? {} : { input: inputTokens, cachedInput: 0, cacheWrite: 0, cacheWriteLong: 0 }),
    ...(outputTokens === undefined ? {} : { output: outputTokens, reasoning: 0 }),
  };
  const complete = inputTokens !== undefined && outputTokens !== undefined;
  return { tokens, basis: complete ? "given" : own ? "history" : other ? "other_models" : "assumed", calls: known?.calls ?? 0 };
}
