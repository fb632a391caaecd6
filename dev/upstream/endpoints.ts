import { countTokens, messages } from "./anthropic/index.ts";
import { speech } from "./audio/speech.ts";
import { transcriptions, translations } from "./audio/transcriptions.ts";
import { completions } from "./completions/index.ts";
import { embeddings } from "./embeddings/index.ts";
import type { Endpoint } from "./endpoint.ts";
import { imageEdits, imageGenerations } from "./images/index.ts";
import { listModels, oneModel } from "./models/index.ts";
import { moderations } from "./moderations/index.ts";
import { chatCompletions } from "./openai-chat/index.ts";
import { rerank } from "./rerank/index.ts";
import { responsesEndpoints } from "./responses/index.ts";

/** Every route of every vendor, with what they remember. */
export function createEndpoints(): Endpoint[] {
  return [
    chatCompletions,
    completions,
    ...responsesEndpoints(),
    embeddings,
    imageGenerations,
    imageEdits,
    speech,
    transcriptions,
    translations,
    moderations,
    rerank,
    messages,
    countTokens,
    listModels,
    oneModel,
  ];
}
