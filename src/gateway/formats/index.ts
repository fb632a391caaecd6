import type { Route } from "../../http/route.ts";
import type { Format } from "../pipeline/format.ts";
import { countTokens } from "./anthropic-messages/count.ts";
import { messagesDocs } from "./anthropic-messages/docs.ts";
import { anthropicMessages } from "./anthropic-messages/index.ts";
import { chatDocs } from "./openai-chat/docs.ts";
import { chatAlias, openaiChat } from "./openai-chat/index.ts";
import { completionsDocs } from "./openai-completions/docs.ts";
import { openaiCompletions } from "./openai-completions/index.ts";
import { embeddingsDocs } from "./openai-embeddings/docs.ts";
import { openaiEmbeddings } from "./openai-embeddings/index.ts";
import { imagesDocs } from "./openai-images/docs.ts";
import { imageEdits, imageGenerations } from "./openai-images/index.ts";
import { moderationsDocs } from "./openai-moderations/docs.ts";
import { openaiModerations } from "./openai-moderations/index.ts";
import { responsesDocs } from "./openai-responses/docs.ts";
import { openaiResponses } from "./openai-responses/index.ts";
import { speechDocs } from "./openai-speech/docs.ts";
import { openaiSpeech } from "./openai-speech/index.ts";
import { transcriptionsDocs } from "./openai-transcriptions/docs.ts";
import { openaiTranscriptions, openaiTranslations } from "./openai-transcriptions/index.ts";
import { rerankDocs } from "./rerank/docs.ts";
import { rerank } from "./rerank/index.ts";
import { difyChat, difyCompletion, difySpeech, difyTranscript, difyWorkflow } from "./dify/index.ts";

/** Every format the relay serves; a new one is a folder beside this file and an entry here. */
export const FORMATS: readonly Format[] = [
  openaiChat,
  chatAlias,
  openaiResponses,
  openaiCompletions,
  openaiEmbeddings,
  openaiModerations,
  rerank,
  imageGenerations,
  imageEdits,
  openaiSpeech,
  openaiTranscriptions,
  openaiTranslations,
  anthropicMessages,
  countTokens,
  difyChat,
  difyCompletion,
  difyWorkflow,
  difySpeech,
  difyTranscript,
];

/** The same for the API document. */
export const FORMAT_DOCS: readonly Route[] = [
  ...chatDocs,
  ...responsesDocs,
  ...completionsDocs,
  ...embeddingsDocs,
  ...moderationsDocs,
  ...rerankDocs,
  ...imagesDocs,
  ...speechDocs,
  ...transcriptionsDocs,
  ...messagesDocs,
];
