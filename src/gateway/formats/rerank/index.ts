import type { Format } from "../../pipeline/format.ts";
import { openaiVoice } from "../openai-chat/errors.ts";
import { readRerank } from "./read.ts";

/** Reranking, as Jina (https://api.jina.ai/redoc) and Cohere (https://docs.cohere.com/reference/rerank) have it; errors are OpenAI's. */
export const rerank: Format = {
  route: "/v1/rerank",
  speaks: ["openai"],
  body: "json",
  meters: ["prompt", "requests"],
  cacheable: true,
  voice: openaiVoice,
  read: readRerank,
};
