import { countTokens, messages } from "./anthropic/index.ts";
import { embeddings } from "./embeddings/index.ts";
import type { Endpoint } from "./endpoint.ts";
import { listModels, oneModel } from "./models/index.ts";
import { chatCompletions } from "./openai-chat/index.ts";
import { responsesEndpoints } from "./responses/index.ts";

/** Every route of every vendor, with what they remember. */
export function createEndpoints(): Endpoint[] {
  return [chatCompletions, ...responsesEndpoints(), embeddings, messages, countTokens, listModels, oneModel];
}
