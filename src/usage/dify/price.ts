import { multiplierFor, type PricedModel, type PriceVersion, type Pricing, type TokenClasses } from "../../pricing/index.ts";
import { tokensUsed, type DifyMessage } from "./message.ts";
import { tierAt, type Payer, type Payers } from "./payers.ts";

/** Why a message cannot be charged yet. */
export type OpenReason =
  | "user_not_found"
  | "model_not_found"
  | "model_not_priced"
  /** Beyond what any wallet can owe: an operator decides what it is. */
  | "cost_out_of_range"
  /** Its total is not the sum of its parts: an operator decides whether the parts are right. */
  | "totals_disagree";

/** Who pays for a message by which price. */
export interface Charge {
  payer: Payer;
  model: PricedModel;
  version: PriceVersion;
  multiplier: number;
}

export type Decision = { kind: "charge"; charge: Charge } | { kind: "open"; reason: OpenReason; payer?: Payer | undefined };

/** Who is to pay, as far as anybody knows. */
export const payerOf = (decision: Decision): Payer | undefined => (decision.kind === "charge" ? decision.charge.payer : decision.payer);

/** No wallet has nor owes more, in micro-credits. */
const MOST = 10n ** 18n;

export const tokensOf = (message: DifyMessage): TokenClasses => ({
  input: message.inputTokens,
  cachedInput: 0,
  cacheWrite: 0,
  output: message.outputTokens,
  reasoning: 0,
});

/** `byParts`: an operator said that the parts count where the total is not their sum. */
export type Decide = (messages: readonly DifyMessage[], options?: { byParts?: boolean }) => Promise<Decision[]>;

/** What is done about a message whose total is not the sum of its parts: nobody is charged until an operator says so, or its parts are. */
export type Totals = "keep" | "charge";

/** Decides for each message who pays and by which price: that in force when it happened or, when there was none, the first one set since. */
export function createDecide(deps: {
  payers: Payers;
  pricing: Pick<Pricing, "model" | "versionAt" | "switchedOff" | "cost">;
  /** Without it nobody is charged. */
  totals?: Totals | undefined;
}): Decide {
  const { payers, pricing, totals = "keep" } = deps;

  async function price(message: DifyMessage, payer: Payer, byParts: boolean): Promise<Decision> {
    if (!byParts && message.totalTokens !== tokensUsed(message)) return { kind: "open", reason: "totals_disagree", payer };
    const model = await pricing.model(message.model);
    if (!model) return { kind: "open", reason: (await pricing.switchedOff(message.model)) ? "model_not_priced" : "model_not_found", payer };
    const version = await pricing.versionAt(model, message.at);
    if (!version) return { kind: "open", reason: "model_not_priced", payer };
    const multiplier = multiplierFor(model.rules, { tier: tierAt(payer, message.at), keyGroup: null, model: model.name, at: message.at });
    if (pricing.cost(version, tokensOf(message), undefined, multiplier) > MOST) return { kind: "open", reason: "cost_out_of_range", payer };
    return { kind: "charge", charge: { payer, model, version, multiplier } };
  }

  return async (messages, { byParts = totals === "charge" } = {}) => {
    const known = await payers(messages.map((message) => message.user));
    const decisions: Decision[] = [];
    for (const message of messages) {
      const payer = known.get(message.user);
      decisions.push(payer ? await price(message, payer, byParts) : { kind: "open", reason: "user_not_found" });
    }
    return decisions;
  };
}
