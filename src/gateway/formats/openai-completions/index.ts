import type { Format } from "../../pipeline/format.ts";
import { openaiVoice } from "../openai-chat/errors.ts";
import { readCompletion } from "./read.ts";

/** OpenAI's legacy completions (https://platform.openai.com/docs/api-reference/completions). */
export const openaiCompletions: Format = {
  route: "/v1/completions",
  speaks: ["openai"],
  body: "json",
  meters: ["tokens", "requests"],
  cacheable: true,
  voice: openaiVoice,
  read: readCompletion,
};
