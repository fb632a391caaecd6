import type { Principal } from "../http/principal.ts";
import type { PriceClass } from "../identity/index.ts";
import { fieldError } from "../platform/errors.ts";
import { DEFAULT_SAFETY_PERCENT, multiplierFor, type PriceVersion, type Pricing, type TokenClasses } from "../pricing/index.ts";
import type { AverageCall, Averages } from "../usage/index.ts";

export const BASES = ["given", "history", "model", "other_models", "assumed"] as const;

/**
 * Where a token count of an estimate comes from: it was given; the user's own calls of this model; everybody's calls of it; the user's own
 * calls of other models; or, without any history, a call of ordinary size.
 */
export type Basis = (typeof BASES)[number];

export interface Estimate {
  model: string;
  inputTokens: number;
  outputTokens: number;
  inputBasis: Basis;
  outputBasis: Basis;
  /** Calls the history is made of. */
  calls: number;
  price: PriceVersion;
  multiplier: number;
  /** Micro-credits. */
  cost: bigint;
  /** What such a call is held for: its cost with a margin for a prompt that is counted too low, or what its app may come to. */
  hold: bigint;
  /** It is not begun for less than its hold, which is more than it may cost. */
  wholeHold: boolean;
  /** Tokens that it counts as in quotas, not weighted. */
  heldTokens: number;
}

export interface EstimateDeps {
  pricing: Pick<Pricing, "model" | "cost" | "estimate">;
  priceClass: (principal: Principal) => Promise<PriceClass>;
  averages: Averages;
  /** What calls of a model are held for beside their prompt where a request cannot say how long its answer may be; see the gateway. */
  appHold: (model: string) => Promise<{ unseenTokens: number; outputTokens: number } | undefined>;
}

interface History {
  tokens: TokenClasses;
  basis: Basis;
  calls: number;
}

interface Counts {
  inputTokens?: number | undefined;
  outputTokens?: number | undefined;
}

const ASSUMED: TokenClasses = { input: 1_000, cachedInput: 0, cacheWrite: 0, output: 500, reasoning: 0 };

const inputOf = (tokens: TokenClasses) => tokens.input + tokens.cachedInput + tokens.cacheWrite + (tokens.cacheWriteLong ?? 0);

/** What a call would cost now, by the very rules that charge it. Throws `validation_failed` for a model that is unknown or has no price. */
export async function estimateCall(deps: EstimateDeps, principal: Principal, ask: Counts & { model: string }): Promise<Estimate> {
  const model = await deps.pricing.model(ask.model);
  if (!model) throw fieldError("model", "is not a model");
  if (!model.price) throw fieldError("model", "has no price and cannot be called");
  const complete = ask.inputTokens !== undefined && ask.outputTokens !== undefined;
  const { tokens: usual, basis, calls } = complete ? assumed : await historyOf(deps.averages, principal.userId, model.name);
  const tokens = merged(usual, ask);
  const multiplier = multiplierFor(model.rules, { ...(await deps.priceClass(principal)), model: model.name, at: new Date() });
  const inputTokens = inputOf(tokens);
  const outputTokens = tokens.output + tokens.reasoning;
  const inputBasis = ask.inputTokens === undefined ? basis : "given";
  const safetyPercent = model.safetyPercent ?? DEFAULT_SAFETY_PERCENT;
  const app = await deps.appHold(model.name);
  const unseenTokens = app?.unseenTokens ?? 0;
  // What is known from calls of an app counts what the app adds; what somebody would send does not.
  const seen = inputBasis === "history" || inputBasis === "model" ? Math.max(0, inputTokens - unseenTokens) : inputTokens;
  const mostOutput = app?.outputTokens ?? Math.min(outputTokens, model.maxOutputTokens ?? Infinity);
  return {
    model: model.name,
    inputTokens,
    outputTokens,
    inputBasis,
    outputBasis: ask.outputTokens === undefined ? basis : "given",
    calls,
    price: model.price,
    multiplier,
    cost: deps.pricing.cost(model.price, tokens, undefined, multiplier),
    hold: deps.pricing.estimate(model.price, { inputTokens: seen, unseenTokens, maxOutputTokens: mostOutput, safetyPercent, multiplier }),
    wholeHold: app !== undefined,
    heldTokens: Math.ceil((seen * safetyPercent) / 100) + unseenTokens + mostOutput,
  };
}

const assumed: History = { tokens: ASSUMED, basis: "assumed", calls: 0 };

/** The nearest history there is. */
async function historyOf(averages: Averages, userId: string, model: string): Promise<History> {
  const sources: [Basis, () => Promise<AverageCall | undefined>][] = [
    ["history", () => averages.ofUser(userId, model)],
    ["model", () => averages.ofModel(model)],
    ["other_models", () => averages.ofUser(userId, null)],
  ];
  for (const [basis, ask] of sources) {
    const found = await ask();
    if (found) return { ...found, basis };
  }
  return assumed;
}

/** The usual call with the counts that were given in their place. */
function merged(usual: TokenClasses, { inputTokens, outputTokens }: Counts): TokenClasses {
  return {
    ...usual,
    ...(inputTokens === undefined ? {} : { input: inputTokens, cachedInput: 0, cacheWrite: 0, cacheWriteLong: 0 }),
    ...(outputTokens === undefined ? {} : { output: outputTokens, reasoning: 0 }),
  };
}
