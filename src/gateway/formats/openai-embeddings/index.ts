import type { Format } from "../../pipeline/format.ts";
import { openaiVoice } from "../openai-chat/errors.ts";
import { readEmbedding } from "./read.ts";

/** OpenAI's embeddings (https://platform.openai.com/docs/api-reference/embeddings). */
export const openaiEmbeddings: Format = {
  route: "/v1/embeddings",
  speaks: ["openai"],
  body: "json",
  meters: ["prompt", "requests"],
  cacheable: true,
  voice: openaiVoice,
  read: readEmbedding,
};
