import { sum, type Counts } from "../content/counts.ts";

/** Usage as chat completions, completions and embeddings write it. */
export function completionUsage(counts: Counts): object {
  return {
    prompt_tokens: counts.prompt,
    completion_tokens: counts.completion,
    total_tokens: sum(counts.prompt, counts.completion),
    prompt_tokens_details: {
      cached_tokens: counts.cached,
      audio_tokens: 0,
      ...(counts.cacheWrite ? { cache_write_tokens: counts.cacheWrite } : {}),
    },
    completion_tokens_details: {
      reasoning_tokens: counts.reasoning,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}
