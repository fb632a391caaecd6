import type { PromptModel } from "../../src/gateway/pipeline/format.ts";

/** A model of which nothing is said that the count of a prompt goes by. */
export const USUAL_MODEL: PromptModel = {
  name: "house",
  contextLength: null,
  maxImageTokens: null,
  maxFileTokens: null,
  videoSecondTokens: null,
};
