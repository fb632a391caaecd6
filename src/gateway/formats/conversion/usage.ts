import type { Usage } from "../../pipeline/format.ts";
import { countOf } from "../../tokens/classes.ts";
import { isObject, type Fields } from "../checks.ts";

/** Thinking is inside Anthropic's output; its count is only information. */
function thoughtsIn(said: Fields): number {
  const details = said["output_tokens_details"];
  const thoughts = isObject(details) ? countOf(details, "thinking_tokens") : undefined;
  return thoughts === undefined || Number.isNaN(thoughts) || thoughts < 0 ? 0 : thoughts;
}

/**
 * A usage that Anthropic's provider `said`, or that was counted here, as OpenAI's clients read it: what came from a cache or went into one
 * is inside the prompt.
 */
export function chatUsage({ tokens }: Pick<Usage, "tokens">, said: Fields = {}): Fields {
  const written = tokens.cacheWrite + (tokens.cacheWriteLong ?? 0);
  const prompt = tokens.input + tokens.cachedInput + written;
  const completion = tokens.output + tokens.reasoning;
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: tokens.cachedInput, cache_write_tokens: written },
    completion_tokens_details: { reasoning_tokens: Math.min(thoughtsIn(said), completion) },
  };
}

/** A usage as Anthropic's clients read it: the classes of the prompt apart, thinking inside the output. */
export function messagesUsage({ tokens }: Pick<Usage, "tokens">): Fields {
  return {
    input_tokens: tokens.input,
    cache_creation_input_tokens: tokens.cacheWrite,
    cache_read_input_tokens: tokens.cachedInput,
    output_tokens: tokens.output + tokens.reasoning,
    output_tokens_details: tokens.reasoning > 0 ? { thinking_tokens: tokens.reasoning } : null,
    server_tool_use: null,
  };
}
