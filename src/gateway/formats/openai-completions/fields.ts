import { boolean, NO_CHOICE_OF_OTHERS, number, object, serviceTier, streamOptions, text, texts, whole, type Check } from "../checks.ts";

/** Fields of a legacy completion with a known meaning (https://platform.openai.com/docs/api-reference/completions). */
export const COMPLETION_FIELDS: Record<string, Check> = {
  stream: boolean,
  stream_options: streamOptions,
  max_tokens: whole(0, 10_000_000),
  n: whole(1, 128),
  best_of: whole(1, 20),
  echo: boolean,
  suffix: text(1_000_000),
  logprobs: whole(0, 20),
  temperature: number(0, 2),
  top_p: number(0, 1),
  presence_penalty: number(-2, 2),
  frequency_penalty: number(-2, 2),
  seed: whole(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
  stop: texts(16),
  logit_bias: object,
  user: text(512),
  service_tier: serviceTier,
  ...NO_CHOICE_OF_OTHERS,
};
