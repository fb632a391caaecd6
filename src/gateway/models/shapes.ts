import type { PricedModel } from "../../pricing/index.ts";
import { failure, type Failure } from "../pipeline/failure.ts";

/** A model as OpenAI's clients read it. */
export const openaiModel = (model: PricedModel): object => ({
  id: model.name,
  object: "model",
  created: Math.floor(model.createdAt.getTime() / 1_000),
  owned_by: "tollkeeper",
});

/** A model as Anthropic's clients read it. */
export const anthropicModel = (model: PricedModel): object => ({
  type: "model",
  id: model.name,
  display_name: model.displayName ?? model.name,
  created_at: model.createdAt.toISOString(),
  max_input_tokens: model.contextLength,
  max_tokens: model.maxOutputTokens,
});

const DEFAULT_LIMIT = 20;
const MOST = 1_000;

const wrong = (param: string, message: string): Failure => failure("validation_failed", { message: `${param}: ${message}`, param });

/** A page of models, the newest first, after or before the one with an id (https://docs.anthropic.com/en/api/models-list). */
export function anthropicPage(models: readonly PricedModel[], query: URLSearchParams): object | Failure {
  const limit = Number(query.get("limit") ?? DEFAULT_LIMIT);
  if (!Number.isInteger(limit) || limit < 1 || limit > MOST) return wrong("limit", `must be a whole number from 1 to ${MOST}`);
  const sorted = models.toSorted((a, b) => b.createdAt.getTime() - a.createdAt.getTime() || (a.name < b.name ? -1 : 1));
  const after = query.get("after_id");
  const before = query.get("before_id");
  if (after !== null && before !== null) return wrong("before_id", "cannot stand beside after_id");
  const anchor = after ?? before;
  const at = anchor === null ? -1 : sorted.findIndex(({ name }) => name === anchor);
  if (anchor !== null && at < 0) return wrong(after === null ? "before_id" : "after_id", "is no model of this list");
  const from = before === null ? at + 1 : Math.max(0, at - limit);
  const to = before === null ? Math.min(sorted.length, from + limit) : at;
  const page = sorted.slice(from, to);
  return {
    data: page.map((model) => anthropicModel(model)),
    // More in the direction in which the caller goes.
    has_more: before === null ? to < sorted.length : from > 0,
    first_id: page[0]?.name ?? null,
    last_id: page.at(-1)?.name ?? null,
  };
}
