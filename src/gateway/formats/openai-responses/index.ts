import type { Format } from "../../pipeline/format.ts";
import { responsesVoice } from "./errors.ts";
import { readResponseRequest } from "./read.ts";

/** OpenAI's responses (https://platform.openai.com/docs/api-reference/responses). */
export const openaiResponses: Format = {
  route: "/v1/responses",
  speaks: ["openai"],
  body: "json",
  meters: ["tokens", "requests"],
  voice: responsesVoice,
  read: readResponseRequest,
};
